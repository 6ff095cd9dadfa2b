// SPDX-License-Identifier: Apache-2.0
// Goal: a simulation is decided by its seed alone, time is virtual, and faults happen as asked.
// Method: small coroutines on real pipes, socket pairs and temporary files.
#include "reactor/sim_world.hpp"

#include "base/gate.hpp"
#include "reactor/reactor.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <fcntl.h>
#include <string>
#include <sys/socket.h>
#include <sys/uio.h>

namespace dpfs::reactor {
namespace {

UniqueFd temporary_file() {
    return UniqueFd(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
}

Task<int> sleep_and_note(Reactor& reactor, Duration time, char name, std::string& trace) {
    co_await reactor.sleep(time);
    trace.push_back(name);
    co_return 0;
}

Task<void> write_and_note(Reactor& reactor, int fd, char name, std::string& trace) {
    iovec buffer{&name, 1};
    (void)co_await reactor.writev(fd, std::span(&buffer, 1), 0);
    trace.push_back(name);
}

Task<int> eight_writers(Reactor& reactor, int fd, Gate& gate, std::string& trace) {
    for (char name = 'a'; name <= 'h'; ++name)
        gate.spawn(write_and_note(reactor, fd, name, trace));
    co_await gate.close();
    co_return 0;
}

/// The order in which eight concurrent writes complete.
std::string order_of(std::uint64_t seed) {
    SimWorld world(seed);
    Reactor& reactor = world.add_reactor();
    const UniqueFd file = temporary_file();
    Gate gate;
    std::string trace;
    world.run(reactor, eight_writers(reactor, file.get(), gate, trace));
    return trace;
}

Task<Result<std::uint32_t>> read_until(Reactor& reactor, int fd, Instant deadline) {
    std::array<std::byte, 8> bytes;
    iovec buffer{bytes.data(), bytes.size()};
    co_return co_await reactor.readv(
        fd, std::span(&buffer, 1), static_cast<std::uint64_t>(-1), Limit{deadline, nullptr});
}

Task<Result<std::uint32_t>> write_block(Reactor& reactor, int fd) {
    std::array<std::byte, 4096> bytes{};
    iovec buffer{bytes.data(), bytes.size()};
    co_return co_await reactor.writev(fd, std::span(&buffer, 1), 0);
}

Task<int> there_and_back(Reactor& here, Reactor& there, int rounds) {
    int on_the_right_side = 0;
    for (int i = 0; i < rounds; ++i) {
        co_await Reactor::switch_to(there);
        on_the_right_side += there.on_own_thread() && !here.on_own_thread();
        co_await Reactor::switch_to(here);
    }
    co_return on_the_right_side;
}

Task<Result<std::uint32_t>> fail_when_refused(Reactor& reactor) {
    co_return co_await reactor.blocking([]() -> Result<std::uint32_t> { return 42U; });
}

TEST(SimWorld, replays_the_same_run_from_the_same_seed) {
    EXPECT_EQ(order_of(7), order_of(7));
}

TEST(SimWorld, orders_completions_differently_for_another_seed) {
    EXPECT_NE(order_of(7), order_of(8));
}

TEST(SimWorld, an_hour_passes_at_once) {
    SimWorld world(1);
    Reactor& reactor = world.add_reactor();
    std::string trace;
    const Instant start = world.now();
    world.run(reactor, sleep_and_note(reactor, seconds(3600), 'x', trace));
    EXPECT_GE(world.now() - start, seconds(3600));
}

TEST(SimWorld, a_read_that_nobody_answers_ends_at_its_deadline) {
    SimWorld world(1);
    Reactor& reactor = world.add_reactor();
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
    const UniqueFd one(ends[0]);
    const UniqueFd other(ends[1]);
    const Instant deadline = world.now() + seconds(5);
    const auto result = world.run(reactor, read_until(reactor, one.get(), deadline));
    EXPECT_EQ(result.error(), Errno::timed_out);
    EXPECT_GE(world.now(), deadline);
}

TEST(SimWorld, injects_the_faults_that_are_asked_for) {
    SimWorld world(1, {.no_space = 1000});
    Reactor& reactor = world.add_reactor();
    const UniqueFd file = temporary_file();
    EXPECT_EQ(world.run(reactor, write_block(reactor, file.get())).error(), Errno::no_space);
    world.faults() = {.io_error = 1000};
    EXPECT_EQ(world.run(reactor, write_block(reactor, file.get())).error(), Errno::io_error);
    world.faults() = {.short_io = 1000};
    EXPECT_LT(world.run(reactor, write_block(reactor, file.get())).value(), 4096U);
}

TEST(SimWorld, coroutines_travel_between_its_reactors) {
    SimWorld world(3);
    Reactor& here = world.add_reactor();
    Reactor& there = world.add_reactor();
    EXPECT_EQ(world.run(here, there_and_back(here, there, 100)), 100);
}

TEST(SimWorld, runs_blocking_calls) {
    SimWorld world(3);
    Reactor& reactor = world.add_reactor();
    EXPECT_EQ(world.run(reactor, fail_when_refused(reactor)).value(), 42U);
}

void wait_for_what_never_comes() {
    SimWorld world(99);
    Reactor& reactor = world.add_reactor();
    std::array<int, 2> ends{};
    (void)::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data());
    static_cast<void>(world.run(reactor, read_until(reactor, ends[0], Instant::never())));
}

TEST(SimWorldDeathTest, names_its_seed_when_everything_waits_for_ever) {
    EXPECT_DEATH(wait_for_what_never_comes(), "seed 99");
}

}  // namespace
}  // namespace dpfs::reactor
