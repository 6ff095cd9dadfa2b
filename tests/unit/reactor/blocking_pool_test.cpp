// SPDX-License-Identifier: Apache-2.0
// Goal: calls that block run elsewhere, all of them, as whom they should, and a full pool
// blocks nobody. Method: calls that wait for the test; counters.
#include "reactor/blocking_pool.hpp"

#include "reactor_fixture.hpp"

#include <atomic>
#include <semaphore>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <thread>

namespace dpfs::reactor {
namespace {

using BlockingCalls = EachReactor;

Task<void> note_thread(Reactor& reactor, std::thread::id& where) {
    const auto call = [] { return std::this_thread::get_id(); };
    where = co_await reactor.blocking(call);
    EXPECT_TRUE(reactor.on_own_thread());
}

TEST_P(BlockingCalls, run_on_another_thread_and_come_back) {
    std::thread::id where;
    run(note_thread(reactor(), where));
    EXPECT_NE(where, std::thread::id());
    EXPECT_NE(where, std::this_thread::get_id());
}

Task<void> call_without_value(Reactor& reactor, int& calls) {
    const auto call = [&calls] { ++calls; };
    co_await reactor.blocking(call);
}

TEST_P(BlockingCalls, may_give_nothing_back) {
    int calls = 0;
    run(call_without_value(reactor(), calls));
    EXPECT_EQ(calls, 1);
}

Task<void> wait_in_pool(Reactor& reactor, std::counting_semaphore<>& go, int& ended) {
    const auto call = [&go] { go.acquire(); };
    co_await reactor.blocking(call);
    ++ended;
}

/// More calls than threads and queue places; the loop goes on meanwhile.
Task<void> saturate(Reactor& reactor, int count, int& ended) {
    std::counting_semaphore<> go(0);
    Gate gate;
    for (int i = 0; i < count; ++i) gate.spawn(wait_in_pool(reactor, go, ended));
    for (int i = 0; i < 100; ++i) co_await reactor.yield();
    EXPECT_EQ(ended, 0);
    go.release(count);
    co_await gate.close();
}

TEST_P(BlockingCalls, a_full_pool_keeps_the_rest_waiting_without_blocking_the_loop) {
    BlockingPool small({.thread_count_max = 2, .queue_count_max = 4});
    const auto loop = reactor_of(GetParam(), small);
    int ended = 0;
    run_to_completion(*loop, saturate(*loop, 1000, ended));
    EXPECT_EQ(ended, 1000);
    EXPECT_EQ(small.thread_count(), 2u);
    EXPECT_EQ(small.queue_count(), 0u);
}

Task<void> count_calls(Reactor& reactor, std::atomic<int>& calls) {
    const auto call = [&calls] { calls.fetch_add(1); };
    co_await reactor.blocking(call);
}

Task<void> count_many_calls(Reactor& reactor, std::atomic<int>& calls) {
    Gate gate;
    for (int i = 0; i < 2000; ++i) gate.spawn(count_calls(reactor, calls));
    co_await gate.close();
}

TEST_P(BlockingCalls, several_reactors_share_a_small_pool) {
    BlockingPool small({.thread_count_max = 2, .queue_count_max = 3});
    std::atomic<int> calls = 0;
    const auto use_pool = [&] {
        const auto loop = reactor_of(GetParam(), small, {.mode = PollMode::interrupt});
        run_to_completion(*loop, count_many_calls(*loop, calls));
    };
    std::thread first(use_pool);
    std::thread second(use_pool);
    first.join();
    second.join();
    EXPECT_EQ(calls.load(), 4000);
}

TEST_P(BlockingCalls, threads_are_started_as_they_are_needed) {
    BlockingPool large({.thread_count_max = 8});
    const auto loop = reactor_of(GetParam(), large);
    EXPECT_EQ(large.thread_count(), 1u);
    int ended = 0;
    run_to_completion(*loop, saturate(*loop, 3, ended));
    EXPECT_EQ(large.thread_count(), 3u);
}

Task<void> make_file_as(Reactor& reactor, Credentials who, const char* path) {
    const auto call = [path]() -> Result<void> {
        const UniqueFd fd(::open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        if (!fd) return fail_errno();
        return {};
    };
    EXPECT_TRUE((co_await reactor.blocking(call, &who)).has_value());
}

TEST_P(BlockingCalls, act_as_their_caller) {
    if (!can_switch_credentials()) GTEST_SKIP() << "needs CAP_SETUID and CAP_SETGID";
    const ScratchDirectory scratch;
    const Credentials who = {.uid = 4001, .gid = 4002};
    run(make_file_as(reactor(), who, scratch.path("f").c_str()));
    struct stat found = {};
    ASSERT_EQ(::stat(scratch.path("f").c_str(), &found), 0);
    EXPECT_EQ(found.st_uid, 4001u);
    EXPECT_EQ(found.st_gid, 4002u);
}

Task<void> call_as_nobody_that_exists(Reactor& reactor, bool& ran) {
    const Credentials none = {.uid = ~0u, .gid = 1};
    const auto call = [&ran]() -> Result<int> {
        ran = true;
        return 1;
    };
    const auto result = co_await reactor.blocking(call, &none);
    EXPECT_EQ(result.error(), Errno::not_permitted);
    // And the thread that refused is fit for others.
    const auto self = []() -> Result<std::uint32_t> { return ::setfsuid(~0u); };
    EXPECT_EQ(co_await reactor.blocking(self), ::geteuid());
}

TEST_P(BlockingCalls, are_refused_when_nobody_can_be_their_caller) {
    if (!can_switch_credentials()) GTEST_SKIP() << "needs CAP_SETUID and CAP_SETGID";
    BlockingPool single({.thread_count_max = 1});
    const auto loop = reactor_of(GetParam(), single);
    bool ran = false;
    run_to_completion(*loop, call_as_nobody_that_exists(*loop, ran));
    EXPECT_FALSE(ran);
}

/// An operation that only the pool can do, behind calls that keep all its threads.
Task<void> time_out_in_queue(Reactor& reactor, std::counting_semaphore<>& go, int dir) {
    int ended = 0;
    Gate gate;
    gate.spawn(wait_in_pool(reactor, go, ended));
    gate.spawn(wait_in_pool(reactor, go, ended));
    const Limit limit = {.deadline = reactor.now() + milliseconds(5)};
    const auto made = co_await reactor.mkdirat(dir, "never", 0700, limit);
    EXPECT_EQ(made.error(), Errno::timed_out);
    EXPECT_EQ(ended, 0);
    go.release(2);
    co_await gate.close();
}

TEST(EpollReactor, an_operation_that_waits_for_a_pool_thread_keeps_its_deadline) {
    const ScratchDirectory scratch;
    const UniqueFd dir(::open(scratch.path().c_str(), O_PATH | O_CLOEXEC));
    BlockingPool single({.thread_count_max = 1});
    const auto loop = reactor_of(ReactorKind::epoll, single);
    std::counting_semaphore<> go(0);
    run_to_completion(*loop, time_out_in_queue(*loop, go, dir.get()));
    EXPECT_EQ(::faccessat(dir.get(), "never", F_OK, 0), -1);
}

DPFS_ON_EACH_REACTOR(BlockingCalls);

}  // namespace
}  // namespace dpfs::reactor
