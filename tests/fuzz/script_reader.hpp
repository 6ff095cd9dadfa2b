// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace dpfs::fuzz {

/// Reads a fuzzer's input from its front, so that a script can be written by hand as well. What
/// is not there is zero.
class ScriptReader {
  public:
    explicit ScriptReader(std::span<const std::uint8_t> input) noexcept : left_(input) {}

    [[nodiscard]] bool at_end() const noexcept { return left_.empty(); }

    template <std::unsigned_integral T = std::uint8_t>
    T number() noexcept {
        T value = 0;
        const std::size_t size = std::min(sizeof(T), left_.size());
        if (size > 0) std::memcpy(&value, left_.data(), size);
        left_ = left_.subspan(size);
        return value;
    }

    /// A number from 0 to `count` - 1; at most 256 of them.
    std::uint32_t below(std::uint32_t count) noexcept { return number() % count; }

    /// True once in `count`: never at the end of the input.
    bool one_in(std::uint32_t count) noexcept { return below(count) == count - 1; }

    std::vector<std::byte> bytes(std::size_t size) {
        const auto taken = std::as_bytes(left_.first(std::min(size, left_.size())));
        left_ = left_.subspan(taken.size());
        std::vector<std::byte> all(taken.begin(), taken.end());
        all.resize(size);
        return all;
    }

  private:
    std::span<const std::uint8_t> left_;
};

}  // namespace dpfs::fuzz
