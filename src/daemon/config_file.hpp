// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "daemon/config.hpp"
#include "daemon/value.hpp"

#include <string>
#include <string_view>

namespace dpfs::daemon {

/// Reads a configuration (docs/configuration.md) from `text`; `name` is the file's, for
/// messages. Looks at nothing but the text: whether directories exist is for
/// check_surroundings().
/// Errors: "name:line: key: what is wrong; what to write".
[[nodiscard]] Parsed<Config> parse_config(std::string_view text, std::string_view name);

/// The same from a file. Errors: also that it cannot be read.
[[nodiscard]] Parsed<Config> load_config(const std::string& path);

}  // namespace dpfs::daemon
