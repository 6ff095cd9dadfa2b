// SPDX-License-Identifier: Apache-2.0
// Goal: the loop resumes, polls, sleeps and wakes as its policy says, loses no wake-up and no
// coroutine, and costs nothing while nothing happens. Method: real threads and descriptors; a
// ring of two integers stands for a virtqueue.
#include "reactor/event_loop.hpp"

#include "reactor_fixture.hpp"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <poll.h>
#include <thread>
#include <time.h>
#include <vector>

namespace dpfs::reactor {
namespace {

constexpr std::uint64_t no_offset = ~std::uint64_t{0};
using EventLoops = EachReactor;

// --- order

Task<void> note_turn(Reactor& reactor, std::vector<int>& turns, int who) {
    for (int turn = 0; turn < 3; ++turn) {
        turns.push_back(who);
        co_await reactor.yield();
    }
}

Task<void> take_turns(Reactor& reactor, std::vector<int>& turns) {
    Gate gate;
    gate.spawn(note_turn(reactor, turns, 1));
    gate.spawn(note_turn(reactor, turns, 2));
    co_await gate.close();
}

TEST_P(EventLoops, who_yields_lets_the_others_run) {
    std::vector<int> turns;
    run(take_turns(reactor(), turns));
    EXPECT_EQ(turns.size(), 6u);
    // In each round everybody has one turn, in whatever order.
    EXPECT_NE(turns[0], turns[1]);
    EXPECT_NE(turns[2], turns[3]);
    EXPECT_NE(turns[4], turns[5]);
}

struct Resumed {
    struct promise_type {
        Resumed get_return_object() {
            return {std::coroutine_handle<promise_type>::from_promise(*this)};
        }
        std::suspend_always initial_suspend() const noexcept { return {}; }
        std::suspend_never final_suspend() const noexcept { return {}; }
        void unhandled_exception() const noexcept { std::abort(); }
        void return_void() const noexcept {}
    };
    std::coroutine_handle<promise_type> handle;
};

Resumed note(std::vector<int>& order, int number) {
    order.push_back(number);
    co_return;
}

std::vector<int> order_of_ten(std::uint64_t seed) {
    ReadyQueue queue(seed);
    std::vector<int> order;
    for (int i = 0; i < 10; ++i) queue.push(note(order, i).handle);
    EXPECT_TRUE(queue.run());
    EXPECT_FALSE(queue.run());
    return order;
}

TEST(ReadyQueue, keeps_the_order_without_a_seed) {
    const std::vector<int> order = order_of_ten(0);
    EXPECT_TRUE(std::ranges::is_sorted(order));
}

TEST(ReadyQueue, shuffles_with_a_seed_and_always_in_the_same_way) {
    std::vector<int> order = order_of_ten(7);
    EXPECT_FALSE(std::ranges::is_sorted(order));
    EXPECT_EQ(order, order_of_ten(7));
    EXPECT_NE(order, order_of_ten(8));
    std::ranges::sort(order);
    EXPECT_EQ(order, order_of_ten(0));
}

TEST(TimerHeap, gives_the_earliest_first_and_forgets_what_was_removed) {
    // Against a model: a sorted list of the deadlines that are left.
    std::vector<std::unique_ptr<Operation>> operations;
    std::vector<std::int64_t> expected;
    TimerHeap heap;
    for (std::int64_t i = 0; i < 1000; ++i) {
        const std::int64_t deadline = i * 7919 % 1009;
        const Limit limit = {.deadline = Instant{deadline}};
        operations.push_back(
            std::make_unique<Operation>(Arguments{.code = OpCode::timeout}, limit));
        heap.insert(*operations.back());
    }
    for (std::size_t i = 0; i < operations.size(); ++i) {
        if (i % 3 == 0) {
            heap.remove(*operations[i]);
        } else {
            expected.push_back(operations[i]->limit.deadline.ns);
        }
    }
    std::ranges::sort(expected);
    std::vector<std::int64_t> found;
    EXPECT_EQ(heap.take_expired(Instant{-1}), nullptr);
    while (Operation* const next = heap.take_expired(Instant{5000})) {
        found.push_back(next->limit.deadline.ns);
        EXPECT_EQ(next->timer_position, 0u);
    }
    EXPECT_EQ(found, expected);
    EXPECT_EQ(heap.next(), Instant::never());
}

// --- pollables

/// A queue in memory: the producer counts up, the consumer follows, and asks for a kick (an
/// eventfd) only before it sleeps.
class CountingQueue final : public Pollable {
  public:
    explicit CountingQueue(std::uint64_t batch_max = 16) : batch_max_(batch_max) {}

