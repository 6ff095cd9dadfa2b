// SPDX-License-Identifier: Apache-2.0
// Extended attributes on the wire, byte for byte after the XDR of RFC 8276, 8.4.
#include "net/nfs4/xattr.hpp"

#include "encoded.hpp"

#include <gtest/gtest.h>

namespace dpfs::nfs4 {
namespace {

TEST(XattrRequest, to_get_has_the_name_only) {
    Encoded encoded;
    put_getxattr(encoded.request(), "ab");
    EXPECT_EQ(encoded.hex(), "00000048 00000002 61620000");
}

TEST(XattrRequest, to_set_has_the_option_before_name_and_value) {
    Encoded encoded;
    const std::array value = {std::byte{0xff}, std::byte{0x00}, std::byte{0x01}};
    put_setxattr(encoded.request(), SetXattr::replace, "abcd", value);
    EXPECT_EQ(encoded.hex(), "00000049 00000002 00000004 61626364 00000003 ff000100");
}

TEST(XattrRequest, to_list_has_cookie_and_size) {
    Encoded encoded;
    put_listxattrs(encoded.request(), 0x1122334455667788, 4096);
    EXPECT_EQ(encoded.hex(), "0000004a 11223344 55667788 00001000");
}

TEST(XattrRequest, to_remove_has_the_name_only) {
    Encoded encoded;
    put_removexattr(encoded.request(), "abc");
    EXPECT_EQ(encoded.hex(), "0000004b 00000003 61626300");
}

TEST(XattrValue, is_what_the_server_sent) {
    const auto message = from_hex("00000003 01020300");
    rpc::XdrReader in(message);
    const auto value = take_getxattr(in);
    ASSERT_TRUE(in.ok());
    EXPECT_EQ(to_hex(value), "010203");
    EXPECT_EQ(in.left(), 0U);
}

TEST(XattrValue, of_more_than_64_KiB_is_refused) {
    std::vector<std::byte> message;
    rpc::XdrWriter out(message);
    const std::vector<std::byte> value(xattr_value_size_max + 1);
    out.opaque(value);
    rpc::XdrReader in(message);
    EXPECT_TRUE(take_getxattr(in).empty());
    EXPECT_FALSE(in.ok());
}

TEST(XattrNames, come_with_the_place_to_go_on_from) {
    const auto message =
        from_hex("00000000 00000007 00000002 00000001 61000000 00000002 62630000 00000001");
    rpc::XdrReader in(message);
    const XattrNames list = take_listxattrs(in);
    ASSERT_TRUE(in.ok());
    EXPECT_EQ(list.cookie, 7U);
    EXPECT_EQ(list.names, (std::vector<std::string_view>{"a", "bc"}));
    EXPECT_TRUE(list.at_end);
    EXPECT_EQ(in.left(), 0U);
}

TEST(XattrNames, that_are_fewer_than_is_said_are_refused) {
    const auto message = from_hex("00000000 00000007 40000000 00000001 61000000 00000001");
    rpc::XdrReader in(message);
    static_cast<void>(take_listxattrs(in));
    EXPECT_FALSE(in.ok());
}

TEST(XattrNames, with_an_end_that_is_no_boolean_are_refused) {
    const auto message = from_hex("00000000 00000007 00000000 00000002");
    rpc::XdrReader in(message);
    static_cast<void>(take_listxattrs(in));
    EXPECT_FALSE(in.ok());
}

}  // namespace
}  // namespace dpfs::nfs4
