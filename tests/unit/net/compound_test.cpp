// SPDX-License-Identifier: Apache-2.0
#include "net/nfs4/request.hpp"

#include <gtest/gtest.h>

#include <array>

namespace dpfs::nfs4 {
namespace {

constexpr AttributeSet size_and_owner = {Attribute::size, Attribute::owner};

std::vector<std::byte> fattr(std::uint32_t bits, std::uint32_t bits2, std::uint32_t size) {
    std::vector<std::byte> out;
    rpc::XdrWriter to(out);
    to.u32(2);
    to.u32(bits);
    to.u32(bits2);
    to.u32(size);
    return out;
}

TEST(Attributes, are_read_in_the_order_of_their_numbers) {
    auto message = fattr(1U << 4, 1U << (36 - 32), 8 + 4 + 8);
    rpc::XdrWriter to(message);
    to.u64(4711);
    to.string("1000@x.y");
    rpc::XdrReader in(message);
    const Attributes found = take_attributes(in, size_and_owner);
    ASSERT_TRUE(in.ok());
    EXPECT_EQ(found.size, 4711U);
    EXPECT_EQ(found.owner, "1000@x.y");
}

TEST(Attributes, that_nobody_asked_for_are_not_believed) {
    auto message = fattr(1U << 3, 0, 8);
    rpc::XdrWriter(message).u64(1);
    rpc::XdrReader in(message);
    take_attributes(in, size_and_owner);
    EXPECT_FALSE(in.ok());
}

TEST(Attributes, must_fill_exactly_the_size_that_is_said) {
    for (const std::uint32_t size : {4U, 12U, 16U}) {
        auto message = fattr(1U << 4, 0, size);
        rpc::XdrWriter to(message);
        to.u64(1);
        to.u64(2);
        rpc::XdrReader in(message);
        take_attributes(in, size_and_owner);
        EXPECT_FALSE(in.ok()) << size;
    }
}

TEST(Attributes, are_written_with_their_size) {
    std::vector<std::byte> out;
    rpc::XdrWriter to(out);
    NewAttributes attributes;
    attributes.mode = 0644;
    attributes.owner = "1000";
    put_attributes(to, attributes);
    rpc::XdrReader in(out);
    EXPECT_EQ(in.u32(), 2U);
    EXPECT_EQ(in.u32(), 0U);
    EXPECT_EQ(in.u32(), (1U << (33 - 32)) | (1U << (36 - 32)));
    const std::uint32_t size = in.u32();
    EXPECT_EQ(size, in.left());
    EXPECT_EQ(in.u32(), 0644U);
    EXPECT_EQ(in.string(8), "1000");
    EXPECT_EQ(in.left(), 0U);
}

TEST(Owner, is_a_number_or_root) {
    EXPECT_EQ(parse_owner("1000").value(), 1000U);
    EXPECT_EQ(parse_owner("root@example.org").value(), 0U);
    EXPECT_FALSE(parse_owner("alice@example.org"));
    EXPECT_FALSE(parse_owner("99999999999"));
    EXPECT_FALSE(parse_owner(""));
}

TEST(Status, each_has_a_name_and_an_errno) {
    for (std::uint32_t number = 1; number < 10100; ++number) {
        const Errno error = to_errno(Status{number});
        EXPECT_NE(errno_name(error), "E?") << number;
    }
    EXPECT_EQ(to_errno(Status::noent), Errno::no_entry);
    EXPECT_EQ(to_errno(Status{4242}), Errno::io_error);
    EXPECT_EQ(name_of(Status{4242}), "unknown");
}

/// What OPEN answers up to the delegation.
std::vector<std::byte> open_result(std::uint32_t delegation_type) {
    std::vector<std::byte> out;
    rpc::XdrWriter to(out);
    to.u32(1);
    to.fixed(std::array<std::byte, 12>{});
    to.fixed(std::array<std::byte, 20>{});
    to.u32(0);
    to.u32(0);  // attributes set: none
    to.u32(delegation_type);
    return out;
}

TEST(OpenResult, without_a_delegation_ends_there) {
    const auto message = open_result(0);
    rpc::XdrReader in(message);
    EXPECT_FALSE(take_opened(in).delegated);
    EXPECT_TRUE(in.ok());
    EXPECT_EQ(in.left(), 0U);
}

TEST(OpenResult, brings_a_delegation_that_was_not_asked_for) {
    auto message = open_result(2);
    rpc::XdrWriter to(message);
    to.u32(7);
    to.fixed(std::array<std::byte, 12>{});
    to.boolean(false);
    to.u32(1);
    to.u64(0);
    to.fixed(std::array<std::byte, 12>{});
    to.string("someone");
    rpc::XdrReader in(message);
    const Opened opened = take_opened(in);
    EXPECT_TRUE(in.ok());
    EXPECT_TRUE(opened.delegated);
    EXPECT_EQ(opened.delegation.sequence, 7U);
    EXPECT_EQ(in.left(), 0U);
}

TEST(OpenResult, with_a_delegation_of_no_known_kind_is_refused) {
    const auto message = open_result(9);
    rpc::XdrReader in(message);
    static_cast<void>(take_opened(in));
    EXPECT_FALSE(in.ok());
}

}  // namespace
}  // namespace dpfs::nfs4