    bool poll() noexcept override {
        polls.fetch_add(1, std::memory_order_relaxed);
        const std::uint64_t there = produced_.load(std::memory_order_acquire);
        const std::uint64_t mine = consumed_.load(std::memory_order_relaxed);
        const std::uint64_t batch = std::min(there - mine, batch_max_);
        consumed_.store(mine + batch, std::memory_order_release);
        return batch > 0;
    }
    bool arm() noexcept override {
        armed_.store(true, std::memory_order_seq_cst);
        return produced_.load(std::memory_order_seq_cst) != consumed_.load();
    }
    void disarm() noexcept override { armed_.store(false, std::memory_order_seq_cst); }

    /// Thread: the producer.
    void produce() {
        produced_.fetch_add(1, std::memory_order_seq_cst);
        if (armed_.load(std::memory_order_seq_cst)) {
            kicks.fetch_add(1);
            EXPECT_EQ(::eventfd_write(kick.get(), 1), 0);
        }
    }
    [[nodiscard]] std::uint64_t consumed() const { return consumed_.load(); }

    UniqueFd kick = make_eventfd();
    std::atomic<std::uint64_t> polls = 0;
    std::atomic<std::uint64_t> kicks = 0;

  private:
    const std::uint64_t batch_max_;
    std::atomic<std::uint64_t> produced_ = 0;
    std::atomic<std::uint64_t> consumed_ = 0;
    std::atomic<bool> armed_ = false;
};

Task<void> listen_for_kicks(Reactor& reactor, int kick, CancelSource& cancel) {
    std::uint64_t count = 0;
    const iovec to = {&count, sizeof count};
    const Limit limit = {.cancel = &cancel};
    while (true) {
        const auto kicked = co_await reactor.readv(kick, std::span(&to, 1), no_offset, limit);
        if (!kicked) co_return;
        reactor.notice_work();
    }
}

/// Runs until `done` is signalled by another thread.
Task<void> serve(Reactor& reactor, CountingQueue& queue, int done) {
    CancelSource cancel;
    Gate gate;
    reactor.add_pollable(queue);
    gate.spawn(listen_for_kicks(reactor, queue.kick.get(), cancel));
    co_await reactor.poll(done, POLLIN);
    cancel.cancel();
    co_await gate.close();
    reactor.remove_pollable(queue);
}

struct ServedQueue {
    CountingQueue queue;
    UniqueFd done = make_eventfd();
    std::unique_ptr<EventLoop> loop;
    std::thread thread;

