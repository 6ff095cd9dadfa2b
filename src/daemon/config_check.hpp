// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "daemon/config.hpp"
#include "daemon/value.hpp"

namespace dpfs::daemon {

// What no single value shows. Errors: one line, with the place.

/// Whether the configuration agrees with itself; looks at nothing else.
[[nodiscard]] Parsed<void> check_agreement(const Config& config);

/// Whether the machine has what the configuration names: directories, places for sockets that
/// nobody serves, CPUs. What passes may still change before it is used.
[[nodiscard]] Parsed<void> check_surroundings(const Config& config);

}  // namespace dpfs::daemon
