// SPDX-License-Identifier: Apache-2.0
// Opens and locks at a server that restarts, has no time, or is away at the wrong moment:
// nothing is left there that nobody knows of, and nothing held is forgotten.
#include "nfs_fixture.hpp"

#include <gmock/gmock.h>

namespace dpfs::nfs {
namespace {

using nfs4::Op;
using nfs4::Status;
using testing::ElementsAre;
using testing::IsEmpty;

using NfsStateTest = NfsTest;

TEST_F(NfsStateTest, an_open_that_is_given_up_is_closed_when_the_server_answers) {
    peer.add_file("a");
    const fuse::NodeId node = look_up("a");
    peer.stay_away(true);
    auto opening = begin(fs().open(context(), node, {.flags = O_RDWR}));
    ASSERT_TRUE(peer.wait_for("OPEN"));
    cancel();
    EXPECT_EQ(opening.get().error(), Errno::canceled);
    peer.stay_away(false);
    EXPECT_TRUE(peer.wait_for("CLOSE"));
    EXPECT_EQ(peer.state_count(), 0U);
}

TEST_F(NfsStateTest, file_systems_are_asked_about_when_the_server_has_moved_one) {
    peer.add_file("a");
    const fuse::NodeId node = look_up("a");
    const auto file = open(node);
    peer.take_record();
    peer.say(nfs4::sequence_status::lease_moved);
    peer.answer(Op::getattr, Status::moved);
    ASSERT_TRUE(read(node, file->handle, 0, 1));
    EXPECT_TRUE(peer.wait_for("GETATTR"));
    ASSERT_TRUE(release(node, file->handle));
}

TEST_F(NfsStateTest, a_creation_that_is_given_up_is_closed_when_the_server_answers) {
    start();
    peer.stay_away(true);
    auto creating =
        begin(fs().create(context(),
                          fuse::root_node,
                          fuse::Name::check("new").value(),
                          {.flags = O_RDWR, .mode = 0600, .umask = 0, .security = {}}));
    ASSERT_TRUE(peer.wait_for("OPEN"));
    cancel();
    EXPECT_EQ(creating.get().error(), Errno::canceled);
    peer.stay_away(false);
    EXPECT_TRUE(peer.wait_for("CLOSE"));
    EXPECT_EQ(peer.state_count(), 0U);
}

TEST_F(NfsStateTest, a_lock_that_is_given_up_is_undone_when_the_server_answers) {
    peer.add_file("a");
    const fuse::NodeId node = look_up("a");
    const auto file = open(node);
    peer.stay_away(true);
    auto locking = begin(fs().setlk(context(), node, file->handle, lock_of(0, 9)));
    ASSERT_TRUE(peer.wait_for("LOCK"));
    cancel();
    EXPECT_EQ(locking.get().error(), Errno::canceled);
    peer.stay_away(false);
    EXPECT_TRUE(peer.wait_for("LOCKU"));
}

TEST_F(NfsStateTest, a_lock_that_is_given_up_leaves_what_was_held_before) {
    peer.add_file("a");
    const fuse::NodeId node = look_up("a");
    const auto file = open(node);
    ASSERT_TRUE(run(fs().setlk(context(), node, file->handle, lock_of(0, 4, F_RDLCK))));
    peer.take_record();
    peer.stay_away(true);
    auto locking = begin(fs().setlk(context(), node, file->handle, lock_of(0, 9)));
    ASSERT_TRUE(peer.wait_for("LOCK"));
    cancel();
    EXPECT_FALSE(locking.get());
    peer.stay_away(false);
    ASSERT_TRUE(peer.wait_for("LOCKU"));
    // Back to a lock for reading, then free behind it.
    EXPECT_THAT(peer.take_record(), ElementsAre("LOCK", "LOCK", "LOCKU"));
}

TEST_F(NfsStateTest, a_lock_under_way_while_the_server_restarts_keeps_the_reclaimed_ones) {
    peer.add_file("a");
    const fuse::NodeId node = look_up("a");
    const auto file = open(node);
    ASSERT_TRUE(run(fs().setlk(context(), node, file->handle, lock_of(0, 9))));
    // The request is made for the old state, and comes to the server after the reclaim.
    peer.restart();
    ASSERT_TRUE(run(fs().setlk(context(), node, file->handle, lock_of(20, 29))));
    peer.take_record();
    peer.restart();
    ASSERT_TRUE(read(node, file->handle, 0, 1));
    const auto record = peer.take_record();
    EXPECT_EQ(std::ranges::count(record, "LOCK"), 2) << "both ranges are reclaimed";
}

TEST_F(NfsStateTest, a_lock_that_is_given_up_is_undone_before_its_owner_asks_again) {
    peer.add_file("a");
    const fuse::NodeId node = look_up("a");
    const auto file = open(node);
    const auto other = open(node);
    peer.stay_away(true);
    auto locking = begin(fs().setlk(context(), node, file->handle, lock_of(0, 9)));
    ASSERT_TRUE(peer.wait_for("LOCK"));
    cancel();
    EXPECT_FALSE(locking.get());
    peer.take_record();
    auto again = begin(fs().setlk(context(), node, other->handle, lock_of(0, 9)));
    peer.stay_away(false);
    EXPECT_TRUE(again.get());
    EXPECT_THAT(peer.take_record(), ElementsAre("LOCKU", "LOCK"));
}

TEST_F(NfsStateTest, a_lock_that_is_given_up_is_undone_before_its_file_is_closed) {
    peer.add_file("a");
    const fuse::NodeId node = look_up("a");
    const auto file = open(node);
    peer.stay_away(true);
    auto locking = begin(fs().setlk(context(), node, file->handle, lock_of(0, 9)));
    ASSERT_TRUE(peer.wait_for("LOCK"));
    cancel();
    EXPECT_FALSE(locking.get());
    peer.take_record();
    auto closing = begin(fs().release(context(), node, file->handle, {}));
    peer.stay_away(false);
    EXPECT_TRUE(closing.get());
    EXPECT_THAT(peer.take_record(), ElementsAre("LOCKU", "FREE_STATEID", "CLOSE"));
    EXPECT_EQ(peer.state_count(), 0U);
}

TEST_F(NfsStateTest, an_open_that_takes_too_long_is_closed_when_the_server_answers) {
    options.client.request_time_max = milliseconds(200);
    peer.add_file("a");
    const fuse::NodeId node = look_up("a");
    peer.stay_away(true);
    auto opening = begin(fs().open(context(), node, {.flags = O_RDWR}));
    EXPECT_EQ(opening.get().error(), Errno::timed_out);
    peer.stay_away(false);
    EXPECT_TRUE(peer.wait_for("CLOSE"));
    EXPECT_EQ(peer.state_count(), 0U);
}

TEST_F(NfsStateTest, a_lock_that_takes_too_long_is_undone_when_the_server_answers) {
    options.client.request_time_max = milliseconds(200);
    peer.add_file("a");
    const fuse::NodeId node = look_up("a");
    const auto file = open(node);
    peer.stay_away(true);
    auto locking = begin(fs().setlk(context(), node, file->handle, lock_of(0, 9)));
    EXPECT_EQ(locking.get().error(), Errno::timed_out);
    peer.stay_away(false);
    EXPECT_TRUE(peer.wait_for("LOCKU"));
}

TEST_F(NfsStateTest, a_close_that_takes_too_long_is_made_all_the_same) {
    options.client.request_time_max = milliseconds(200);
    peer.add_file("a");
    const fuse::NodeId node = look_up("a");
    const auto file = open(node);
    const auto locked = open(node);
    ASSERT_TRUE(run(fs().setlk(context(), node, locked->handle, lock_of(0, 9))));
    peer.stay_away(true);
    EXPECT_EQ(release(node, file->handle).error(), Errno::timed_out);
    EXPECT_EQ(release(node, locked->handle).error(), Errno::timed_out);
    peer.stay_away(false);
    ASSERT_TRUE(peer.wait_for("FREE_STATEID"));
    EXPECT_TRUE(read(look_up("a"), open(node)->handle, 0, 1));  // behind both
    EXPECT_EQ(peer.state_count(), 1U);
}

TEST_F(NfsStateTest, a_file_that_is_being_opened_while_the_server_restarts_is_reclaimed) {
    peer.add_file("a");
    const fuse::NodeId node = look_up("a");
    peer.take_record();
    peer.answer(Op::getattr, Status::delay, 5);  // 0.6 s between OPEN and its end
    auto opening = begin(fs().open(context(), node, {.flags = O_RDWR}));
    ASSERT_TRUE(peer.wait_for("OPEN"));
    peer.restart();
    ASSERT_TRUE(opening.get());
    EXPECT_EQ(peer.state_count(), 1U);
}

TEST_F(NfsStateTest, an_unlock_under_way_while_the_server_restarts_is_made_again) {
    peer.add_file("a");
    const fuse::NodeId node = look_up("a");
    const auto file = open(node);
    ASSERT_TRUE(run(fs().setlk(context(), node, file->handle, lock_of(0, 9))));
    ASSERT_TRUE(run(fs().setlk(context(), node, file->handle, lock_of(20, 29))));
    peer.take_record();
    peer.restart();
    ASSERT_TRUE(run(fs().setlk(context(), node, file->handle, lock_of(0, 9, F_UNLCK))));
    const auto record = peer.take_record();
    // The server may have unlocked it before, and given it to another: it is not reclaimed.
    EXPECT_EQ(std::ranges::count(record, "LOCK"), 1);
    EXPECT_EQ(record.back(), "LOCKU");
}

TEST_F(NfsStateTest, a_reclaim_outlasts_the_time_that_requests_have) {
    options.client.request_time_max = milliseconds(200);
    peer.add_file("a");
    const fuse::NodeId node = look_up("a");
    const auto file = open(node);
    ASSERT_TRUE(run(fs().setlk(context(), node, file->handle, lock_of(0, 9))));
    peer.restart();
    peer.answer(Op::open, Status::grace, 6);  // 1.3 s in all
    peer.take_record();
    EXPECT_EQ(read(node, file->handle, 0, 1).error(), Errno::timed_out);
    ASSERT_TRUE(peer.wait_for("LOCK"));
    // A lock that was lost would make it EIO.
    EXPECT_TRUE(read(node, file->handle, 0, 1));
}

TEST_F(NfsStateTest, a_lease_that_sequence_says_is_over_ends_no_request) {
    peer.add_file("a");
    const fuse::NodeId node = look_up("a");
    const auto file = open(node);
    peer.answer(Op::sequence, Status::expired);
    EXPECT_TRUE(write(node, file->handle, 0, "x"));
}

TEST_F(NfsStateTest, what_comes_late_in_an_open_is_asked_for_again) {
    peer.add_file("a");
    const fuse::NodeId node = look_up("a");
    peer.answer(Op::getattr, Status::delay);
    EXPECT_TRUE(open(node));
    EXPECT_EQ(peer.state_count(), 1U);
}

TEST_F(NfsStateTest, a_creation_whose_later_steps_fail_leaves_nothing_open) {
    start();
    peer.answer(Op::getattr, Status::io, 2);
    const auto made =
        run(fs().create(context(),
                        fuse::root_node,
                        fuse::Name::check("new").value(),
                        {.flags = O_RDWR, .mode = 0600, .umask = 0, .security = {}}));
    EXPECT_EQ(made.error(), Errno::io_error);
    EXPECT_EQ(peer.state_count(), 0U);
}

TEST_F(NfsStateTest, a_creation_whose_handle_never_comes_leaves_nothing_open) {
    start();
    peer.answer(Op::getfh, Status::io, 2);
    const auto made =
        run(fs().create(context(),
                        fuse::root_node,
                        fuse::Name::check("new").value(),
                        {.flags = O_RDWR, .mode = 0600, .umask = 0, .security = {}}));
    EXPECT_EQ(made.error(), Errno::io_error);
    EXPECT_EQ(peer.state_count(), 0U);
}

TEST_F(NfsStateTest, a_creation_whose_later_steps_have_to_wait_succeeds) {
    start();
    peer.answer(Op::getfh, Status::delay);
    const auto made =
        run(fs().create(context(),
                        fuse::root_node,
                        fuse::Name::check("new").value(),
                        {.flags = O_RDWR, .mode = 0600, .umask = 0, .security = {}}));
    ASSERT_TRUE(made);
    EXPECT_EQ(peer.state_count(), 1U);
}

TEST_F(NfsStateTest, what_an_exclusive_creation_did_not_set_is_set) {
    start();
    peer.set_nothing_exclusively();
    const auto made =
        run(fs().create(context(),
                        fuse::root_node,
                        fuse::Name::check("new").value(),
                        {.flags = O_RDWR | O_EXCL, .mode = 0640, .umask = 0, .security = {}}));
    ASSERT_TRUE(made);
    EXPECT_EQ(peer.mode_of("new"), 0640U);
}

TEST_F(NfsStateTest, times_of_an_exclusive_creation_are_not_its_verifier) {
    start();
    const auto made =
        run(fs().create(context(),
                        fuse::root_node,
                        fuse::Name::check("new").value(),
                        {.flags = O_RDWR | O_EXCL, .mode = 0640, .umask = 0, .security = {}}));
    ASSERT_TRUE(made);
    EXPECT_EQ(made->entry.attributes.atime, made->entry.attributes.ctime);
    EXPECT_EQ(made->entry.attributes.mtime, made->entry.attributes.ctime);
}

TEST_F(NfsStateTest, two_who_find_an_open_forgotten_open_it_once) {
    peer.add_file("a");
    const fuse::NodeId node = look_up("a");
    const auto file = open(node);
    peer.forget_states();
    std::array<char, 4> bytes = {};
    const iovec to = {.iov_base = bytes.data(), .iov_len = bytes.size()};
    const fuse::ReadRequest request = {.offset = 0, .size = 4, .flags = 0};
    peer.stay_away(true);
    auto first = begin(fs().read(context(), node, file->handle, request, std::span(&to, 1)));
    auto second = begin(fs().read(context(), node, file->handle, request, std::span(&to, 1)));
    peer.stay_away(false);
    EXPECT_TRUE(first.get());
    EXPECT_TRUE(second.get());
    EXPECT_EQ(peer.state_count(), 1U);
    EXPECT_TRUE(release(node, file->handle));
    EXPECT_EQ(peer.state_count(), 0U);
}

TEST(OpenFile, keeps_the_state_of_the_newest_server) {
    const auto named = [](int name) {
        return nfs4::StateId{.sequence = 1, .other = {std::byte(name)}};
    };
    OpenFile file;
    file.set_state(named(1), 1);
    file.set_state(named(2), 2);  // reclaimed
    EXPECT_FALSE(file.replace_state(named(1), named(3), 2)) << "somebody was first";
    EXPECT_TRUE(file.replace_state(named(1), named(4), 3)) << "the reclaimed one is void";
    EXPECT_EQ(file.current_state().other, named(4).other);
    EXPECT_FALSE(file.replace_state(named(4), named(4), 4)) << "it was not forgotten";
}

TEST_F(NfsStateTest, a_file_without_locks_is_usable_when_another_has_lost_its) {
    peer.add_file("a");
    const fuse::NodeId node = look_up("a");
    const auto locked = open(node);
    const auto other = open(node);
    ASSERT_TRUE(run(fs().setlk(context(), node, locked->handle, lock_of(0, 9))));
    peer.forget_states();
    EXPECT_TRUE(read(node, other->handle, 0, 1));
    EXPECT_FALSE(write(node, locked->handle, 0, "without the lock"));
    EXPECT_EQ(peer.data_of("a"), "");
    EXPECT_TRUE(read(node, other->handle, 0, 1));
}

TEST_F(NfsStateTest, a_close_between_two_attempts_of_a_reclaim_leaves_nothing_open) {
    peer.add_file("a");
    const fuse::NodeId node = look_up("a");
    const auto file = open(node);
    peer.restart();
    peer.lose_answer(Op::open);
    auto asking = begin(fs().lookup(context(), fuse::root_node, *fuse::Name::check("a")));
    ASSERT_TRUE(peer.wait_for("hung up"));
    auto closing = begin(fs().release(context(), node, file->handle, {}));
    // Behind the release's beginning, on the same thread.
    EXPECT_EQ(release(node, file->handle).error(), Errno::bad_descriptor);
    peer.stay_away(false);
    EXPECT_TRUE(asking.get());
    EXPECT_TRUE(closing.get());
    EXPECT_EQ(peer.state_count(), 0U);
}

TEST_F(NfsStateTest, a_close_that_meets_a_reclaim_closes_what_that_has_opened) {
    peer.add_file("a");
    const fuse::NodeId node = look_up("a");
    const auto file = open(node);
    peer.take_record();
    peer.restart();
    // CLOSE finds that the session is gone; the file is still one to reclaim.
    EXPECT_TRUE(release(node, file->handle));
    const auto record = peer.take_record();
    EXPECT_EQ(std::ranges::count(record, "OPEN"), 1);
    EXPECT_EQ(std::ranges::count(record, "CLOSE"), 2) << "by the old name, by the new one";
    EXPECT_EQ(peer.state_count(), 0U);
}

TEST_F(NfsStateTest, a_reclaim_whose_answer_was_lost_and_that_is_refused_leaves_nothing_open) {
    peer.add_file("a");
    const fuse::NodeId node = look_up("a");
    const auto file = open(node);
    peer.restart();
    peer.lose_answer(Op::open, Status::no_grace);
    auto asking = begin(fs().lookup(context(), fuse::root_node, *fuse::Name::check("a")));
    ASSERT_TRUE(peer.wait_for("hung up"));
    peer.stay_away(false);
    EXPECT_TRUE(asking.get());
    EXPECT_EQ(peer.state_count(), 1U) << "by a name that nobody has heard";
    EXPECT_TRUE(release(node, file->handle));
    EXPECT_EQ(peer.state_count(), 0U);
}

TEST_F(NfsStateTest, truncation_and_allocation_open_again_what_is_forgotten) {
    peer.add_file("a");
    const fuse::NodeId node = look_up("a");
    const auto file = open(node);
    peer.forget_states();
    fuse::SetAttributes change;
    change.handle = file->handle;
    change.size = 5;
    EXPECT_TRUE(run(fs().setattr(context(), node, change)));
    peer.forget_states();
    EXPECT_TRUE(run(fs().fallocate(context(), node, file->handle, 0, 0, 10)));
}

TEST_F(NfsStateTest, a_mount_ends_in_time_though_the_server_is_away) {
    peer.add_file("a");
    const fuse::NodeId node = look_up("a");
    ASSERT_TRUE(open(node));
    peer.stay_away(true);
    const auto before = std::chrono::steady_clock::now();
    run(fs().destroy(reactor()));
    EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(6));
    peer.stay_away(false);
    EXPECT_TRUE(peer.wait_for("CLOSE"));
}

TEST_F(NfsStateTest, many_files_that_the_server_has_forgotten_are_few_lines_in_the_log) {
    peer.add_file("a");
    const fuse::NodeId node = look_up("a");
    std::vector<fuse::FileHandle> files;
    for (int i = 0; i < 200; ++i) files.push_back(open(node)->handle);
    peer.forget_states();
    const int before = log_line_count();
    for (const fuse::FileHandle file : files) ASSERT_TRUE(read(node, file, 0, 1));
    const int count = log_line_count() - before;
    EXPECT_GE(count, 1);
    EXPECT_LT(count, 100) << "four, and one for each second";
}

TEST_F(NfsStateTest, set_id_bits_that_the_server_keeps_are_cleared) {
    peer.add_file("a", 06755);
    const fuse::NodeId node = look_up("a");
    const auto file = open(node);
    ASSERT_TRUE(write(node, file->handle, 0, "x"));
    EXPECT_EQ(peer.mode_of("a"), 0755U);
}

TEST_F(NfsStateTest, a_truncation_by_another_clears_set_id_bits) {
    peer.add_file("a", 04755);
    const fuse::NodeId node = look_up("a");
    fuse::SetAttributes change;
    change.size = 0;
    change.kill_suid_gid = true;
    const auto changed = run(fs().setattr(context(), node, change));
    ASSERT_TRUE(changed);
    EXPECT_EQ(changed->attributes.mode & 07777, 0755U);
    EXPECT_EQ(peer.mode_of("a"), 0755U);
}

}  // namespace
}  // namespace dpfs::nfs
