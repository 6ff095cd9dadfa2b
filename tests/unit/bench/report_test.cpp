// SPDX-License-Identifier: Apache-2.0
// Goal: numbers as people read them. Method: values at the borders between units.
#include "bench/report.hpp"

#include <gtest/gtest.h>

namespace dpfs::bench {
namespace {

TEST(ReadableCount, has_three_digits_that_count) {
    EXPECT_EQ(readable_count(0.5), "0.50");
    EXPECT_EQ(readable_count(99.94), "99.9");
    EXPECT_EQ(readable_count(1234), "1234");
    EXPECT_EQ(readable_count(12'345), "12.3 k");
    EXPECT_EQ(readable_count(999'499), "999 k");
    EXPECT_EQ(readable_count(1'776'000), "1.78 M");
}

TEST(ReadableTime, goes_from_nanoseconds_to_seconds) {
    EXPECT_EQ(readable_time(850), "850 ns");
    EXPECT_EQ(readable_time(2100), "2.10 µs");
    EXPECT_EQ(readable_time(999'600), "1.00 ms");
    EXPECT_EQ(readable_time(2.5e9), "2.50 s");
}

TEST(ReadableSize, names_a_unit_only_where_it_divides) {
    EXPECT_EQ(readable_size(513), "513 B");
    EXPECT_EQ(readable_size(4096), "4 KiB");
    EXPECT_EQ(readable_size(std::uint64_t{256} << 20), "256 MiB");
    EXPECT_EQ(readable_size((1 << 20) + 1024), "1025 KiB");
}

}  // namespace
}  // namespace dpfs::bench
