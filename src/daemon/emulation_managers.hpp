// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace dpfs::daemon {

/// What this build can appear as to a tenant, one line each, with a heading.
[[nodiscard]] std::string list_emulation_managers();

}  // namespace dpfs::daemon
