// SPDX-License-Identifier: Apache-2.0
// Where a server says that a file system is (RFC 8881, 11.16).
#include "net/nfs4/locations.hpp"

#include "encoded.hpp"

#include <gtest/gtest.h>

namespace dpfs::nfs4 {
namespace {

// Bit 24 of the first word; 56 bytes: the root "/a"; one location: "one" and "two", "/b/c".
constexpr std::string_view two_servers =
    "00000001 01000000 00000038 00000001 00000001 61000000 00000001 "
    "00000002 00000003 6f6e6500 00000003 74776f00 00000002 00000001 62000000 00000001 63000000";

TEST(Locations, are_servers_and_a_path) {
    const auto message = from_hex(two_servers);
    rpc::XdrReader in(message);
    const auto locations = take_locations(in);
    ASSERT_TRUE(in.ok());
    EXPECT_EQ(in.left(), 0U);
    ASSERT_EQ(locations.size(), 1U);
    EXPECT_EQ(locations[0].servers, (std::vector<std::string_view>{"one", "two"}));
    EXPECT_EQ(locations[0].path, (std::vector<std::string_view>{"b", "c"}));
    EXPECT_EQ(describe(locations), "one:/b/c, two:/b/c");
}

TEST(Locations, that_are_cut_off_anywhere_are_refused) {
    const auto message = from_hex(two_servers);
    for (std::size_t size = 0; size < message.size(); ++size) {
        const auto cut = std::span(message).first(size);
        rpc::XdrReader in(cut);
        EXPECT_TRUE(take_locations(in).empty()) << size;
        EXPECT_FALSE(in.ok()) << size;
    }
}

TEST(Locations, that_do_not_fill_their_size_are_refused) {
    auto message = from_hex(two_servers);
    message[11] = std::byte{0x34};
    rpc::XdrReader in(message);
    EXPECT_TRUE(take_locations(in).empty());
    EXPECT_FALSE(in.ok());
}

TEST(Locations, are_described_in_one_printable_line) {
    EXPECT_EQ(describe({}), "nowhere");
    EXPECT_EQ(describe({{.servers = {"a\nb"}, .path = {}}}), "a?b:/");
    const std::string long_name(600, 'x');
    EXPECT_EQ(describe({{.servers = {long_name}, .path = {}}}).size(), 515U);
}

}  // namespace
}  // namespace dpfs::nfs4
