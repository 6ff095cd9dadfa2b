// SPDX-License-Identifier: Apache-2.0
// What waiting costs: an idle round, one operation, a switch of threads, a blocking call.
// Arguments: reactor (1 io_uring, 2 epoll), then poll mode (0 busy, 1 adaptive, 2 interrupt).
#include "base/gate.hpp"
#include "base/log.hpp"
#include "reactor/make_reactor.hpp"
#include "reactor/run_to_completion.hpp"

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <thread>
#include <vector>

namespace dpfs::reactor {
namespace {

std::unique_ptr<EventLoop> reactor_of(const benchmark::State& state, BlockingPool& pool) {
    static const auto sink = make_stderr_sink(LogLevel::warning);
    ReactorOptions options;
    options.kind = static_cast<ReactorKind>(state.range(0));
    options.uring.loop.policy.mode = static_cast<PollMode>(state.range(1));
    auto made = make_reactor(options, pool, Logger(*sink, "bench"));
    if (!made) std::abort();
    return std::move(*made);
}

/// An empty virtqueue: two loads, as the real one.
class EmptyQueue final : public Pollable {
  public:
    bool poll() noexcept override { return *static_cast<volatile int*>(&index_) != 0; }
    bool arm() noexcept override { return false; }
    void disarm() noexcept override {}

  private:
    int index_ = 0;
};

Task<void> pass_time(Reactor& reactor, EmptyQueue& queue) {
    reactor.add_pollable(queue);
    co_await reactor.sleep(milliseconds(100));
    reactor.remove_pollable(queue);
}

/// Time is that of one round that finds nothing, with one pollable and one timer.
void idle_round(benchmark::State& state) {
    BlockingPool pool;
    const auto reactor = reactor_of(state, pool);
    EmptyQueue queue;
    for (auto _ : state) {
        const std::uint64_t before = reactor->statistics().rounds.value();
        run_to_completion(*reactor, pass_time(*reactor, queue));
        const std::uint64_t rounds = reactor->statistics().rounds.value() - before;
        state.SetIterationTime(0.1 / static_cast<double>(rounds));
    }
}

Task<void> yields(EventLoop& reactor, benchmark::State& state) {
    for (auto _ : state) co_await reactor.yield();
}

void yield(benchmark::State& state) {
    BlockingPool pool;
    const auto reactor = reactor_of(state, pool);
    run_to_completion(*reactor, yields(*reactor, state));
}

Task<void> polls(EventLoop& reactor, int fd, benchmark::State& state) {
    for (auto _ : state) benchmark::DoNotOptimize(co_await reactor.poll(fd, POLLIN));
}

/// Of a descriptor that is ready: one request, one completion.
void poll_ready(benchmark::State& state) {
    BlockingPool pool;
    const auto reactor = reactor_of(state, pool);
    const UniqueFd fd(::eventfd(1, EFD_CLOEXEC));
    run_to_completion(*reactor, polls(*reactor, fd.get(), state));
}

struct alignas(4096) Page {
    char bytes[4096];
};

Task<void> read_page(EventLoop& reactor, int fd, Page& page) {
    const iovec to = {page.bytes, sizeof page.bytes};
    benchmark::DoNotOptimize(co_await reactor.readv(fd, std::span(&to, 1), 0));
}

Task<void> read_batches(EventLoop& reactor, int fd, benchmark::State& state) {
    constexpr int depth = 32;
    std::vector<Page> pages(depth);
    Gate gate;
    for (auto _ : state) {
        for (Page& page : pages) gate.spawn(read_page(reactor, fd, page));
        co_await gate.close();
        gate.reopen();
    }
    state.SetItemsProcessed(state.iterations() * depth);
}

/// The same pages by plain preadv, to compare with.
void read_cached_pages_in_place(benchmark::State& state) {
    const UniqueFd fd(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (::ftruncate(fd.get(), 4096) != 0) std::abort();
    Page page;
    const iovec to = {page.bytes, sizeof page.bytes};
    for (auto _ : state) benchmark::DoNotOptimize(::preadv(fd.get(), &to, 1, 0));
    state.SetItemsProcessed(state.iterations());
}

/// 32 at a time, of a cached page of /tmp; items are pages.
void read_cached_pages(benchmark::State& state) {
    BlockingPool pool;
    const auto reactor = reactor_of(state, pool);
    const UniqueFd fd(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (::ftruncate(fd.get(), 4096) != 0) std::abort();
    run_to_completion(*reactor, read_batches(*reactor, fd.get(), state));
}

Task<void> switches(EventLoop& here, EventLoop& there, benchmark::State& state) {
    for (auto _ : state) {
        co_await Reactor::switch_to(there);
        co_await Reactor::switch_to(here);
    }
}

/// There and back.
void switch_to(benchmark::State& state) {
    BlockingPool pool;
    const auto here = reactor_of(state, pool);
    const auto there = reactor_of(state, pool);
    std::thread thread([&] { there->run(); });
    run_to_completion(*here, switches(*here, *there, state));
    there->stop();
    thread.join();
}

Task<void> blocking_calls(EventLoop& reactor, benchmark::State& state) {
    const auto nothing = [] {};
    for (auto _ : state) co_await reactor.blocking(nothing);
}

void blocking_call(benchmark::State& state) {
    BlockingPool pool;
    const auto reactor = reactor_of(state, pool);
    run_to_completion(*reactor, blocking_calls(*reactor, state));
}

void on_each_reactor(benchmark::internal::Benchmark* bench) {
    bench->ArgNames({"reactor", "mode"})->ArgsProduct({{1, 2}, {0, 1, 2}})->UseRealTime();
}

BENCHMARK(idle_round)->Args({1, 0})->Args({2, 0})->UseManualTime()->Iterations(5);
BENCHMARK(yield)->Args({1, 0})->Args({2, 0});
BENCHMARK(poll_ready)->Apply(on_each_reactor);
BENCHMARK(read_cached_pages)->Args({1, 0})->Args({2, 0})->UseRealTime();
BENCHMARK(read_cached_pages_in_place);
BENCHMARK(switch_to)->Apply(on_each_reactor);
BENCHMARK(blocking_call)->Apply(on_each_reactor);

}  // namespace
}  // namespace dpfs::reactor
