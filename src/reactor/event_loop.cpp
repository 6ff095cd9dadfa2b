// SPDX-License-Identifier: Apache-2.0
#include "reactor/event_loop.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <sched.h>
#include <time.h>
#include <utility>

namespace dpfs::reactor {
namespace {

/// Reading the clock costs about as much as the rest of an idle round; deadlines and the end
/// of spinning may be noticed this many rounds late.
constexpr std::uint32_t clock_age_max = 16;

thread_local const EventLoop* running_loop = nullptr;

}  // namespace

std::uint64_t default_shuffle_seed() noexcept {
#if defined(DPFS_SHUFFLE_READY) || defined(DPFS_SANITIZED)
    return 1;
#else
    return 0;
#endif
}

EventLoop::EventLoop(const LoopOptions& options)
    : policy_(options.policy), ready_(options.shuffle_seed) {}

EventLoop::~EventLoop() {
    DPFS_ASSERT(in_flight_count_ == 0);
    wait_for_visitors();
}

void EventLoop::wait_for_visitors() const noexcept {
    while (visitor_count_.load(std::memory_order_acquire) != 0) ::sched_yield();
}

Instant EventLoop::now() const noexcept {
    timespec time;
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return {time.tv_sec * 1'000'000'000 + time.tv_nsec};
}

bool EventLoop::on_own_thread() const noexcept {
    return running_loop == this;
}

// --- from other threads

void EventLoop::post(Posted& posted) noexcept {
    begin_visit();
    posted_.push(posted);
    wake_if_sleeping();
    end_visit();
}

void EventLoop::finish_blocking(BlockingCall& call) noexcept {
    begin_visit();
    finished_calls_.push(call);
    wake_if_sleeping();
    end_visit();
}

void EventLoop::stop() noexcept {
    begin_visit();
    stop_requested_.store(true, std::memory_order_release);
    wake_requested_.store(true, std::memory_order_seq_cst);
    wake_if_sleeping();
    end_visit();
}

void EventLoop::wake_up() noexcept {
    begin_visit();
    wake_requested_.store(true, std::memory_order_seq_cst);
    wake_if_sleeping();
    end_visit();
}

void EventLoop::wake_if_sleeping() noexcept {
    // The exchange lets one of many do the system call; the load spares a busy loop's peers
    // the traffic on its cache line.
    if (!sleeping_.load(std::memory_order_seq_cst)) return;
    if (sleeping_.exchange(false, std::memory_order_seq_cst)) wake();
}

// --- operations

void EventLoop::submit(Operation& operation) noexcept {
    operation.reactor = this;
    operation.in_flight = true;
    ++in_flight_count_;
    statistics_.operations.add();
    if (operation.limit.cancel != nullptr) {
        if (operation.limit.cancel->canceled()) return complete(operation, -ECANCELED);
        operation.limit.cancel->link(operation);
    }
    if (operation.limit.deadline != Instant::never()) timers_.insert(operation);
    if (operation.arguments.code != OpCode::timeout) start_operation(operation);
}

void EventLoop::cancel(Operation& operation) noexcept {
    DPFS_ASSERT(operation.in_flight);
    if (operation.cancel_requested) return;
    operation.cancel_requested = true;
    if (operation.arguments.code == OpCode::timeout) return complete(operation, -ECANCELED);
    cancel_operation(operation);
}

bool EventLoop::expire_deadlines() noexcept {
    if (timers_.empty()) return false;
    bool any = false;
    while (Operation* const operation = timers_.take_expired(clock_)) {
        any = true;
        if (operation->arguments.code == OpCode::timeout) {
            complete(*operation, 0);
        } else if (!operation->cancel_requested) {
            operation->deadline_passed = true;
            operation->cancel_requested = true;
            cancel_operation(*operation);
        }
    }
    return any;
}

void EventLoop::complete(Operation& operation, std::int32_t result) noexcept {
    DPFS_ASSERT(operation.in_flight);
    operation.in_flight = false;
    operation.unlink();
    if (operation.timer_position != 0) timers_.remove(operation);
    // A cancelled worker of the kernel's reports the signal that ended its wait.
    if (result == -ECANCELED || (result == -EINTR && operation.cancel_requested)) {
        result = operation.deadline_passed ? -ETIMEDOUT : -ECANCELED;
    }
    operation.result = result;
    --in_flight_count_;
    ready_.push(operation.waiter);
}

void EventLoop::submit_blocking(BlockingCall& call) noexcept {
    call.reactor = this;
    ++in_flight_count_;
    statistics_.blocking_calls.add();
    start_blocking(call);
}

bool EventLoop::take_finished() noexcept {
    BlockingCall* call = finished_calls_.take_all();
    if (call == nullptr) return false;
    while (call != nullptr) {
        BlockingCall* const next = call->next;
        if (call->waiter) {
            --in_flight_count_;
            ready_.push(call->waiter);
        } else {
            finish_own_call(*call);
        }
        call = next;
    }
    return true;
}

void EventLoop::finish_own_call(BlockingCall&) noexcept {
    DPFS_ASSERT(false);
}

bool EventLoop::take_posted() noexcept {
    Posted* posted = posted_.take_all();
    if (posted == nullptr) return false;
    while (posted != nullptr) {
        Posted* const next = posted->next;
        ready_.push(posted->handle);
        posted = next;
    }
    return true;
}

// --- pollables

void EventLoop::add_pollable(Pollable& source) {
    DPFS_ASSERT(std::ranges::find(pollables_, &source) == pollables_.end());
    pollables_.push_back(&source);
    source.disarm();
}

void EventLoop::remove_pollable(Pollable& source) noexcept {
    const auto found = std::ranges::find(pollables_, &source);
    DPFS_ASSERT(found != pollables_.end());
    // Perhaps from inside a poll(): the list closes up between two walks over it.
    *found = nullptr;
    pollables_removed_ = true;
}

bool EventLoop::poll_pollables() noexcept {
    if (pollables_removed_) {
        std::erase(pollables_, nullptr);
        pollables_removed_ = false;
    }
    bool any = false;
    for (std::size_t i = 0; i < pollables_.size(); ++i) {
        if (pollables_[i] != nullptr && pollables_[i]->poll()) any = true;
    }
    return any;
}

bool EventLoop::arm_pollables() noexcept {
    bool work = false;
    for (Pollable* const source : pollables_) {
        if (source != nullptr && source->arm()) work = true;
    }
    return work;
}

void EventLoop::disarm_pollables() noexcept {
    for (Pollable* const source : pollables_) {
        if (source != nullptr) source->disarm();
    }
}

// --- the loop

void EventLoop::run() {
    const EventLoop* const outer = std::exchange(running_loop, this);
    enter();
    clock_ = now();
    while (!finished()) {
        if (round()) {
            idle_ = false;
        } else if (should_sleep()) {
            sleep_until_work();
        }
    }
    leave();
    stop_requested_.store(false, std::memory_order_seq_cst);
    running_loop = outer;
}

bool EventLoop::step() {
    const EventLoop* const outer = std::exchange(running_loop, this);
    clock_ = now();
    const bool any = round();
    running_loop = outer;
    return any;
}

bool EventLoop::pretend_to_sleep() noexcept {
    const EventLoop* const outer = std::exchange(running_loop, this);
    const bool work = arm_pollables();
    disarm_pollables();
    running_loop = outer;
    return work;
}

bool EventLoop::round() {
    statistics_.rounds.add();
    read_clock_sometimes();
    worked_ = false;
    bool any = take_posted();
    any |= take_finished();
    any |= poll_pollables();
    any |= expire_deadlines();
    any |= ready_.run();
    any |= collect();
    return any || worked_;
}

bool EventLoop::finished() const noexcept {
    return stop_requested_.load(std::memory_order_acquire) && in_flight_count_ == 0 &&
           ready_.empty() && posted_.empty();
}

void EventLoop::read_clock_sometimes() noexcept {
    if (idle_) {
        if (++clock_age_ < clock_age_max) return;
        if (timers_.empty() && policy_.mode != PollMode::adaptive) return;
    } else if (timers_.empty()) {
        return;
    }
    clock_ = now();
    clock_age_ = 0;
}

bool EventLoop::should_sleep() noexcept {
    if (!ready_.empty()) return false;
    switch (policy_.mode) {
        case PollMode::busy:
            idle_ = true;
            return false;
        case PollMode::interrupt:
            return true;
        case PollMode::adaptive:
            break;
    }
    if (!idle_) {
        idle_ = true;
        clock_ = idle_since_ = now();
        clock_age_ = 0;
    }
    return clock_ - idle_since_ >= policy_.spin;
}

void EventLoop::sleep_until_work() noexcept {
    if (!arm_pollables()) {
        sleeping_.store(true, std::memory_order_seq_cst);
        if (posted_.empty() && finished_calls_.empty() &&
            !wake_requested_.exchange(false, std::memory_order_seq_cst)) {
            statistics_.sleeps.add();
            wait(timers_.next());
        }
        if (!sleeping_.exchange(false, std::memory_order_seq_cst)) statistics_.wake_ups.add();
    }
    disarm_pollables();
    clock_ = now();
    idle_ = false;
}

}  // namespace dpfs::reactor
