// SPDX-License-Identifier: Apache-2.0
#include "reactor/offloading_loop.hpp"

#include "base/assert.hpp"
#include "reactor/system_calls.hpp"

#include <utility>

namespace dpfs::reactor {

OffloadingLoop::OffloadingLoop(const LoopOptions& options, BlockingPool& pool)
    : EventLoop(options), pool_(pool) {}

OffloadingLoop::~OffloadingLoop() {
    pool_.forget(*this);
}

// --- the pool's side of an operation

void OffloadingLoop::OffloadedCall::begin(Operation& operation) noexcept {
    operation_ = &operation;
    as = operation.arguments.as;
    state_.store(State::waiting, std::memory_order_relaxed);
}

bool OffloadingLoop::OffloadedCall::claim() noexcept {
    State expected = State::waiting;
    return state_.compare_exchange_strong(expected, State::running);
}

bool OffloadingLoop::OffloadedCall::abandon() noexcept {
    State expected = State::waiting;
    if (!state_.compare_exchange_strong(expected, State::abandoned)) return false;
    operation_ = nullptr;
    return true;
}

void OffloadingLoop::OffloadedCall::run() noexcept {
    if (claim()) result_ = make_system_call(operation_->arguments);
}

void OffloadingLoop::OffloadedCall::refuse(Errno error) noexcept {
    if (claim()) result_ = -std::to_underlying(error);
}

// --- the loop's side

OffloadingLoop::OffloadedCall& OffloadingLoop::take_free_call() {
    if (free_calls_ == nullptr) {
        calls_.push_back(std::make_unique<OffloadedCall>());
        return *calls_.back();
    }
    return static_cast<OffloadedCall&>(*std::exchange(free_calls_, free_calls_->next));
}

void OffloadingLoop::offload(Operation& operation) {
    OffloadedCall& call = take_free_call();
    call.begin(operation);
    operation.slot = &call;
    hold();  // the call may be abandoned and yet be in the pool's queue
    start_blocking(call);
}

bool OffloadingLoop::cancel_offloaded(Operation& operation) noexcept {
    if (operation.slot == nullptr) return false;
    auto& call = *static_cast<OffloadedCall*>(operation.slot);
    if (call.abandon()) {
        operation.slot = nullptr;
        complete(operation, -ECANCELED);
    }
    return true;
}

void OffloadingLoop::finish_own_call(BlockingCall& finished) noexcept {
    auto& call = static_cast<OffloadedCall&>(finished);
    if (Operation* const operation = call.operation(); operation != nullptr) {
        operation->slot = nullptr;
        complete(*operation, call.result());
    }
    release();
    call.next = free_calls_;
    free_calls_ = &call;
}

void OffloadingLoop::start_blocking(BlockingCall& call) noexcept {
    if (backlog_first_ == nullptr && pool_.try_submit(call, *this)) return;
    call.next = nullptr;
    (backlog_last_ != nullptr ? backlog_last_->next : backlog_first_) = &call;
    backlog_last_ = &call;
}

void OffloadingLoop::feed_pool_slowly() noexcept {
    while (backlog_first_ != nullptr) {
        BlockingCall& call = *backlog_first_;
        BlockingCall* const next = call.next;  // the pool's, once it has the call
        if (!pool_.try_submit(call, *this)) return;
        backlog_first_ = next;
    }
    backlog_last_ = nullptr;
}

}  // namespace dpfs::reactor
