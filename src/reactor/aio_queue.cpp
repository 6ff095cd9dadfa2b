// SPDX-License-Identifier: Apache-2.0
#include "reactor/aio_queue.hpp"

#include "reactor/credentials.hpp"

#include <algorithm>
#include <array>
#include <sys/eventfd.h>

namespace dpfs::reactor {
namespace {

Operation& operation_of(const iocb& block) noexcept {
    return *static_cast<Operation*>(block.data);
}

bool same_caller(const Operation& one, const Operation& other) noexcept {
    const Credentials* const a = one.arguments.as;
    const Credentials* const b = other.arguments.as;
    return a == b || (a != nullptr && b != nullptr && *a == *b);
}

}  // namespace

AioQueue::AioQueue(std::size_t count_max) : blocks_(count_max), queued_(count_max) {
    for (iocb& block : blocks_) free_.push_back(&block);
}

AioQueue::~AioQueue() {
    if (context_ != nullptr) ::io_queue_release(context_);
}

Result<std::unique_ptr<AioQueue>> AioQueue::make(std::size_t count_max) {
    std::unique_ptr<AioQueue> made(new AioQueue(count_max));
    made->event_fd_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!made->event_fd_) return fail_errno();
    const int result = ::io_queue_init(static_cast<int>(count_max), &made->context_);
    if (result < 0) return fail(static_cast<Errno>(-result));
    return made;
}

bool AioQueue::push(Operation& operation) noexcept {
    if (free_.empty()) return false;
    iocb& block = *free_.back();
    free_.pop_back();

    const Arguments& call = operation.arguments;
    const auto prepare = call.code == OpCode::readv ? ::io_prep_preadv : ::io_prep_pwritev;
    prepare(&block,
            call.fd,
            static_cast<const iovec*>(call.address),
            static_cast<int>(call.size),
            static_cast<long long>(call.offset));
    block.aio_rw_flags = call.flags;
    block.data = &operation;
    ::io_set_eventfd(&block, event_fd_.get());
    queued_[queued_count_++] = &block;
    return true;
}

void AioQueue::refuse_first(std::int32_t result, std::vector<Completion>& refused) {
    refused.push_back({&operation_of(*queued_.front()), result});
    release(*queued_.front());
}

void AioQueue::submit(std::vector<Completion>& refused) {
    while (queued_count_ > 0) {
        const Operation& first = operation_of(*queued_.front());
        const auto end = queued_.begin() + static_cast<std::ptrdiff_t>(queued_count_);
        const auto run_end = std::find_if(queued_.begin(), end, [&](const iocb* block) {
            return !same_caller(first, operation_of(*block));
        });

        std::ptrdiff_t taken = 0;
        const Result<void> acting =
            can_switch_credentials() ? act_as(first.arguments.as) : Result<void>();
        if (!acting) {
            refuse_first(-static_cast<std::int32_t>(acting.error()), refused);
            taken = 1;
        } else {
            taken = ::io_submit(context_, run_end - queued_.begin(), queued_.data());
            if (taken == -EAGAIN) return;  // as many as the kernel has room for are under way
            if (taken <= 0) {
                // It stops at the first bad one, and tells why when that one comes first.
                refuse_first(static_cast<std::int32_t>(taken), refused);
                taken = 1;
            }
        }
        std::move(queued_.begin() + taken, end, queued_.begin());
        queued_count_ -= static_cast<std::size_t>(taken);
    }
}

void AioQueue::collect(std::vector<Completion>& ended) {
    std::array<io_event, 64> events;
    timespec at_once = {};
    for (;;) {
        // The library looks at the ring in memory first.
        const int count = ::io_getevents(
            context_, 0, static_cast<long>(events.size()), events.data(), &at_once);
        for (int i = 0; i < count; ++i) {
            const io_event& event = events[static_cast<std::size_t>(i)];
            ended.push_back(
                {static_cast<Operation*>(event.data), static_cast<std::int32_t>(event.res)});
            release(*event.obj);
        }
        if (count < static_cast<int>(events.size())) return;
    }
}

}  // namespace dpfs::reactor
