// SPDX-License-Identifier: Apache-2.0
// Read delegations: what they spare, and that nothing older is shown once they are wanted back.
#include "fuse/wire_file.hpp"
#include "nfs_fixture.hpp"

#include <gmock/gmock.h>

namespace dpfs::nfs {
namespace {

using nfs4::Op;
using nfs4::Status;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;

class NfsDelegationTest : public NfsTest {
  protected:
    NfsDelegationTest() {
        options.delegations = true;
        peer.add_file("a");
        peer.give_delegations();
    }
    /// Opens "a" for reading, by which it gets a delegation.
    void open_a() {
        node = look_up("a");
        const auto opened = open(node, O_RDONLY);
        ASSERT_TRUE(opened);
        file = opened->handle;
        peer.take_record();
    }
    Result<fuse::TimedAttributes> see() { return run(fs().getattr(context(), node, {})); }
    Result<fuse::Entry> look_up_entry(const std::string& name) {
        return run(fs().lookup(context(), fuse::root_node, fuse::Name::check(name).value()));
    }
    void forget(fuse::NodeId forgotten) {
        const fuse::Forget all = {.node = forgotten, .count = 1};
        run(fs().forget(context(), std::span(&all, 1)));
    }
    std::string counters() { return fs().statistics().back(); }

