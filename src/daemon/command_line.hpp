// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "daemon/bench_config.hpp"
#include "daemon/config.hpp"
#include "daemon/value.hpp"

#include <span>
#include <string>
#include <variant>

namespace dpfs::daemon {

/// `--help` and its kind: to standard output, exit code 0.
struct ShowText {
    std::string text;
};

struct Serve {
    Config config;
};

/// Checked: what it asks for can be done, as far as the line alone tells.
struct Bench {
    bench::Options options;
};

using Command = std::variant<ShowText, Serve, Bench>;

/// What the operator wants; `arguments` without the program's name. Reads the configuration
/// file that they name, and nothing else.
/// Errors: one line that says what is wrong and what to write instead; exit code 2.
[[nodiscard]] Parsed<Command> parse_command_line(std::span<const char* const> arguments);

}  // namespace dpfs::daemon
