// SPDX-License-Identifier: Apache-2.0
#include "bench/histogram.hpp"

#include <cmath>
#include <numeric>

namespace dpfs::bench {

void Histogram::merge(const Histogram& other) noexcept {
    for (std::size_t i = 0; i < bucket_count; ++i) counts_[i] += other.counts_[i];
    max_ = std::max(max_, other.max_);
}

std::uint64_t Histogram::count() const noexcept {
    return std::accumulate(counts_.begin(), counts_.end(), std::uint64_t{0});
}

std::uint64_t Histogram::upper_end_of(std::size_t index) noexcept {
    if (index < 2 * octave_count) return index;
    const std::size_t shift = index / octave_count - 1;
    const std::uint64_t leading = index - shift * octave_count;
    return ((leading + 1) << shift) - 1;
}

std::uint64_t Histogram::percentile(double fraction) const noexcept {
    const std::uint64_t all = count();
    if (all == 0) return 0;
    const double wanted = std::ceil(fraction * static_cast<double>(all));
    const auto rank = std::clamp(static_cast<std::uint64_t>(wanted), std::uint64_t{1}, all);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < bucket_count; ++i) {
        seen += counts_[i];
        // No percentile is above the maximum, though its bucket's end may be.
        if (seen >= rank) return std::min(upper_end_of(i), max_);
    }
    return max_;
}

}  // namespace dpfs::bench
