// SPDX-License-Identifier: Apache-2.0
// States that the server has revoked: they are found, given up and acknowledged.
#include "nfs_fixture.hpp"

#include <gmock/gmock.h>

namespace dpfs::nfs {
namespace {

using nfs4::Op;
using nfs4::Status;
using testing::Contains;
using testing::Not;

class NfsRevokedTest : public NfsTest {
  protected:
    NfsRevokedTest() {
        peer.add_file("a");
        peer.add_file("b");
    }
    /// A request that uses none of them, and hears of them.
    void ask() {
        const auto name = fuse::Name::check("b").value();
        EXPECT_TRUE(run(fs().lookup(context(), fuse::root_node, name)));
    }
};

TEST_F(NfsRevokedTest, an_open_file_is_freed_and_opened_again) {
    const fuse::NodeId node = look_up("a");
    const auto file = open(node);
    ASSERT_TRUE(file);
    peer.revoke_states();
    ask();
    ASSERT_TRUE(peer.wait_until_freed());
    ASSERT_TRUE(write(node, file->handle, 0, "data"));
    EXPECT_EQ(read(node, file->handle, 0, 4), "data");
    ASSERT_TRUE(release(node, file->handle));
    EXPECT_EQ(peer.state_count(), 0U);
}

TEST_F(NfsRevokedTest, who_uses_it_first_frees_it_too) {
    const fuse::NodeId node = look_up("a");
    const auto file = open(node);
    ASSERT_TRUE(file);
    peer.answer(Op::test_stateid, Status::notsupp, 1000);
    peer.revoke_states();
    ASSERT_TRUE(write(node, file->handle, 0, "data"));
    ASSERT_TRUE(peer.wait_until_freed());
    EXPECT_EQ(read(node, file->handle, 0, 4), "data");
}

TEST_F(NfsRevokedTest, a_lock_is_lost_and_its_holder_is_told) {
    const fuse::NodeId node = look_up("a");
    const auto file = open(node);
    ASSERT_TRUE(file);
    ASSERT_TRUE(run(fs().setlk(context(), node, file->handle, lock_of(0, 9))));
    peer.revoke_states();
    ask();
    ASSERT_TRUE(peer.wait_until_freed());
    EXPECT_EQ(write(node, file->handle, 0, "data").error(), Errno::io_error);
    ASSERT_TRUE(release(node, file->handle));
    const auto again = open(node);
    ASSERT_TRUE(again);
    EXPECT_TRUE(write(node, again->handle, 0, "data"));
}

TEST_F(NfsRevokedTest, a_delegation_is_answered_from_no_more) {
    options.delegations = true;
    peer.give_delegations();
    const fuse::NodeId node = look_up("a");
    const auto file = open(node, O_RDONLY);
    ASSERT_TRUE(file);
    ASSERT_TRUE(release(node, file->handle));
    peer.revoke_states();
    ask();
    ASSERT_TRUE(peer.wait_until_freed());
    EXPECT_EQ(fs().statistics().back(), "delegations held=0 used=0 recalled=0");
    ASSERT_TRUE(open(node, O_RDONLY));
    EXPECT_THAT(peer.take_record(), Contains("OPEN"));
}

TEST_F(NfsRevokedTest, a_delegation_that_is_returned_too_late_is_freed) {
    options.delegations = true;
    peer.give_delegations();
    const fuse::NodeId node = look_up("a");
    ASSERT_TRUE(open(node, O_RDONLY));
    peer.answer(Op::test_stateid, Status::notsupp, 1000);
    peer.revoke_states();
    ASSERT_TRUE(open(node));  // our own writer ends it
    EXPECT_TRUE(peer.wait_for("FREE_STATEID"));
}

TEST_F(NfsRevokedTest, thousands_are_asked_about_in_parts) {
    const fuse::NodeId node = look_up("a");
    constexpr std::size_t count = 1000;
    for (std::size_t i = 0; i < count; ++i) ASSERT_TRUE(open(node));
    peer.take_record();
    peer.revoke_states();
    ask();
    ASSERT_TRUE(peer.wait_until_freed());
    const auto asked = peer.take_record();
    EXPECT_EQ(std::ranges::count(asked, "TEST_STATEID"), 8);
    EXPECT_EQ(std::ranges::count(asked, "FREE_STATEID"), std::ptrdiff_t{count});
}

TEST_F(NfsRevokedTest, those_that_hold_stay) {
    const fuse::NodeId node = look_up("a");
    ASSERT_TRUE(open(node));
    peer.take_record();
    peer.say(nfs4::sequence_status::admin_revoked);
    ask();
    ASSERT_TRUE(peer.wait_for("TEST_STATEID"));
    EXPECT_THAT(peer.take_record(), Not(Contains("FREE_STATEID")));
    EXPECT_EQ(peer.state_count(), 1U);
}

}  // namespace
}  // namespace dpfs::nfs
