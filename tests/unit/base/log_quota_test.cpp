// SPDX-License-Identifier: Apache-2.0
#include "base/log_quota.hpp"

#include <gtest/gtest.h>

namespace dpfs {
namespace {

int taken(LogQuota& quota, Instant now, int tries) {
    int count = 0;
    for (; tries > 0; --tries) count += quota.take(now) ? 1 : 0;
    return count;
}

TEST(LogQuota, lets_a_few_lines_through_at_once) {
    LogQuota quota;
    EXPECT_EQ(taken(quota, {5}, 100), LogQuota::burst);
}

TEST(LogQuota, lets_one_line_through_each_second_then) {
    LogQuota quota;
    Instant now = {5};
    (void)taken(quota, now, 100);
    now = now + milliseconds(999);
    EXPECT_EQ(taken(quota, now, 100), 0);
    now = now + milliseconds(1);
    EXPECT_EQ(taken(quota, now, 100), 1);
}

TEST(LogQuota, saves_no_more_than_a_burst) {
    LogQuota quota;
    (void)taken(quota, {5}, 100);
    EXPECT_EQ(taken(quota, Instant{5} + seconds(3600), 100), LogQuota::burst);
}

}  // namespace
}  // namespace dpfs
