// SPDX-License-Identifier: Apache-2.0
// Two file systems with one client of their server.
#include "nfs_fixture.hpp"

#include <gmock/gmock.h>

namespace dpfs::nfs {
namespace {

class NfsShareTest : public NfsTest {
  protected:
    NfsShareTest() {
        options.shared_client = "both";
        peer.add_file("a");
        first_node = look_up("a");
        first_file = open(first_node)->handle;
        second = make_fs();
        const auto found =
            run(second->lookup(context(), fuse::root_node, fuse::Name::check("a").value()));
        second_node = found->node;
        second_file = run(second->open(context(), second_node, {.flags = O_RDWR}))->handle;
        peer.take_record();
    }
    ~NfsShareTest() override {
        if (second) end(std::move(second));
    }
    Result<void> lock_by_second() {
        return run(second->setlk(context(), second_node, second_file, lock_of(20, 29)));
    }

    fuse::NodeId first_node;
    fuse::FileHandle first_file;
    std::unique_ptr<NfsFs> second;
    fuse::NodeId second_node;
    fuse::FileHandle second_file;
};

TEST_F(NfsShareTest, each_has_its_own_states_in_one_session) {
    EXPECT_EQ(peer.state_count(), 2U);
    ASSERT_TRUE(run(second->release(context(), second_node, second_file, {})));
    EXPECT_EQ(peer.state_count(), 1U);
    EXPECT_TRUE(read(first_node, first_file, 0, 1));
}

TEST_F(NfsShareTest, both_get_back_what_a_restart_has_cost) {
    ASSERT_TRUE(run(fs().setlk(context(), first_node, first_file, lock_of(0, 9))));
    ASSERT_TRUE(lock_by_second());
    peer.restart();
    peer.take_record();
    ASSERT_TRUE(read(first_node, first_file, 0, 1));
    const auto record = peer.take_record();
    EXPECT_EQ(std::ranges::count(record, "OPEN"), 2);
    EXPECT_EQ(std::ranges::count(record, "LOCK"), 2);
}

TEST_F(NfsShareTest, the_session_outlives_the_one_who_made_it) {
    stop();
    EXPECT_EQ(peer.state_count(), 1U);
    EXPECT_TRUE(lock_by_second());
    peer.restart();
    EXPECT_TRUE(lock_by_second());
}

TEST_F(NfsShareTest, who_leaves_is_not_reclaimed_for_any_more) {
    ASSERT_TRUE(release(first_node, first_file));
    peer.restart();
    peer.answer(nfs4::Op::open, nfs4::Status::grace, 1000);
    auto locking = begin(second->setlk(context(), second_node, second_file, lock_of(0, 9)));
    ASSERT_TRUE(peer.wait_for("OPEN"));
    // The one left would wait for a reclaim that does not end.
    end(std::move(second));
    EXPECT_FALSE(locking.get());
    peer.answer(nfs4::Op::open, nfs4::Status::ok, 0);
    EXPECT_TRUE(open(first_node));
}

}  // namespace
}  // namespace dpfs::nfs
