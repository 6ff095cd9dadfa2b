// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace dpfs::daemon {

/// The line (from 1) of the first character of a TOML document that is not ASCII and stands
/// neither in quotes nor in a comment, where no valid document has one. toml++ 3.3 must not see
/// it: for most of them ('ä' in a key) it runs into what it believes unreachable.
[[nodiscard]] std::optional<std::size_t> line_of_stray_character(std::string_view text);

}  // namespace dpfs::daemon
