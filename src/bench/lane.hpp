// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bench/slot.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace dpfs::bench {

/// A request that has come back.
struct Done {
    Slot* slot = nullptr;
    std::uint32_t written = 0;  ///< bytes, as the device says
};

/// One virtqueue and the requests that may be in it.
///
/// Thread    one at a time.
class Lane {
  public:
    Lane(std::unique_ptr<hal::vhost_user::DriverQueue> queue,
         std::vector<Slot> slots,
         bool indirect);

    [[nodiscard]] std::vector<Slot>& slots() noexcept { return slots_; }

    /// Puts the request of `slot` into the ring, under a new number.
    /// Errors: EAGAIN (the ring is full), EINVAL (more segments than the ring holds).
    Result<void> add(Slot& slot) {
        slot.renew();
        const auto id = queue_->ring().add(slot.chain(indirect_));
        if (!id) return fail(id.error());
        in_flight_[*id] = &slot;
        ++request_count_;
        return {};
    }
    /// Shows the device what was added: one store, and a kick where it asks for one.
    void publish() { queue_->publish(); }
    /// The next request that is done; no slot: none is. Errors: EPROTO.
    Result<Done> poll() {
        const auto used = queue_->ring().poll();
        if (!used) return fail(used.error());
        const std::optional<virtio::UsedChain> chain = *used;
        if (!chain) return Done{};
        return Done{.slot = in_flight_[chain->id], .written = chain->written};
    }

    [[nodiscard]] bool enable_notifications() { return queue_->ring().enable_notifications(); }
    void disable_notifications() { queue_->ring().disable_notifications(); }
    [[nodiscard]] int call_fd() const noexcept { return queue_->call_fd(); }
    /// Takes the notifications that have come, and counts them.
    void take_calls() noexcept;

    [[nodiscard]] std::uint64_t request_count() const noexcept { return request_count_; }
    [[nodiscard]] std::uint64_t kick_count() const noexcept { return queue_->kick_count(); }
    [[nodiscard]] std::uint64_t call_count() const noexcept { return call_count_; }
    [[nodiscard]] hal::vhost_user::DriverQueue& queue() noexcept { return *queue_; }

  private:
    std::unique_ptr<hal::vhost_user::DriverQueue> queue_;
    std::vector<Slot> slots_;
    std::vector<Slot*> in_flight_;  // by the ring's id
    bool indirect_;
    std::uint64_t request_count_ = 0;
    std::uint64_t call_count_ = 0;
};

}  // namespace dpfs::bench
