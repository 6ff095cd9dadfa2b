// SPDX-License-Identifier: Apache-2.0
// Goal: what only io_uring has: small queues that overflow, opcodes that are not there,
// personalities that make room, every way to set up a ring.
// Method: rings made to be too small or too old.
#include "reactor/uring_reactor.hpp"

#include "reactor_fixture.hpp"

#include <poll.h>
#include <sys/stat.h>
#include <vector>

namespace dpfs::reactor {
namespace {

class UringReactors : public testing::Test {
  protected:
    UringReactors() { EXPECT_TRUE(prepare_thread_credentials()); }

    std::unique_ptr<UringReactor> make(const UringOptions& options) {
        auto made = UringReactor::make(options, pool_);
        EXPECT_TRUE(made.has_value());
        return std::move(*made);
    }

    ScratchDirectory scratch_;
    BlockingPool pool_;
};

Task<void> poll_and_count(Reactor& reactor, int fd, int& came) {
    came += (co_await reactor.poll(fd, POLLIN)).has_value() ? 1 : 0;
}

Task<void> poll_by_thousands(Reactor& reactor, int fd, int& came) {
    Gate gate;
    for (int i = 0; i < 5000; ++i) gate.spawn(poll_and_count(reactor, fd, came));
    co_await reactor.yield();
    EXPECT_EQ(::eventfd_write(fd, 1), 0);
    co_await gate.close();
}

TEST_F(UringReactors, a_ring_of_four_places_serves_thousands) {
    const auto reactor = make({.entry_count = 4});
    const UniqueFd fd = make_eventfd();
    int came = 0;
    run_to_completion(*reactor, poll_by_thousands(*reactor, fd.get(), came));
    EXPECT_EQ(came, 5000);
}

TEST_F(UringReactors, what_starts_before_the_loop_runs_waits_for_it) {
    const auto reactor = make({.entry_count = 4});
    const UniqueFd fd = make_eventfd();
    int came = 0;
    Gate gate;
    for (int i = 0; i < 100; ++i) gate.spawn(poll_and_count(*reactor, fd.get(), came));
    EXPECT_EQ(::eventfd_write(fd.get(), 1), 0);
    reactor->stop();
    reactor->run();
    EXPECT_EQ(came, 100);
}

Task<void> make_and_remove(Reactor& reactor, int dir) {
    EXPECT_TRUE((co_await reactor.mkdirat(dir, "d", 0700)).has_value());
    struct statx found = {};
    EXPECT_TRUE((co_await reactor.statx(dir, "d", 0, STATX_TYPE, found)).has_value());
    EXPECT_TRUE(S_ISDIR(found.stx_mode));
    EXPECT_TRUE((co_await reactor.unlinkat(dir, "d", AT_REMOVEDIR)).has_value());
    const auto again = co_await reactor.unlinkat(dir, "d", AT_REMOVEDIR);
    EXPECT_EQ(again.error(), Errno::no_entry);
}

TEST_F(UringReactors, opcodes_that_the_kernel_lacks_run_on_the_pool) {
    const auto reactor = make({});
    reactor->opcodes().forget(OpCode::mkdirat);
    reactor->opcodes().forget(OpCode::unlinkat);
    reactor->opcodes().forget(OpCode::statx);
    const UniqueFd dir(::open(scratch_.path().c_str(), O_PATH | O_CLOEXEC));
    run_to_completion(*reactor, make_and_remove(*reactor, dir.get()));
}

Task<void> create_as(Reactor& reactor, Credentials who, std::string path) {
    const auto made = co_await reactor.mkdirat(AT_FDCWD, path.c_str(), 0700).as(&who);
    EXPECT_TRUE(made.has_value());
    struct stat found = {};
    EXPECT_EQ(::stat(path.c_str(), &found), 0);
    EXPECT_EQ(found.st_uid, who.uid);
}

Task<void> create_as_forty(Reactor& reactor, ScratchDirectory& scratch) {
    std::vector<Credentials> callers(40);
    Gate gate;
    for (std::uint32_t i = 0; i < callers.size(); ++i) {
        callers[i] = {.uid = 100 + i, .gid = 1, .group_count = 1, .groups = {i}};
        gate.spawn(create_as(reactor, callers[i], scratch.path(std::to_string(i))));
    }
    co_await gate.close();
}

TEST_F(UringReactors, personalities_make_room_and_nobody_gets_anothers) {
    if (!can_switch_credentials()) GTEST_SKIP() << "needs CAP_SETUID and CAP_SETGID";
    const auto reactor = make({.personality_count_max = 3});
    run_to_completion(*reactor, create_as_forty(*reactor, scratch_));
}

Task<void> nap(Reactor& reactor, int fd) {
    EXPECT_TRUE((co_await reactor.sleep(milliseconds(2))).has_value());
    const Limit limit = {.deadline = reactor.now() + milliseconds(2)};
    const auto polled = co_await reactor.poll(fd, POLLIN, limit);
    EXPECT_EQ(polled.error(), Errno::timed_out);
}

void expect_ring_works(UringReactor& reactor) {
    const UniqueFd fd = make_eventfd();
    run_to_completion(reactor, nap(reactor, fd.get()));
    int came = 0;
    run_to_completion(reactor, poll_by_thousands(reactor, fd.get(), came));
    EXPECT_EQ(came, 5000);
}

TEST_F(UringReactors, a_ring_works_without_deferred_completions) {
    const auto reactor = make({.deferred_completions = false});
    EXPECT_EQ(reactor->ring().flags & IORING_SETUP_DEFER_TASKRUN, 0u);
    expect_ring_works(*reactor);
}

TEST_F(UringReactors, a_ring_works_with_a_kernel_thread_that_submits) {
    const auto reactor = make({.entry_count = 64, .submission_thread = true});
    EXPECT_NE(reactor->ring().flags & IORING_SETUP_SQPOLL, 0u);
    expect_ring_works(*reactor);
}

TEST_F(UringReactors, a_ring_works_with_few_kernel_workers) {
    const auto reactor = make({.worker_count_max = 1});
    expect_ring_works(*reactor);
}

}  // namespace
}  // namespace dpfs::reactor
