// SPDX-License-Identifier: Apache-2.0
#include "hal/vhost_user/vring.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <utility>

// The part of Vring that runs for each request; the tasks are in vring_control.cpp.

namespace dpfs::hal::vhost_user {
namespace {

/// Requests that one look at the ring takes at most: other queues of the thread want a turn,
/// and the driver goes on with what is done while the rest is served. Less would notify a
/// driver that sleeps more often than for every 20th request; 64 kept it waiting
/// (docs/performance.md).
constexpr int batch_max = 20;

}  // namespace

bool Vring::poll() noexcept {
    const bool any = popping() && take_requests();
    flush();
    return any;
}

bool Vring::arm() noexcept {
    flush();
    if (!popping()) return false;
    return ring_->enable_notifications() || memory_lost();
}

void Vring::disarm() noexcept {
    if (popping()) ring_->disable_notifications();
}

bool Vring::take_requests() noexcept {
    stats_.polls.add();
    if (memory_lost()) {
        break_ring();
        return true;
    }
    for (int taken = 0; taken < batch_max; ++taken) {
        virtio::RingState before;
        if (inflight_) before = ring_->state();
        const auto popped = ring_->pop(*memory_->memory, free_->chain);
        if (!popped) {
            break_ring();
            return true;
        }
        if (!*popped) return taken > 0;
        Slot& slot = take_slot();
        if (inflight_) slot.inflight_entry = inflight_->taken(before, slot.chain.head());
        deliver(slot);
    }
    return true;
}

Vring::Slot& Vring::take_slot() noexcept {
    Slot& slot = *free_;
    free_ = slot.next_free;
    slot.epoch = memory_;
    ++memory_->users;
    ++in_flight_;
    return slot;
}

void Vring::deliver(Slot& slot) noexcept {
    slot.readable = slot.chain.readable();
    slot.writable = slot.chain.writable();
    slot.queue = this;
    stats_.requests.add();
    stats_.bytes_in.add(slot.chain.readable_size());
    sink_.handle(RequestHandle(slot));
}

void Vring::complete(Request& request, std::uint32_t written) noexcept {
    Slot& slot = static_cast<Slot&>(request);
    DPFS_ASSERT(written <= slot.chain.writable_size());
    stats_.completions.add();
    stats_.bytes_out.add(written);
    if (state_ != State::broken) {
        if (logs_.buffers != nullptr) {
            // The log covers all of the map: the connection has seen to it.
            (void)logs_.buffers->mark_buffers(
                *slot.epoch->memory, slot.chain.writable(), written);
        }
        if (inflight_) inflight_->pushing(slot.inflight_entry);
        ring_->push(slot.chain.head(), written);
        ++staged_;
    }

    MemoryEpoch& epoch = *std::exchange(slot.epoch, nullptr);
    if (--epoch.users == 0 && &epoch != memory_) retire(epoch);
    slot.next_free = free_;
    free_ = &slot;
    if (--in_flight_ == 0 && drain_waiter_) {
        reactor().schedule(std::exchange(drain_waiter_, nullptr));
    }
}

void Vring::flush() noexcept {
    if (staged_ == 0 || state_ == State::broken) return;
    staged_ = 0;
    if (inflight_) inflight_->flushing();
    ring_->flush();
    if (inflight_) inflight_->flushed(ring_->state());
    if (ring_->needs_notification()) call_driver();
}

void Vring::call_driver() noexcept {
    call_wanted_ = true;
    if (call_waiter_) reactor().schedule(std::exchange(call_waiter_, nullptr));
}

void Vring::break_ring() noexcept {
    state_ = State::broken;
    staged_ = 0;
    reports_.spawn(report_broken());
}

void Vring::retire(MemoryEpoch& epoch) noexcept {
    std::erase_if(epochs_, [&](const auto& known) { return known.get() == &epoch; });
}

}  // namespace dpfs::hal::vhost_user
