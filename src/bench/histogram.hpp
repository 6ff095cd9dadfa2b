// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace dpfs::bench {

/// How often which latency occurred. Buckets are log-linear: 128 of the same width for each
/// power of two, so a percentile is at most 1/128 too high, whatever its size. The memory is
/// fixed; add() neither allocates nor depends on what was added before.
///
/// Thread    one at a time.
class Histogram {
  public:
    /// `value` in nanoseconds; what is above value_max counts as value_max, though max() tells.
    void add(std::uint64_t value) noexcept {
        ++counts_[index_of(std::min(value, value_max))];
        max_ = std::max(max_, value);
    }
    void merge(const Histogram& other) noexcept;
    void clear() noexcept { *this = {}; }

    [[nodiscard]] std::uint64_t count() const noexcept;
    /// The largest value that was added; 0 where there was none.
    [[nodiscard]] std::uint64_t max() const noexcept { return max_; }
    /// The least value that `fraction` (0 to 1) of all are not above, to the bucket's upper
    /// end; 0 where there are none.
    [[nodiscard]] std::uint64_t percentile(double fraction) const noexcept;

    static constexpr std::uint64_t value_max = (std::uint64_t{1} << 40) - 1;  // 18 minutes

  private:
    static constexpr std::size_t octave_count = 128;  // buckets for each power of two

    /// Values below 256 have buckets of their own; of the others the upper 8 bits count.
    static constexpr std::size_t index_of(std::uint64_t value) noexcept {
        const auto shift = static_cast<unsigned>(std::bit_width(value | 255U)) - 8U;
        return std::size_t{shift} * octave_count + static_cast<std::size_t>(value >> shift);
    }
    static std::uint64_t upper_end_of(std::size_t index) noexcept;

    static constexpr std::size_t bucket_count = (40 - 8 + 2) * octave_count;
    std::array<std::uint64_t, bucket_count> counts_ = {};
    std::uint64_t max_ = 0;
};

}  // namespace dpfs::bench