    ServedQueue(ReactorKind kind, BlockingPool& pool, PollPolicy policy)
        : loop(reactor_of(kind, pool, policy)),
          thread([this] { run_to_completion(*loop, serve(*loop, queue, done.get())); }) {}
    ServedQueue(const ServedQueue&) = delete;
    ServedQueue& operator=(const ServedQueue&) = delete;
    ~ServedQueue() {
        EXPECT_EQ(::eventfd_write(done.get(), 1), 0);
        thread.join();
    }
    void produce_and_wait(std::uint64_t count) {
        for (std::uint64_t i = 1; i <= count; ++i) {
            queue.produce();
            while (queue.consumed() != i) std::this_thread::yield();
        }
    }
    void wait_until_asleep() const {
        const std::uint64_t before = loop->statistics().sleeps.value();
        // It may be asleep already: then its rounds stand still, too.
        while (loop->statistics().sleeps.value() == before && before == 0) {
            std::this_thread::yield();
        }
    }
};

constexpr std::uint64_t item_count = 3000;

TEST_P(EventLoops, no_item_is_missed_by_a_loop_that_always_sleeps) {
    ServedQueue served(GetParam(), pool(), {.mode = PollMode::interrupt});
    served.produce_and_wait(item_count);
    EXPECT_GT(served.queue.kicks.load(), 0u);
}

TEST_P(EventLoops, no_item_is_missed_at_the_edge_of_sleep) {
    // About as long as the producer's turn takes: the loop is often just going to sleep.
    ServedQueue served(
        GetParam(), pool(), {.mode = PollMode::adaptive, .spin = nanoseconds(1500)});
    served.produce_and_wait(item_count);
}

TEST_P(EventLoops, a_busy_loop_wants_no_kicks) {
    ServedQueue served(GetParam(), pool(), {.mode = PollMode::busy});
    served.produce_and_wait(100);
    EXPECT_EQ(served.queue.kicks.load(), 0u);
    EXPECT_EQ(served.loop->statistics().sleeps.value(), 0u);
}

std::int64_t cpu_time_ns(std::thread& thread) {
    clockid_t clock;
    EXPECT_EQ(::pthread_getcpuclockid(thread.native_handle(), &clock), 0);
    timespec used;
    EXPECT_EQ(::clock_gettime(clock, &used), 0);
    return used.tv_sec * 1'000'000'000 + used.tv_nsec;
}

Task<void> pass(Reactor& reactor, Duration time) {
    (void)co_await reactor.sleep(time);
}

/// `other` lets the time pass: not to synchronise, but because idling is a matter of time.
void expect_idle_costs_nothing(ServedQueue& served, EventLoop& other) {
    served.wait_until_asleep();
    run_to_completion(other, pass(other, milliseconds(50)));  // the spin of the start is over
    const std::uint64_t rounds = served.loop->statistics().rounds.value();
    const std::int64_t used = cpu_time_ns(served.thread);
    run_to_completion(other, pass(other, milliseconds(100)));
    EXPECT_EQ(served.loop->statistics().rounds.value(), rounds);
    EXPECT_EQ(cpu_time_ns(served.thread), used);
}

TEST_P(EventLoops, an_idle_loop_costs_nothing_when_adaptive) {
    ServedQueue served(GetParam(), pool(), {.mode = PollMode::adaptive});
    expect_idle_costs_nothing(served, reactor());
}

TEST_P(EventLoops, an_idle_loop_costs_nothing_when_interrupt) {
    ServedQueue served(GetParam(), pool(), {.mode = PollMode::interrupt});
    expect_idle_costs_nothing(served, reactor());
}

/// A pollable that takes itself away while it is polled.
class OneShot final : public Pollable {
  public:
    explicit OneShot(Reactor& reactor) : reactor_(reactor) {}
    bool poll() noexcept override {
        ++polls;
        reactor_.remove_pollable(*this);
        return true;
    }
    bool arm() noexcept override { return false; }
    void disarm() noexcept override {}

    int polls = 0;

