// SPDX-License-Identifier: Apache-2.0
// Goal: percentiles are what a sorted list says, to 1/128. Method: small sets with known
// answers, and random ones against the list itself.
#include "bench/histogram.hpp"

#include "bench/random.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace dpfs::bench {
namespace {

class HistogramTest : public testing::Test {
  protected:
    std::unique_ptr<Histogram> histogram = std::make_unique<Histogram>();
};

TEST_F(HistogramTest, of_nothing_is_zero) {
    EXPECT_EQ(histogram->count(), 0U);
    EXPECT_EQ(histogram->max(), 0U);
    EXPECT_EQ(histogram->percentile(0.5), 0U);
}

TEST_F(HistogramTest, tells_small_values_exactly) {
    for (std::uint64_t value = 1; value <= 100; ++value) histogram->add(value);
    EXPECT_EQ(histogram->percentile(0.0), 1U);
    EXPECT_EQ(histogram->percentile(0.5), 50U);
    EXPECT_EQ(histogram->percentile(0.99), 99U);
    EXPECT_EQ(histogram->percentile(1.0), 100U);
}

TEST_F(HistogramTest, has_no_gap_where_buckets_become_wider) {
    for (const std::uint64_t value : {255U, 256U, 257U, 511U, 512U, 513U}) {
        histogram->clear();
        histogram->add(value);
        histogram->add(std::uint64_t{1} << 30);
        EXPECT_GE(histogram->percentile(0.5), value);
        EXPECT_LE(histogram->percentile(0.5), value + value / 128);
    }
}

TEST_F(HistogramTest, is_never_more_than_a_128th_too_high) {
    Random random(7);
    std::vector<std::uint64_t> values;
    for (int i = 0; i < 10'000; ++i) {
        values.push_back(random.next() >> (25 + random.below(38)));
        histogram->add(values.back());
    }
    std::ranges::sort(values);
    for (const double fraction : {0.5, 0.9, 0.99, 0.999}) {
        const auto rank = static_cast<std::size_t>(fraction * 10'000);
        const std::uint64_t exact = values[rank - 1];
        EXPECT_GE(histogram->percentile(fraction), exact) << fraction;
        EXPECT_LE(histogram->percentile(fraction), exact + exact / 128) << fraction;
    }
    EXPECT_EQ(histogram->max(), values.back());
}

TEST_F(HistogramTest, takes_what_is_beyond_its_range) {
    histogram->add(~std::uint64_t{0});
    EXPECT_EQ(histogram->count(), 1U);
    EXPECT_EQ(histogram->max(), ~std::uint64_t{0});
    EXPECT_EQ(histogram->percentile(0.5), Histogram::value_max);
}

TEST_F(HistogramTest, merges_and_clears) {
    Histogram other;
    other.add(10);
    histogram->add(1000);
    histogram->merge(other);
    EXPECT_EQ(histogram->count(), 2U);
    EXPECT_EQ(histogram->percentile(0.5), 10U);
    EXPECT_EQ(histogram->max(), 1000U);
    histogram->clear();
    EXPECT_EQ(histogram->count(), 0U);
}

}  // namespace
}  // namespace dpfs::bench
