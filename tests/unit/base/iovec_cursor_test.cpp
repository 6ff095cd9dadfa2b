// SPDX-License-Identifier: Apache-2.0
// Goal: buffer borders are invisible, and no byte beyond the buffers is ever touched.
#include "base/iovec_cursor.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace dpfs {
namespace {

struct Pair {
    std::uint32_t first;
    std::uint32_t second;
};

std::array<iovec, 4> split(std::string& text, std::size_t a, std::size_t b) {
    char* const data = text.data();
    return {iovec{data, a},
            iovec{data + a, 0},
            iovec{data + a, b - a},
            iovec{data + b, text.size() - b}};
}

TEST(IovecCursor, takes_a_struct_that_lies_across_buffers) {
    std::string bytes("\x01\0\0\0\x02\0\0\0", 8);
    const auto buffers = split(bytes, 3, 5);
    IovecCursor cursor(buffers);
    const auto pair = cursor.take<Pair>();
    ASSERT_TRUE(pair);
    EXPECT_EQ(pair->first, 1U);
    EXPECT_EQ(pair->second, 2U);
    EXPECT_EQ(cursor.left(), 0U);
}

TEST(IovecCursor, refuses_a_struct_that_does_not_fit_and_stays_where_it_was) {
    std::string bytes("1234567");
    const auto buffers = split(bytes, 2, 4);
    IovecCursor cursor(buffers);
    EXPECT_EQ(cursor.take<Pair>().error(), Errno::bad_message);
    EXPECT_EQ(cursor.left(), 7U);
}

TEST(IovecCursor, hands_out_the_rest_as_iovecs_into_the_same_memory) {
    std::string bytes("abcdefgh");
    const auto buffers = split(bytes, 3, 5);
    IovecCursor cursor(buffers);
    ASSERT_TRUE(cursor.skip(1));
    std::vector<iovec> rest;
    ASSERT_TRUE(cursor.take_iovecs(5, rest));
    ASSERT_EQ(rest.size(), 3U);
    EXPECT_EQ(rest[0].iov_base, bytes.data() + 1);
    EXPECT_EQ(rest[0].iov_len, 2U);
    EXPECT_EQ(rest[2].iov_len, 1U);
    EXPECT_EQ(cursor.left(), 2U);
}

TEST(IovecCursor, writes_across_buffers) {
    std::string bytes("........");
    const auto buffers = split(bytes, 3, 5);
    IovecCursor cursor(buffers);
    ASSERT_TRUE(cursor.put(Pair{0x61616161, 0x62626262}));
    EXPECT_EQ(bytes, "aaaabbbb");
    EXPECT_EQ(cursor.put(Pair{}).error(), Errno::bad_message);
}

}  // namespace
}  // namespace dpfs
