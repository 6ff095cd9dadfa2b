// SPDX-License-Identifier: Apache-2.0
// Unstable writes: what a tenant was told is written survives the server's restart, and what it
// was told is durable is on the server's disk.
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

class NfsCommitTest : public NfsTest {
  protected:
    void open_a() {
        peer.add_file("a");
        node = look_up("a");
        file = open(node)->handle;
        peer.take_record();
    }
    Result<void> fsync() { return run(fs().fsync(context(), node, file, false)); }
    Result<void> flush() { return run(fs().flush(context(), node, file, fuse::LockOwner{1})); }

    fuse::NodeId node{};
    fuse::FileHandle file{};
};

TEST_F(NfsCommitTest, data_survive_a_restart_before_they_are_committed) {
    open_a();
    ASSERT_TRUE(write(node, file, 0, "first"));
    ASSERT_TRUE(write(node, file, 3, "second"));
    peer.restart();
    EXPECT_EQ(read(node, file, 0, 20).value(), "firsecond");
}

TEST_F(NfsCommitTest, a_commit_after_a_restart_makes_durable_what_was_sent_again) {
    open_a();
    ASSERT_TRUE(write(node, file, 0, "data"));
    peer.restart();
    ASSERT_TRUE(fsync());
    peer.restart();
    EXPECT_EQ(peer.data_of("a"), "data");
}

TEST_F(NfsCommitTest, another_verifier_without_a_restart_sends_again) {
    open_a();
    ASSERT_TRUE(write(node, file, 0, "data"));
    peer.lose_memory();
    ASSERT_TRUE(fsync());
    EXPECT_THAT(peer.take_record(), ElementsAre("WRITE", "COMMIT", "WRITE", "COMMIT"));
    EXPECT_EQ(peer.data_of("a"), "data");
}

TEST_F(NfsCommitTest, newer_data_are_written_again_after_what_was_lost_before_them) {
    open_a();
    ASSERT_TRUE(write(node, file, 0, "old data"));
    // Linux changes its verifier while it lives, when its disk has refused something.
    peer.lose_memory();
    ASSERT_TRUE(write(node, file, 0, "new"));
    ASSERT_TRUE(write(node, file, 2, "west"));
    ASSERT_TRUE(write(node, file, 100, "apart"));
    ASSERT_TRUE(fsync());
    EXPECT_EQ(peer.data_of("a").substr(0, 8), "newestta");
    const auto record = peer.take_record();
    EXPECT_EQ(std::ranges::count(record, "WRITE"), 4 + 3) << "not what lies apart";
}

TEST_F(NfsCommitTest, data_survive_a_restart_while_their_file_is_being_closed) {
    open_a();
    const fuse::FileHandle other = open(node)->handle;
    ASSERT_TRUE(write(node, file, 0, "data"));
    constexpr int for_ever = 1'000'000;
    peer.answer(Op::commit, Status::delay, for_ever);
    auto releasing = begin(fs().release(context(), node, file, {}));
    ASSERT_TRUE(peer.wait_for("COMMIT"));
    peer.restart();
    EXPECT_EQ(read(node, other, 0, 4).value(), "data");
    peer.answer(Op::commit, Status::ok, 0);
    EXPECT_TRUE(releasing.get());
}

TEST_F(NfsCommitTest, what_was_written_under_a_lock_that_is_lost_is_not_sent_again) {
    open_a();
    const fuse::FileHandle other = open(node)->handle;
    ASSERT_TRUE(run(fs().setlk(context(), node, file, lock_of(0, 9))));
    ASSERT_TRUE(write(node, file, 0, "older"));
    peer.forget_states();
    EXPECT_FALSE(write(node, file, 0, "lost"));
    ASSERT_TRUE(write(node, other, 0, "newer", O_SYNC));
    peer.restart();
    EXPECT_EQ(read(node, other, 0, 5).value(), "newer");
}

TEST_F(NfsCommitTest, what_is_committed_is_not_sent_again) {
    open_a();
    ASSERT_TRUE(write(node, file, 0, "data"));
    ASSERT_TRUE(fsync());
    peer.restart();
    peer.take_record();
    ASSERT_TRUE(read(node, file, 0, 4));
    EXPECT_THAT(peer.take_record(), Not(Contains("WRITE")));
}

TEST_F(NfsCommitTest, closing_commits) {
    open_a();
    ASSERT_TRUE(write(node, file, 0, "data"));
    peer.take_record();
    ASSERT_TRUE(flush());
    EXPECT_THAT(peer.take_record(), ElementsAre("COMMIT"));
    ASSERT_TRUE(release(node, file));
    EXPECT_THAT(peer.take_record(), ElementsAre("CLOSE"));
}

