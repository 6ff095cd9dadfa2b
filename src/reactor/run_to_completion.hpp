// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/assert.hpp"
#include "base/task.hpp"
#include "reactor/reactor.hpp"

#include <optional>
#include <utility>

namespace dpfs::reactor {

namespace detail {

template <class T>
Task<void> run_then_stop(Reactor& reactor, Task<T> work, std::optional<T>& result) {
    co_await reactor.yield();  // so that all of it runs inside the loop
    result.emplace(co_await std::move(work));
    // The work may have ended on another thread; this frame is destroyed by the loop's.
    co_await Reactor::switch_to(reactor);
    reactor.stop();
}

inline Task<void> run_then_stop(Reactor& reactor, Task<void> work) {
    co_await reactor.yield();
    co_await std::move(work);
    co_await Reactor::switch_to(reactor);
    reactor.stop();
}

}  // namespace detail

/// Runs `reactor` on this thread until `work` has ended, and gives its value: for tests and
/// tools. Returns when nothing else is in flight either.
template <class T>
T run_to_completion(Reactor& reactor, Task<T> work) {
    if constexpr (std::is_void_v<T>) {
        Task<void> running = detail::run_then_stop(reactor, std::move(work));
        running.start();
        reactor.run();
    } else {
        std::optional<T> result;
        Task<void> running = detail::run_then_stop(reactor, std::move(work), result);
        running.start();
        reactor.run();
        DPFS_ASSERT(result.has_value());
        return std::move(*result);
    }
}

}  // namespace dpfs::reactor
