// SPDX-License-Identifier: Apache-2.0
// Goal: medians over rounds, and patterns and random numbers that come again. Method: values
// whose answer is plain to see.
#include "bench/median.hpp"

#include "bench/pattern.hpp"
#include "bench/random.hpp"

#include <gtest/gtest.h>

#include <array>

namespace dpfs::bench {
namespace {

TEST(Median, is_the_middle_one_whatever_the_order) {
    EXPECT_EQ(median_of({9, 1, 5}), 5);
    EXPECT_EQ(median_of({1, 2, 3, 10}), 2.5);
    EXPECT_EQ(median_of({7}), 7);
    EXPECT_EQ(median_of({}), 0);
}

TEST(Median, comes_with_the_outermost) {
    const Spread spread = spread_of({4, 2, 8});
    EXPECT_EQ(spread.min, 2);
    EXPECT_EQ(spread.median, 4);
    EXPECT_EQ(spread.max, 8);
}

TEST(Random, is_the_same_for_the_same_seed_and_stays_below_its_bound) {
    Random first(1);
    Random second(1);
    Random other(2);
    EXPECT_EQ(first.next(), second.next());
    EXPECT_NE(first.next(), other.next());
    for (int i = 0; i < 1000; ++i) EXPECT_LT(first.below(3), 3U);
}

constexpr Pattern pattern = {.file = 1, .version = 2};

TEST(Pattern, finds_the_first_byte_that_is_wrong) {
    std::array<std::byte, 512> bytes = {};
    pattern.fill(bytes, 4096);
    EXPECT_EQ(pattern.find_mismatch(bytes, 4096), std::nullopt);
    bytes[80] ^= std::byte{1};
    EXPECT_EQ(pattern.find_mismatch(bytes, 4096), 80U);
}

TEST(Pattern, tells_places_files_and_versions_apart) {
    std::array<std::byte, 512> bytes = {};
    pattern.fill(bytes, 4096);
    EXPECT_EQ(pattern.find_mismatch(bytes, 8192), 0U);
    EXPECT_EQ((Pattern{.file = 2, .version = 2}).find_mismatch(bytes, 4096), 0U);
    EXPECT_EQ((Pattern{.file = 1, .version = 3}).find_mismatch(bytes, 4096), 0U);
}

}  // namespace
}  // namespace dpfs::bench
