// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "daemon/backend.hpp"

#include <string>

namespace dpfs::daemon {

// The texts of --help; options come from the schema.

[[nodiscard]] std::string program_help();
[[nodiscard]] std::string serve_help();
[[nodiscard]] std::string backend_help(Backend backend);
[[nodiscard]] std::string bench_help();
[[nodiscard]] std::string list_help();

}  // namespace dpfs::daemon
