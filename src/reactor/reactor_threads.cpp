// SPDX-License-Identifier: Apache-2.0
#include "reactor/reactor_threads.hpp"

#include "base/assert.hpp"
#include "reactor/blocked_signals.hpp"

#include <cerrno>
#include <cstdio>
#include <exception>
#include <future>
#include <pthread.h>
#include <sched.h>
#include <system_error>
#include <utility>

namespace dpfs::reactor {
namespace {

Result<void> pin_this_thread(int cpu) noexcept {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(static_cast<std::size_t>(cpu), &cpus);
    const int error = ::pthread_setaffinity_np(::pthread_self(), sizeof cpus, &cpus);
    if (error != 0) return fail(static_cast<Errno>(error));
    return {};
}

}  // namespace

/// A coroutine that nobody awaits; it carries work to the thread that will own it.
struct ReactorThreads::Carrier {
    struct promise_type {
        static void* operator new(std::size_t size) { return allocate_frame(size); }
        static void operator delete(void* frame, std::size_t size) {
            release_frame(frame, size);
        }
        Carrier get_return_object() const noexcept { return {}; }
        std::suspend_never initial_suspend() const noexcept { return {}; }
        std::suspend_never final_suspend() const noexcept { return {}; }
        void unhandled_exception() const noexcept { std::terminate(); }
        void return_void() const noexcept {}
    };
};

Result<std::unique_ptr<ReactorThreads>> ReactorThreads::make(
    const ReactorThreadsOptions& options, BlockingPool& pool, const Logger& log) {
    std::unique_ptr<ReactorThreads> made(new ReactorThreads);
    for (std::size_t i = 0; i < options.count; ++i) {
        Result<std::unique_ptr<EventLoop>> reactor = make_reactor(options.reactor, pool, log);
        if (!reactor) return fail(reactor.error());
        auto member = std::make_unique<Member>();
        member->reactor = std::move(*reactor);
        if (auto started = made->start(*member, i, options); !started) {
            return fail(started.error());
        }
        made->members_.push_back(std::move(member));
    }
    return made;
}

Result<void> ReactorThreads::start(Member& member,
                                   std::size_t index,
                                   const ReactorThreadsOptions& options) {
    // The thread says whether it could be set up before it runs the loop.
    std::promise<int> outcome;
    std::future<int> error = outcome.get_future();
    const int cpu = options.cpus.empty() ? -1 : options.cpus[index % options.cpus.size()];
    auto run = [&loop = *member.reactor, cpu, outcome = std::move(outcome)]() mutable {
        Result<void> ready = prepare_thread_credentials();
        if (ready && cpu >= 0) ready = pin_this_thread(cpu);
        outcome.set_value(ready ? 0 : static_cast<int>(ready.error()));
        if (ready) loop.run();
    };

    int failure = 0;
    try {
        const BlockedSignals blocked;
        member.thread = std::thread(std::move(run));
    } catch (const std::system_error&) {
        failure = EAGAIN;
    }
    if (failure == 0) {
        char name[16];  // with the NUL, by pthread_setname_np(3)
        std::snprintf(name, sizeof name, "dpfs-r%u", static_cast<unsigned>(index));
        pthread_setname_np(member.thread.native_handle(), name);
        failure = error.get();
        if (failure != 0) member.thread.join();
    }
    if (failure != 0) return fail(static_cast<Errno>(failure));
    return {};
}

ReactorThreads::~ReactorThreads() {
    stop_all();
    join();
}

void ReactorThreads::spawn(std::size_t index, Task<void> work) {
    DPFS_ASSERT(index < members_.size());
    if (!stopping_.load() && try_begin_work()) {
        carry(*members_[index]->reactor, std::move(work));
    }
}

ReactorThreads::Carrier ReactorThreads::carry(Reactor& reactor, Task<void> work) {
    {
        // Its own scope: the work's frame is gone before its end is told.
        Task<void> mine = std::move(work);
        co_await Reactor::switch_to(reactor);
        co_await std::move(mine);
        co_await Reactor::switch_to(reactor);  // wherever it has ended
    }
    end_work();
}

bool ReactorThreads::try_begin_work() noexcept {
    std::size_t count = work_count_.load();
    while (count != 0) {
        if (work_count_.compare_exchange_weak(count, count + 1)) return true;
    }
    return false;
}

void ReactorThreads::end_work() noexcept {
    if (work_count_.fetch_sub(1) > 1) return;
    for (const auto& member : members_) member->reactor->stop();
}

void ReactorThreads::stop_all() {
    if (!stopping_.exchange(true)) end_work();
}

void ReactorThreads::join() {
    for (const auto& member : members_) {
        if (member->thread.joinable()) member->thread.join();
    }
}

}  // namespace dpfs::reactor