  private:
    Reactor& reactor_;
};

Task<void> some_rounds(Reactor& reactor) {
    for (int i = 0; i < 10; ++i) co_await reactor.yield();
}

TEST_P(EventLoops, a_pollable_may_remove_itself) {
    OneShot first(reactor());
    OneShot second(reactor());
    reactor().add_pollable(first);
    reactor().add_pollable(second);
    run(some_rounds(reactor()));
    EXPECT_EQ(first.polls, 1);
    EXPECT_EQ(second.polls, 1);
}

// --- threads

Task<void> travel(Reactor& here, Reactor& there, int trips) {
    for (int i = 0; i < trips; ++i) {
        co_await Reactor::switch_to(there);
        EXPECT_TRUE(there.on_own_thread());
        EXPECT_FALSE(here.on_own_thread());
        co_await Reactor::switch_to(here);
        EXPECT_TRUE(here.on_own_thread());
    }
}

Task<void> travel_in_company(Reactor& here, Reactor& there, int company, int trips) {
    Gate gate;
    for (int i = 0; i < company; ++i) gate.spawn(travel(here, there, trips));
    co_await gate.close();
}

TEST_P(EventLoops, coroutines_travel_between_two_threads) {
    // 100,000 switches; several at a time, so that posts meet each other and the taker.
    const auto there = reactor_of(GetParam(), pool());
    std::thread thread([&] { there->run(); });
    run(travel_in_company(reactor(), *there, 50, 1000));
    there->stop();
    thread.join();
}

TEST_P(EventLoops, a_coroutine_travels_between_two_threads_that_sleep) {
    const PollPolicy sleepy = {.mode = PollMode::interrupt};
    const auto here = reactor_of(GetParam(), pool(), sleepy);
    const auto there = reactor_of(GetParam(), pool(), sleepy);
    std::thread thread([&] { there->run(); });
    run_to_completion(*here, travel(*here, *there, 3000));
    there->stop();
    thread.join();
}

Task<void> visit(Reactor& home, Reactor& busy, std::atomic<int>& arrivals) {
    co_await Reactor::switch_to(busy);
    arrivals.fetch_add(1);
    co_await Reactor::switch_to(home);
}

Task<void> visit_many(Reactor& home, Reactor& busy, std::atomic<int>& arrivals) {
    Gate gate;
    for (int i = 0; i < 1000; ++i) gate.spawn(visit(home, busy, arrivals));
    co_await gate.close();
}

TEST_P(EventLoops, many_post_to_one_from_several_threads) {
    std::atomic<int> arrivals = 0;
    const auto visit_from_own_loop = [&] {
        const auto home = reactor_of(GetParam(), pool());
        run_to_completion(*home, visit_many(*home, reactor(), arrivals));
    };
    std::thread first(visit_from_own_loop);
    std::thread second(visit_from_own_loop);
    std::thread stopper([&] {
        first.join();
        second.join();
        reactor().stop();
    });
    reactor().run();
    stopper.join();
    EXPECT_EQ(arrivals.load(), 2000);
}

TEST_P(EventLoops, stop_before_run_ends_it_at_once) {
    reactor().stop();
    reactor().run();
    EXPECT_FALSE(reactor().on_own_thread());
}

EventLoop* signalled_loop = nullptr;

TEST_P(EventLoops, a_signal_handler_stops_it) {
    const auto loop = reactor_of(GetParam(), pool(), {.mode = PollMode::interrupt});
    signalled_loop = loop.get();
    struct sigaction action = {};
    action.sa_handler = [](int) { signalled_loop->stop(); };
    struct sigaction before = {};
    ASSERT_EQ(::sigaction(SIGUSR1, &action, &before), 0);
    const pthread_t self = ::pthread_self();
    std::thread other([&] {
        while (loop->statistics().sleeps.value() == 0) std::this_thread::yield();
        ::pthread_kill(self, SIGUSR1);
    });
    loop->run();
    other.join();
    ASSERT_EQ(::sigaction(SIGUSR1, &before, nullptr), 0);
}

Task<void> finish_late(Reactor& reactor, bool& finished) {
    co_await reactor.sleep(milliseconds(10));
    finished = true;
}

TEST_P(EventLoops, stop_waits_for_what_is_in_flight) {
    bool finished = false;
    Gate gate;
    gate.spawn(finish_late(reactor(), finished));
    reactor().stop();
    reactor().run();
    EXPECT_TRUE(finished);
    EXPECT_EQ(gate.count(), 0u);
}

DPFS_ON_EACH_REACTOR(EventLoops);

}  // namespace
}  // namespace dpfs::reactor
