// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace dpfs {

/// Bytes that are text, as such: characters may name the bytes of any object.
///
/// Lifetime  of the bytes.
[[nodiscard]] inline std::string_view as_text(std::span<const std::byte> bytes) noexcept {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): see above
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace dpfs
