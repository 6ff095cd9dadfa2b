// SPDX-License-Identifier: Apache-2.0
// An open file that is removed keeps a hidden name at a server that needs that, and nothing of
// it stays behind.
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
using testing::StartsWith;

class NfsSillyRenameTest : public NfsTest {
  protected:
    NfsSillyRenameTest() {
        options.silly_rename = SillyRename::automatic;
        peer.add_file("a");
    }
    void open_a() {
        node_ = look_up("a");
        const auto opened = open(node_);
        ASSERT_TRUE(opened);
        handle_ = opened->handle;
        peer.take_record();
    }
    static fuse::Name name(const char* text) { return fuse::Name::check(text).value(); }
    Result<void> unlink(const char* text) {
        return run(fs().unlink(context(), fuse::root_node, name(text)));
    }
    Result<void> rename(const char* from, const char* to) {
        return run(
            fs().rename(context(), fuse::root_node, name(from), fuse::root_node, name(to), 0));
    }
    std::uint32_t link_count() {
        return run(fs().getattr(context(), node_, handle_))->attributes.nlink;
    }

    fuse::NodeId node_ = {};
    fuse::FileHandle handle_ = {};
};

TEST_F(NfsSillyRenameTest, an_open_file_is_hidden_until_it_is_closed) {
    open_a();
    EXPECT_EQ(link_count(), 1U);
    ASSERT_TRUE(unlink("a"));
    EXPECT_THAT(peer.names(), ElementsAre(StartsWith(".nfs")));
    EXPECT_EQ(link_count(), 0U);
    ASSERT_TRUE(release(node_, handle_));
    EXPECT_THAT(peer.names(), IsEmpty());
}

TEST_F(NfsSillyRenameTest, only_the_last_close_removes_it) {
    open_a();
    const auto other = open(node_);
    ASSERT_TRUE(unlink("a"));
    ASSERT_TRUE(release(node_, handle_));
    EXPECT_THAT(peer.names(), ElementsAre(StartsWith(".nfs")));
    ASSERT_TRUE(release(node_, other->handle));
    EXPECT_THAT(peer.names(), IsEmpty());
}

TEST_F(NfsSillyRenameTest, the_end_of_the_mount_removes_it) {
    open_a();
    ASSERT_TRUE(unlink("a"));
    run(fs().destroy(reactor()));
    EXPECT_THAT(peer.names(), IsEmpty());
}

TEST_F(NfsSillyRenameTest, a_file_that_is_renamed_over_is_hidden_without_a_gap) {
    peer.add_file("b");
    open_a();
    ASSERT_TRUE(rename("b", "a"));
    EXPECT_THAT(peer.take_record(), ElementsAre("LOOKUP", "GETATTR", "LINK", "RENAME"));
    EXPECT_THAT(peer.names(), ElementsAre(StartsWith(".nfs"), "a"));
    EXPECT_EQ(link_count(), 0U);
    ASSERT_TRUE(release(node_, handle_));
    EXPECT_THAT(peer.names(), ElementsAre("a"));
}

TEST_F(NfsSillyRenameTest, a_rename_that_fails_leaves_everything_as_it_was) {
    peer.add_file("b");
    open_a();
    peer.answer(Op::rename, Status::access);
    EXPECT_FALSE(rename("b", "a"));
    EXPECT_THAT(peer.names(), ElementsAre("a", "b"));
    EXPECT_EQ(link_count(), 1U);
}

TEST_F(NfsSillyRenameTest, a_removal_that_fails_leaves_everything_as_it_was) {
    open_a();
    peer.answer(Op::rename, Status::access);
    EXPECT_FALSE(unlink("a"));
    EXPECT_THAT(peer.names(), ElementsAre("a"));
    ASSERT_TRUE(release(node_, handle_));
    EXPECT_THAT(peer.names(), ElementsAre("a"));
}

TEST_F(NfsSillyRenameTest, a_removal_that_is_given_up_is_brought_to_its_end) {
    open_a();
    peer.stay_away(true);
    auto removing = begin(fs().unlink(context(), fuse::root_node, name("a")));
    ASSERT_TRUE(peer.wait_for("LOOKUP"));
    peer.stay_away(false);
    ASSERT_TRUE(removing.get());
    ASSERT_TRUE(release(node_, handle_));
    EXPECT_THAT(peer.names(), IsEmpty());
}

TEST_F(NfsSillyRenameTest, a_file_that_nobody_has_open_is_removed) {
    open_a();
    ASSERT_TRUE(release(node_, handle_));
    ASSERT_TRUE(unlink("a"));
    EXPECT_THAT(peer.names(), IsEmpty());
    EXPECT_THAT(peer.take_record(), Not(Contains("RENAME")));
}

TEST_F(NfsSillyRenameTest, a_server_that_keeps_open_files_itself_needs_none) {
    peer.keep_removed_files();
    open_a();
    ASSERT_TRUE(unlink("a"));
    EXPECT_THAT(peer.names(), IsEmpty());
}

TEST_F(NfsSillyRenameTest, never_is_never) {
    options.silly_rename = SillyRename::never;
    open_a();
    ASSERT_TRUE(unlink("a"));
    EXPECT_THAT(peer.names(), IsEmpty());
    EXPECT_THAT(peer.take_record(), ElementsAre("REMOVE"));
}

}  // namespace
}  // namespace dpfs::nfs
