// SPDX-License-Identifier: Apache-2.0
#include "reactor/blocking_pool.hpp"

#include "base/assert.hpp"
#include "reactor/blocked_signals.hpp"
#include "reactor/event_loop.hpp"

#include <algorithm>
#include <cstdio>
#include <pthread.h>
#include <system_error>

namespace dpfs::reactor {

BlockingPool::BlockingPool(const BlockingPoolOptions& options) : options_(options) {
    DPFS_ASSERT(options_.thread_count_max > 0);
    DPFS_ASSERT(options_.queue_count_max > 0);
    threads_.reserve(options_.thread_count_max);
    start_thread();
}

BlockingPool::~BlockingPool() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    work_came_.notify_all();
    for (std::thread& thread : threads_) thread.join();
}

bool BlockingPool::try_submit(BlockingCall& call, EventLoop& loop) {
    {
        const std::lock_guard lock(mutex_);
        if (queue_count_ == options_.queue_count_max) {
            if (std::ranges::find(starved_, &loop) == starved_.end()) starved_.push_back(&loop);
            return false;
        }
        call.reactor = &loop;
        call.next = nullptr;
        (last_ != nullptr ? last_->next : first_) = &call;
        last_ = &call;
        ++queue_count_;
        if (queue_count_ > idle_count_ && threads_.size() < options_.thread_count_max) {
            try_to_start_thread();
        }
    }
    work_came_.notify_one();
    return true;
}

void BlockingPool::forget(const EventLoop& loop) noexcept {
    const std::lock_guard lock(mutex_);
    std::erase(starved_, &loop);
}

std::size_t BlockingPool::thread_count() const {
    const std::lock_guard lock(mutex_);
    return threads_.size();
}

std::size_t BlockingPool::queue_count() const {
    const std::lock_guard lock(mutex_);
    return queue_count_;
}

void BlockingPool::start_thread() {
    const BlockedSignals blocked;
    threads_.emplace_back(&BlockingPool::work, this);
    ++idle_count_;  // from now on, or one call would start another thread for itself
    char name[16];  // with the NUL, by pthread_setname_np(3)
    std::snprintf(name, sizeof name, "dpfs-b%u", static_cast<unsigned>(threads_.size() - 1));
    pthread_setname_np(threads_.back().native_handle(), name);
}

void BlockingPool::try_to_start_thread() noexcept {
    try {
        start_thread();
    } catch (const std::system_error&) {
        return;  // those that are there will do it, later
    }
}

BlockingCall& BlockingPool::take_call() noexcept {
    BlockingCall& call = *first_;
    first_ = call.next;
    if (first_ == nullptr) last_ = nullptr;
    --queue_count_;
    // Half empty, so that one wake-up refills it with many. Inside the lock: forget() promises
    // that no wake_up() comes after it.
    if (queue_count_ <= options_.queue_count_max / 2) {
        for (EventLoop* const loop : starved_) loop->wake_up();
        starved_.clear();
    }
    return call;
}

void BlockingPool::work() {
    const Result<void> prepared = prepare_thread_credentials();
    DPFS_ASSERT(prepared.has_value());
    std::unique_lock lock(mutex_);
    for (;;) {
        work_came_.wait(lock, [this] { return first_ != nullptr || stopping_; });
        --idle_count_;
        if (first_ == nullptr) return;
        BlockingCall& call = take_call();
        lock.unlock();

        const bool switches = can_switch_credentials();
        const Result<void> acting = switches ? act_as(call.as) : Result<void>();
        acting ? call.run() : call.refuse(acting.error());
        // Only EventLoop hands calls to the pool, by try_submit().
        static_cast<EventLoop*>(call.reactor)->finish_blocking(call);

        lock.lock();
        ++idle_count_;
    }
}

}  // namespace dpfs::reactor
