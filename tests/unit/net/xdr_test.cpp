// SPDX-License-Identifier: Apache-2.0
#include "net/rpc/xdr.hpp"

#include <gtest/gtest.h>

#include <array>

namespace dpfs::rpc {
namespace {

std::vector<std::byte> bytes_of(std::initializer_list<int> values) {
    std::vector<std::byte> bytes;
    for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
    return bytes;
}

TEST(Xdr, numbers_are_big_endian) {
    std::vector<std::byte> out;
    XdrWriter(out).u32(0x01020304);
    EXPECT_EQ(out, bytes_of({1, 2, 3, 4}));
    XdrReader in(out);
    EXPECT_EQ(in.u32(), 0x01020304U);
    EXPECT_TRUE(in.ok());
    EXPECT_EQ(in.left(), 0U);
}

TEST(Xdr, opaque_data_are_padded_with_zeros_to_four_bytes) {
    std::vector<std::byte> out;
    XdrWriter(out).string("abcde");
    EXPECT_EQ(out, bytes_of({0, 0, 0, 5, 'a', 'b', 'c', 'd', 'e', 0, 0, 0}));
    XdrReader in(out);
    EXPECT_EQ(in.string(5), "abcde");
    EXPECT_EQ(in.left(), 0U);
}

TEST(XdrReader, gives_nothing_after_an_item_that_is_not_all_there) {
    const auto message = bytes_of({0, 0, 0, 1, 0, 0});
    XdrReader in(message);
    EXPECT_EQ(in.u32(), 1U);
    EXPECT_EQ(in.u32(), 0U);
    EXPECT_FALSE(in.ok());
    EXPECT_EQ(in.u64(), 0U);
    EXPECT_TRUE(in.fixed(1).empty());
    EXPECT_EQ(in.left(), 0U);
}

TEST(XdrReader, refuses_a_size_beyond_the_message) {
    const auto message = bytes_of({0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4});
    XdrReader in(message);
    EXPECT_TRUE(in.opaque(~std::size_t{0}).empty());
    EXPECT_FALSE(in.ok());
}

TEST(XdrReader, refuses_a_size_whose_padding_is_not_there) {
    const auto message = bytes_of({0, 0, 0, 3, 1, 2, 3});
    XdrReader in(message);
    EXPECT_TRUE(in.opaque(3).empty());
    EXPECT_FALSE(in.ok());
}

TEST(XdrReader, refuses_a_size_that_its_reader_does_not_allow) {
    const auto message = bytes_of({0, 0, 0, 4, 1, 2, 3, 4});
    XdrReader in(message);
    EXPECT_TRUE(in.opaque(3).empty());
    EXPECT_FALSE(in.ok());
}

TEST(XdrReader, refuses_a_count_of_more_items_than_the_message_can_hold) {
    const auto message = bytes_of({0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2});
    XdrReader in(message);
    EXPECT_EQ(in.count(4), 0U);
    EXPECT_FALSE(in.ok());
}

TEST(XdrReader, refuses_a_boolean_that_is_neither) {
    const auto message = bytes_of({0, 0, 0, 2});
    XdrReader in(message);
    EXPECT_FALSE(in.boolean());
    EXPECT_FALSE(in.ok());
}

}  // namespace
}  // namespace dpfs::rpc
