// SPDX-License-Identifier: Apache-2.0
// Goal: work reaches the thread it is meant for, none is lost at the end, and nothing is left
// over. Method: real threads; counters.
#include "reactor/reactor_threads.hpp"

#include "reactor_fixture.hpp"

#include <array>
#include <atomic>
#include <csignal>
#include <pthread.h>
#include <thread>

namespace dpfs::reactor {
namespace {

class ManyThreads : public testing::TestWithParam<ReactorKind> {
  protected:
    std::unique_ptr<ReactorThreads> make(std::size_t count, std::vector<int> cpus = {}) {
        ReactorThreadsOptions options;
        options.count = count;
        options.cpus = std::move(cpus);
        options.reactor.kind = GetParam();
        auto made = ReactorThreads::make(options, pool_, log_);
        EXPECT_TRUE(made.has_value());
        return std::move(*made);
    }

    std::unique_ptr<LogSink> sink_ = make_stderr_sink(LogLevel::warning);
    Logger log_{*sink_, "test"};
    BlockingPool pool_;
};

Task<void> note_where(EventLoop& expected, std::atomic<int>& right) {
    right.fetch_add(expected.on_own_thread() ? 1 : 0);
    co_await expected.sleep(milliseconds(1));
    right.fetch_add(expected.on_own_thread() ? 1 : 0);
}

TEST_P(ManyThreads, work_runs_on_the_thread_it_was_spawned_on_and_is_finished) {
    std::atomic<int> right = 0;
    {
        const auto threads = make(3);
        for (std::size_t i = 0; i < 300; ++i) {
            threads->spawn(i % 3, note_where(threads->reactor(i % 3), right));
        }
    }
    EXPECT_EQ(right.load(), 600);
}

Task<void> note_mask(sigset_t& mask) {
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    co_return;
}

// A handler for memory that goes away (SIGBUS) must be able to run there.
TEST_P(ManyThreads, threads_hear_no_signals_but_their_own_faults) {
    sigset_t mask;
    sigfillset(&mask);
    {
        const auto threads = make(1);
        threads->spawn(0, note_mask(mask));
    }
    EXPECT_EQ(sigismember(&mask, SIGTERM), 1);
    EXPECT_EQ(sigismember(&mask, SIGBUS), 0);
    EXPECT_EQ(sigismember(&mask, SIGSEGV), 0);
}

Task<void> go_round(ReactorThreads& threads, std::atomic<int>& finished) {
    for (int round = 0; round < 20; ++round) {
        for (std::size_t i = 0; i < threads.count(); ++i) {
            co_await Reactor::switch_to(threads.reactor(i));
        }
    }
    finished.fetch_add(1);  // on another thread than the one it was spawned on
}

TEST_P(ManyThreads, none_stops_while_work_may_still_come_to_it) {
    const auto threads = make(3);
    std::atomic<int> finished = 0;
    for (std::size_t i = 0; i < 30; ++i) threads->spawn(i % 3, go_round(*threads, finished));
    threads->stop_all();
    threads->join();
    EXPECT_EQ(finished.load(), 30);
}

Task<void> count(std::atomic<int>& started) {
    started.fetch_add(1);
    co_return;
}

TEST_P(ManyThreads, work_that_comes_too_late_is_dropped) {
    const auto threads = make(1);
    std::atomic<int> started = 0;
    threads->stop_all();
    threads->stop_all();
    threads->spawn(0, count(started));
    threads->join();
    EXPECT_EQ(started.load(), 0);
}

Task<void> read_name(std::string& name) {
    std::array<char, 16> text = {};
    ::pthread_getname_np(::pthread_self(), text.data(), text.size());
    name = text.data();
    co_return;
}

TEST_P(ManyThreads, threads_have_names) {
    std::string name;
    {
        const auto threads = make(2);
        threads->spawn(1, read_name(name));
    }
    EXPECT_EQ(name, "dpfs-r1");
}

Task<void> read_cpu_count(int& count) {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    EXPECT_EQ(::pthread_getaffinity_np(::pthread_self(), sizeof cpus, &cpus), 0);
    count = CPU_COUNT(&cpus);
    co_return;
}

TEST_P(ManyThreads, threads_stay_on_their_cpu) {
    int cpu_count = 0;
    {
        const auto threads = make(1, {0});
        threads->spawn(0, read_cpu_count(cpu_count));
    }
    EXPECT_EQ(cpu_count, 1);
}

TEST_P(ManyThreads, a_cpu_that_is_not_there_is_an_error) {
    ReactorThreadsOptions options;
    options.count = 2;
    options.cpus = {0, 1000};
    options.reactor.kind = GetParam();
    const auto made = ReactorThreads::make(options, pool_, log_);
    ASSERT_FALSE(made.has_value());
    EXPECT_EQ(made.error(), Errno::invalid);
}

TEST_P(ManyThreads, no_descriptor_is_left_over) {
    const std::size_t before = open_descriptor_count();
    std::atomic<int> right = 0;
    {
        const auto threads = make(2);
        threads->spawn(0, note_where(threads->reactor(0), right));
    }
    EXPECT_EQ(open_descriptor_count(), before);
}

DPFS_ON_EACH_REACTOR(ManyThreads);

}  // namespace
}  // namespace dpfs::reactor
