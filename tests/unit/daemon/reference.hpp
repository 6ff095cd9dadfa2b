// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace dpfs::daemon {

// What the repository says about options, as the schema has it. reference_test compares; with
// DPFS_UPDATE=1 in the environment it writes the files instead.

/// examples/dpfs.toml: every key with its help, range and default.
[[nodiscard]] std::string example_configuration();

/// The tables in docs/configuration.md.
[[nodiscard]] std::string option_tables();

}  // namespace dpfs::daemon