    fuse::NodeId node;
    fuse::FileHandle file;
};

TEST_F(NfsDelegationTest, what_is_asked_about_the_file_needs_no_request) {
    open_a();
    ASSERT_TRUE(see());
    ASSERT_TRUE(see());
    EXPECT_THAT(peer.take_record(), IsEmpty());
    EXPECT_EQ(counters(), "delegations held=1 used=2 recalled=0");
}

TEST_F(NfsDelegationTest, opening_it_again_needs_no_request) {
    open_a();
    ASSERT_TRUE(release(node, file));
    const auto again = open(node, O_RDONLY);
    ASSERT_TRUE(again);
    EXPECT_THAT(peer.take_record(), IsEmpty());
    EXPECT_NE(again->open_flags & fuse::wire::fopen::keep_cache, 0U);
    EXPECT_TRUE(read(node, again->handle, 0, 1));
}

TEST_F(NfsDelegationTest, another_user_opens_it_at_the_server) {
    open_a();
    ASSERT_TRUE(release(node, file));
    context().caller.uid = 1001;
    ASSERT_TRUE(open(node, O_RDONLY));
    EXPECT_THAT(peer.take_record(), Contains("OPEN"));
}

TEST_F(NfsDelegationTest, a_recalled_one_goes_back_and_is_not_answered_from) {
    open_a();
    ASSERT_TRUE(see());
    peer.recall("a");
    ASSERT_TRUE(peer.wait_for("CB_RECALL ok"));
    ASSERT_TRUE(see());
    EXPECT_TRUE(peer.wait_for("DELEGRETURN"));
    EXPECT_THAT(peer.take_record(), Contains("GETATTR"));
    EXPECT_EQ(peer.delegation_count(), 0U);
    EXPECT_EQ(peer.state_count(), 1U) << "the tenant has it open";
    EXPECT_TRUE(read(node, file, 0, 1));
}

TEST_F(NfsDelegationTest, a_recall_closes_what_nobody_has_open) {
    open_a();
    ASSERT_TRUE(release(node, file));
    EXPECT_EQ(peer.state_count(), 1U);
    peer.recall("a");
    EXPECT_TRUE(peer.wait_for("DELEGRETURN"));
    EXPECT_EQ(peer.state_count(), 0U);
    ASSERT_TRUE(open(node, O_RDONLY));
    EXPECT_THAT(peer.take_record(), Contains("OPEN"));
}

TEST_F(NfsDelegationTest, a_recall_that_overtakes_the_answer_is_heeded) {
    peer.recall_at_once();
    node = look_up("a");
    ASSERT_TRUE(open(node, O_RDONLY));
    EXPECT_TRUE(see());
    EXPECT_TRUE(peer.wait_for("DELEGRETURN"));
    EXPECT_EQ(peer.delegation_count(), 0U);
    EXPECT_EQ(counters().substr(0, 18), "delegations held=0");
}

TEST_F(NfsDelegationTest, what_nobody_has_cannot_be_recalled) {
    peer.add_file("b");
    open_a();
    look_up("b");
    peer.recall("b");
    EXPECT_TRUE(peer.wait_for("CB_RECALL bad_stateid"));
    EXPECT_EQ(peer.delegation_count(), 1U);
}

TEST_F(NfsDelegationTest, our_own_writer_ends_it) {
    open_a();
    ASSERT_TRUE(open(node, O_RDWR));
    EXPECT_TRUE(peer.wait_for("DELEGRETURN"));
    const auto reader = open(node, O_RDONLY);
    ASSERT_TRUE(reader);
    EXPECT_EQ(counters().substr(0, 18), "delegations held=0");
}

TEST_F(NfsDelegationTest, our_own_changes_end_it) {
    open_a();
    ASSERT_TRUE(see());
    fuse::SetAttributes change;
    change.mode = 0600;
    ASSERT_TRUE(run(fs().setattr(context(), node, change)));
    const auto seen = see();
    ASSERT_TRUE(seen);
    EXPECT_EQ(seen->attributes.mode & 07777, 0600U);
    EXPECT_TRUE(peer.wait_for("DELEGRETURN"));
}

TEST_F(NfsDelegationTest, a_name_that_we_remove_is_looked_at_again) {
    open_a();
    ASSERT_TRUE(see());
    peer.take_record();
    const auto name = fuse::Name::check("a").value();
    ASSERT_TRUE(run(fs().unlink(context(), fuse::root_node, name)));
    static_cast<void>(see());
    EXPECT_THAT(peer.take_record(), ElementsAre("REMOVE", "GETATTR"));
}

TEST_F(NfsDelegationTest, it_is_reclaimed_from_a_server_that_was_started_anew) {
    open_a();
    peer.restart();
    ASSERT_TRUE(read(node, file, 0, 1));
    EXPECT_EQ(peer.delegation_count(), 1U);
    peer.recall("a");
    EXPECT_TRUE(peer.wait_for("DELEGRETURN"));
    EXPECT_EQ(peer.delegation_count(), 0U);
}

TEST_F(NfsDelegationTest, one_that_is_wanted_back_as_it_comes_goes_back) {
    peer.want_back();
    node = look_up("a");
    ASSERT_TRUE(open(node, O_RDONLY));
    EXPECT_TRUE(peer.wait_for("DELEGRETURN"));
    EXPECT_EQ(counters(), "delegations held=0 used=0 recalled=0");
}

TEST_F(NfsDelegationTest, one_that_is_wanted_back_as_it_is_reclaimed_goes_back) {
    open_a();
    ASSERT_TRUE(release(node, file));
    peer.restart();
    peer.want_back();
    look_up("a");
    EXPECT_TRUE(peer.wait_for("DELEGRETURN"));
    EXPECT_EQ(peer.delegation_count(), 0U);
    EXPECT_EQ(peer.state_count(), 0U);
}

TEST_F(NfsDelegationTest, one_that_cannot_be_reclaimed_is_gone) {
    open_a();
    ASSERT_TRUE(release(node, file));
    peer.restart();
    peer.answer(Op::open, Status::no_grace);
    // The request that finds the restart.
    look_up("a");
    EXPECT_EQ(counters().substr(0, 18), "delegations held=0");
    ASSERT_TRUE(see());
    EXPECT_THAT(peer.take_record(), Contains("GETATTR"));
}

TEST_F(NfsDelegationTest, nothing_stays_when_the_tenant_goes) {
    open_a();
    ASSERT_TRUE(release(node, file));
    stop();
    EXPECT_EQ(peer.delegation_count(), 0U);
    EXPECT_EQ(peer.state_count(), 0U);
}

TEST_F(NfsDelegationTest, a_file_that_is_forgotten_is_kept_for_when_it_is_looked_up_again) {
    open_a();
    ASSERT_TRUE(release(node, file));
    forget(node);
    EXPECT_EQ(look_up("a"), node);
    ASSERT_TRUE(open(node, O_RDONLY));
    EXPECT_THAT(peer.take_record(), IsEmpty());
}

TEST_F(NfsDelegationTest, a_file_that_is_forgotten_can_be_recalled) {
    open_a();
    ASSERT_TRUE(release(node, file));
    forget(node);
    peer.recall("a");
    EXPECT_TRUE(peer.wait_for("DELEGRETURN"));
    EXPECT_EQ(peer.state_count(), 0U);
    EXPECT_NE(look_up("a"), node) << "nothing is left of it";
}

TEST_F(NfsDelegationTest, a_file_that_is_removed_and_forgotten_goes_back) {
    open_a();
    ASSERT_TRUE(release(node, file));
    const auto name = fuse::Name::check("a").value();
    ASSERT_TRUE(run(fs().unlink(context(), fuse::root_node, name)));
    forget(node);
    EXPECT_TRUE(peer.wait_for("DELEGRETURN"));
    EXPECT_EQ(peer.state_count(), 0U);
}

TEST_F(NfsDelegationTest, of_too_many_that_are_forgotten_the_oldest_goes_back) {
    open_a();
    ASSERT_TRUE(release(node, file));
    forget(node);
    for (std::size_t i = 0; i < Delegations::forgotten_count_max; ++i) {
        const std::string name = fmt::format("b{}", i);
        peer.add_file(name);
        const fuse::NodeId other = look_up(name);
        const auto opened = open(other, O_RDONLY);
        ASSERT_TRUE(opened);
        ASSERT_TRUE(release(other, opened->handle));
        forget(other);
    }
    EXPECT_TRUE(peer.wait_for("DELEGRETURN"));
    EXPECT_EQ(peer.delegation_count(), Delegations::forgotten_count_max);
    EXPECT_NE(look_up("a"), node);
}

TEST_F(NfsDelegationTest, a_server_that_wants_fewer_gets_the_forgotten_ones_first) {
    open_a();
    peer.add_file("b");
    const fuse::NodeId other = look_up("b");
    const auto opened = open(other, O_RDONLY);
    ASSERT_TRUE(opened);
    ASSERT_TRUE(release(other, opened->handle));
    forget(other);
    peer.take_record();
    peer.recall_any(1);
    ASSERT_TRUE(peer.wait_for("DELEGRETURN"));
    ASSERT_TRUE(open(node, O_RDONLY));
    EXPECT_EQ(counters(), "delegations held=1 used=0 recalled=1");
    peer.take_record();
    peer.recall_any(0);
    EXPECT_TRUE(peer.wait_for("DELEGRETURN"));
    EXPECT_EQ(peer.delegation_count(), 0U);
    EXPECT_TRUE(read(node, file, 0, 1)) << "it is still open";
}

TEST_F(NfsDelegationTest, its_name_is_vouched_for_and_the_return_waits_for_that) {
    options.attributes_valid = milliseconds(300);
    open_a();
    const Instant before = reactor().now();
    const auto entry = look_up_entry("a");
    ASSERT_TRUE(entry);
    EXPECT_EQ(entry->entry_valid, milliseconds(300));
    peer.recall("a");
    ASSERT_TRUE(peer.wait_for("CB_RECALL ok"));
    const auto after = look_up_entry("a");
    ASSERT_TRUE(after);
    EXPECT_EQ(after->entry_valid, Duration{});
    EXPECT_TRUE(peer.wait_for("DELEGRETURN"));
    EXPECT_GE(reactor().now(), before + milliseconds(300));
}

TEST_F(NfsDelegationTest, what_was_configured_of_names_is_vouched_for_by_the_operator) {
    options.entry_valid = milliseconds(10);
    open_a();
    const auto entry = look_up_entry("a");
    ASSERT_TRUE(entry);
    EXPECT_EQ(entry->entry_valid, milliseconds(10));
}

TEST_F(NfsDelegationTest, devices_that_share_a_client_take_none) {
    options.shared_client = "together";
    open_a();
    EXPECT_EQ(peer.delegation_count(), 0U);
}

TEST_F(NfsDelegationTest, none_is_taken_where_the_options_say_so) {
    options.delegations = false;
    open_a();
    EXPECT_EQ(peer.delegation_count(), 0U);
}

}  // namespace
}  // namespace dpfs::nfs
