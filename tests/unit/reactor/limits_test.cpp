// SPDX-License-Identifier: Apache-2.0
// Goal: deadlines and cancel sources end waits, and nothing that happened is reported as not
// happened. Method: operations on sockets and eventfds that nobody answers, on each reactor.
#include "reactor_fixture.hpp"

#include <algorithm>
#include <array>
#include <poll.h>
#include <vector>

namespace dpfs::reactor {
namespace {

using Limits = EachReactor;
constexpr std::uint64_t no_offset = ~std::uint64_t{0};

Task<Result<std::uint32_t>> read_eventfd(Reactor& reactor, int fd, Limit limit) {
    std::uint64_t count = 0;
    const iovec to = {&count, sizeof count};
    co_return co_await reactor.readv(fd, std::span(&to, 1), no_offset, limit);
}

Task<void> note_read(Reactor& reactor, int fd, Limit limit, Result<std::uint32_t>& result) {
    result = co_await read_eventfd(reactor, fd, limit);
}

Task<void> expire(Reactor& reactor, int fd) {
    const Instant start = reactor.now();
    const auto result =
        co_await read_eventfd(reactor, fd, {.deadline = start + milliseconds(20)});
    const Duration took = reactor.now() - start;
    EXPECT_EQ(result.error(), Errno::timed_out);
    EXPECT_GE(took, milliseconds(20));
    // Not a promise, but far below what a lost deadline would take.
    EXPECT_LT(took, seconds(5));
}

TEST_P(Limits, a_read_of_an_empty_eventfd_times_out) {
    const UniqueFd fd = make_eventfd();
    run(expire(reactor(), fd.get()));
}

Task<void> receive_in_vain(Reactor& reactor, int fd) {
    msghdr message = {};
    char byte = 0;
    iovec to = {&byte, 1};
    message.msg_iov = &to;
    message.msg_iovlen = 1;
    const Limit limit = {.deadline = reactor.now() + milliseconds(5)};
    const auto received = co_await reactor.recvmsg(fd, message, 0, limit);
    EXPECT_EQ(received.error(), Errno::timed_out);
    const Limit next = {.deadline = reactor.now() + milliseconds(5)};
    const auto polled = co_await reactor.poll(fd, POLLIN, next);
    EXPECT_EQ(polled.error(), Errno::timed_out);
}

TEST_P(Limits, a_socket_that_stays_silent_times_out) {
    const StreamPair pair = make_socket_pair();
    run(receive_in_vain(reactor(), pair.left.get()));
}

TEST_P(Limits, a_deadline_in_the_past_ends_what_would_wait) {
    const UniqueFd fd = make_eventfd();
    const auto result = run(read_eventfd(reactor(), fd.get(), {.deadline = Instant{1}}));
    EXPECT_EQ(result.error(), Errno::timed_out);
}

TEST_P(Limits, what_completes_before_its_deadline_is_not_touched_by_it) {
    const UniqueFd fd = make_eventfd();
    ASSERT_EQ(::eventfd_write(fd.get(), 1), 0);
    const Limit limit = {.deadline = reactor().now() + seconds(3600)};
    EXPECT_EQ(run(read_eventfd(reactor(), fd.get(), limit)), 8u);
}

Task<void> sleep_in_order(Reactor& reactor, std::vector<int>& woken, int ms) {
    const auto slept = co_await reactor.sleep(milliseconds(ms));
    EXPECT_TRUE(slept.has_value());
    woken.push_back(ms);
}

Task<void> sleep_many(Reactor& reactor, std::vector<int>& woken) {
    Gate gate;
    for (const int ms : {40, 5, 25, 0, 10}) gate.spawn(sleep_in_order(reactor, woken, ms));
    co_await gate.close();
}

TEST_P(Limits, sleepers_wake_in_the_order_of_their_times) {
    std::vector<int> woken;
    run(sleep_many(reactor(), woken));
    EXPECT_TRUE(std::ranges::is_sorted(woken));
    EXPECT_EQ(woken.size(), 5u);
}

Task<void> cancel_during(Reactor& reactor, int fd) {
    CancelSource source;
    Result<std::uint32_t> result = 0;
    Gate gate;
    gate.spawn(note_read(reactor, fd, {.cancel = &source}, result));
    co_await reactor.sleep(milliseconds(1));
    source.cancel();
    co_await gate.close();
    EXPECT_EQ(result.error(), Errno::canceled);
}

TEST_P(Limits, a_waiting_read_is_cancelled) {
    const UniqueFd fd = make_eventfd();
    run(cancel_during(reactor(), fd.get()));
}

Task<void> cancel_at_once(Reactor& reactor, int fd) {
    CancelSource source;
    Result<std::uint32_t> result = 0;
    Gate gate;
    gate.spawn(note_read(reactor, fd, {.cancel = &source}, result));
    source.cancel();  // it has not reached the kernel yet
    co_await gate.close();
    EXPECT_EQ(result.error(), Errno::canceled);
    // One that starts later does not start at all.
    EXPECT_EQ(::eventfd_write(fd, 1), 0);
    const auto late = co_await read_eventfd(reactor, fd, {.cancel = &source});
    EXPECT_EQ(late.error(), Errno::canceled);
    source.reset();
    EXPECT_EQ(co_await read_eventfd(reactor, fd, {.cancel = &source}), 8u);
    source.cancel();  // nothing waits: nothing happens
}

TEST_P(Limits, cancelling_before_and_after_is_safe) {
    const UniqueFd fd = make_eventfd();
    run(cancel_at_once(reactor(), fd.get()));
}

Task<void> sleep_until_cancelled(Reactor& reactor, CancelSource& source, int& canceled) {
    const auto slept = co_await reactor.sleep(seconds(3600), &source);
    canceled += slept.has_value() ? 0 : 1;
}

Task<void> cancel_sleepers(Reactor& reactor, int& canceled) {
    CancelSource source;
    Gate gate;
    for (int i = 0; i < 100; ++i) gate.spawn(sleep_until_cancelled(reactor, source, canceled));
    co_await reactor.yield();
    source.cancel();
    co_await gate.close();
}

TEST_P(Limits, sleepers_are_cancelled_together) {
    int canceled = 0;
    run(cancel_sleepers(reactor(), canceled));
    EXPECT_EQ(canceled, 100);
}

/// Both at nearly the same time: data and the end of patience. Whichever result comes, a count
/// that was taken from the eventfd must have been reported.
Task<void> race_once(Reactor& reactor, int fd, int round) {
    CancelSource source;
    Result<std::uint32_t> result = 0;
    Gate gate;
    gate.spawn(note_read(reactor, fd, {.cancel = &source}, result));
    if (round % 3 == 0) co_await reactor.yield();
    EXPECT_EQ(::eventfd_write(fd, 1), 0);
    if (round % 2 == 0) co_await reactor.yield();
    source.cancel();
    co_await gate.close();

    const Limit at_once = {.deadline = reactor.now()};
    const auto left = co_await read_eventfd(reactor, fd, at_once);
    EXPECT_NE(result.has_value(), left.has_value());
}

Task<void> race(Reactor& reactor, int fd) {
    for (int round = 0; round < 500; ++round) co_await race_once(reactor, fd, round);
}

TEST_P(Limits, what_happened_is_reported_however_close_the_cancel_was) {
    const UniqueFd fd = make_eventfd();
    run(race(reactor(), fd.get()));
}

Task<void> count_ends(Reactor& reactor, int fd, Limit limit, std::array<int, 3>& ends) {
    const auto polled = co_await reactor.poll(fd, POLLIN, limit);
    const bool timed_out = !polled && polled.error() == Errno::timed_out;
    const bool canceled = !polled && polled.error() == Errno::canceled;
    ends[polled ? 0 : (timed_out ? 1 : 2)] += 1;
    EXPECT_TRUE(polled || timed_out || canceled);
}

constexpr int crowd = 10'000;

Task<void> end_crowd_by_cancel(Reactor& reactor, int fd, std::array<int, 3>& ends) {
    CancelSource source;
    Gate gate;
    for (int i = 0; i < crowd; ++i) {
        gate.spawn(count_ends(reactor, fd, {.cancel = &source}, ends));
    }
    co_await reactor.sleep(milliseconds(1));
    source.cancel();
    co_await gate.close();
}

TEST_P(Limits, ten_thousand_operations_are_cancelled_by_one_source) {
    const UniqueFd fd = make_eventfd();
    std::array<int, 3> ends = {};
    run(end_crowd_by_cancel(reactor(), fd.get(), ends));
    EXPECT_EQ(ends, (std::array{0, 0, crowd}));
}

Task<void> cancel_crowd_at_once(Reactor& reactor, int fd, std::array<int, 3>& ends) {
    CancelSource source;
    Gate gate;
    for (int i = 0; i < crowd; ++i) {
        gate.spawn(count_ends(reactor, fd, {.cancel = &source}, ends));
    }
    source.cancel();
    co_await gate.close();
}

TEST_P(Limits, ten_thousand_operations_are_cancelled_before_they_reach_the_kernel) {
    const UniqueFd fd = make_eventfd();
    std::array<int, 3> ends = {};
    run(cancel_crowd_at_once(reactor(), fd.get(), ends));
    EXPECT_EQ(ends, (std::array{0, 0, crowd}));
}

Task<void> end_crowd_by_event(Reactor& reactor, int fd, std::array<int, 3>& ends) {
    Gate gate;
    for (int i = 0; i < crowd; ++i) gate.spawn(count_ends(reactor, fd, {}, ends));
    co_await reactor.sleep(milliseconds(1));
    EXPECT_EQ(::eventfd_write(fd, 1), 0);
    co_await gate.close();
}

TEST_P(Limits, ten_thousand_operations_complete_by_one_event) {
    const UniqueFd fd = make_eventfd();
    std::array<int, 3> ends = {};
    run(end_crowd_by_event(reactor(), fd.get(), ends));
    EXPECT_EQ(ends, (std::array{crowd, 0, 0}));
}

Task<void> end_crowd_by_deadline(Reactor& reactor, int fd, std::array<int, 3>& ends) {
    Gate gate;
    const Instant start = reactor.now();
    for (int i = 0; i < crowd; ++i) {
        const Limit limit = {.deadline = start + microseconds(5000 + i % 777)};
        gate.spawn(count_ends(reactor, fd, limit, ends));
    }
    co_await gate.close();
}

TEST_P(Limits, ten_thousand_operations_time_out) {
    const UniqueFd fd = make_eventfd();
    std::array<int, 3> ends = {};
    run(end_crowd_by_deadline(reactor(), fd.get(), ends));
    EXPECT_EQ(ends, (std::array{0, crowd, 0}));
}

DPFS_ON_EACH_REACTOR(Limits);

}  // namespace
}  // namespace dpfs::reactor
