// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace dpfs::bench {

/// The middle one of some measurements, with the outermost two: what holds for a noisy machine.
struct Spread {
    double median = 0;
    double min = 0;
    double max = 0;
};

/// Of nothing: zeroes. Of an even number: the mean of the two in the middle.
[[nodiscard]] inline Spread spread_of(std::vector<double> values) {
    if (values.empty()) return {};
    std::ranges::sort(values);
    const std::size_t middle = values.size() / 2;
    const double median =
        values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
    return {.median = median, .min = values.front(), .max = values.back()};
}

[[nodiscard]] inline double median_of(std::vector<double> values) {
    return spread_of(std::move(values)).median;
}

}  // namespace dpfs::bench
