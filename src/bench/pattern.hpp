// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace dpfs::bench {

/// What a test file holds, so that a read can be told from any other: each 8 bytes depend on
/// their place in the file, on the file, and on how often their block has been written.
struct Pattern {
    std::uint64_t file = 0;
    std::uint32_t version = 0;

    /// Writes what is at `offset` of the file; offset and size are multiples of 8.
    void fill(std::span<std::byte> to, std::uint64_t offset) const noexcept;
    /// The first of these bytes that is not as it should be, if any.
    [[nodiscard]] std::optional<std::size_t> find_mismatch(std::span<const std::byte> bytes,
                                                           std::uint64_t offset) const noexcept;
};

}  // namespace dpfs::bench