TEST_F(NfsCommitTest, closing_reports_that_the_disk_is_full) {
    open_a();
    ASSERT_TRUE(write(node, file, 0, "data"));
    peer.answer(Op::commit, Status::nospc);
    EXPECT_EQ(flush().error(), Errno::no_space);
}

TEST_F(NfsCommitTest, a_synchronous_write_is_stable) {
    open_a();
    ASSERT_TRUE(write(node, file, 0, "data", O_SYNC));
    peer.restart();
    EXPECT_EQ(peer.data_of("a"), "data");
}

TEST_F(NfsCommitTest, older_data_do_not_come_back_over_a_synchronous_write) {
    open_a();
    ASSERT_TRUE(write(node, file, 0, "older"));
    ASSERT_TRUE(write(node, file, 0, "newer", O_SYNC));
    peer.restart();
    EXPECT_EQ(read(node, file, 0, 5).value(), "newer");
}

TEST_F(NfsCommitTest, older_data_do_not_come_back_over_what_the_server_made_stable_itself) {
    open_a();
    ASSERT_TRUE(write(node, file, 0, "older"));
    peer.answer_writes(nfs4::Stable::file);
    ASSERT_TRUE(write(node, file, 0, "newer"));
    peer.restart();
    EXPECT_EQ(read(node, file, 0, 5).value(), "newer");
}

TEST_F(NfsCommitTest, older_data_do_not_come_back_after_a_truncation) {
    open_a();
    ASSERT_TRUE(write(node, file, 0, "data"));
    fuse::SetAttributes change;
    change.size = 0;
    change.handle = file;
    ASSERT_TRUE(run(fs().setattr(context(), node, change)));
    peer.restart();
    EXPECT_EQ(read(node, file, 0, 5).value(), "");
}

TEST_F(NfsCommitTest, older_data_do_not_come_back_after_a_truncating_open) {
    open_a();
    ASSERT_TRUE(write(node, file, 0, "data"));
    ASSERT_TRUE(open(node, O_WRONLY | O_TRUNC));
    peer.restart();
    EXPECT_EQ(read(node, file, 0, 5).value(), "");
}

TEST_F(NfsCommitTest, what_goes_beyond_the_room_is_stable) {
    options.uncommitted_size_max = 8;
    open_a();
    ASSERT_TRUE(write(node, file, 0, "123456"));
    ASSERT_TRUE(write(node, file, 6, "789"));
    peer.restart();
    EXPECT_EQ(peer.data_of("a"), "123456789");
}

TEST_F(NfsCommitTest, a_part_of_the_room_is_committed_beside_the_writing) {
    options.uncommitted_size_max = 16;
    open_a();
    ASSERT_TRUE(write(node, file, 0, "1234"));
    EXPECT_TRUE(peer.wait_for("COMMIT"));
}

TEST_F(NfsCommitTest, a_write_answered_before_a_restart_and_seen_after_it_is_made_again) {
    open_a();
    peer.stay_away(true);
    std::string data = "data";
    const iovec from = {.iov_base = data.data(), .iov_len = data.size()};
    const fuse::WriteRequest request = {
        .offset = 0, .size = 4, .flags = 0, .from_page_cache = false, .kill_suid_gid = false};
    auto writing = begin(fs().write(context(), node, file, request, std::span(&from, 1)));
    ASSERT_TRUE(peer.wait_for("WRITE"));
    peer.restart();
    peer.stay_away(false);
    ASSERT_TRUE(writing.get());
    EXPECT_EQ(read(node, file, 0, 4).value(), "data");
}

TEST_F(NfsCommitTest, stable_writes_need_no_commit_at_the_end) {
    options.writes = WriteMode::stable;
    open_a();
    ASSERT_TRUE(write(node, file, 0, "data"));
    ASSERT_TRUE(flush());
    EXPECT_THAT(peer.take_record(), ElementsAre("WRITE"));
    peer.restart();
    EXPECT_EQ(peer.data_of("a"), "data");
}

TEST_F(NfsCommitTest, a_server_that_is_less_careful_than_asked_is_not_believed) {
    options.writes = WriteMode::stable;
    open_a();
    peer.answer_writes(nfs4::Stable::unstable);
    EXPECT_EQ(write(node, file, 0, "data").error(), Errno::io_error);
}

}  // namespace
}  // namespace dpfs::nfs
