// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "virtio/chain_reader.hpp"
#include "virtio/virtqueue.hpp"
#include "virtio/wire.hpp"

namespace dpfs::virtio {

/// A slot of a packed ring, and the wrap counter of the lap it is reached in (2.8.1).
struct PackedPosition {
    std::uint32_t slot = 0;
    bool wrap = true;

    /// `count` at most `size`.
    void advance(std::uint32_t count, std::uint32_t size) noexcept {
        slot += count;
        if (slot < size) return;
        slot -= size;
        wrap = !wrap;
    }

    bool operator==(const PackedPosition&) const = default;
};

/// Whether `flags` say that the driver has made a slot available in the lap of `wrap`: its
/// available bit is the driver's wrap counter, its used bit the inverse (2.8.1).
[[nodiscard]] bool is_available(std::uint16_t flags, bool wrap) noexcept;

/// Whether `event` is among the `count` slots before `now`. A position stands for the same slot
/// two laps later, so distances are taken modulo two laps. True also for an event slot that
/// cannot be: a notification too many harms nobody.
[[nodiscard]] bool passed_event(PackedPosition event,
                                PackedPosition now,
                                std::uint32_t count,
                                std::uint32_t size) noexcept;

/// The device's side of a packed ring (2.8).
class PackedRing final : public Virtqueue {
  public:
    Result<bool> pop(const GuestMemory& memory, DescriptorChain& out) override;
    Result<void> reread(const LostChain& chain,
                        const GuestMemory& memory,
                        DescriptorChain& out) override;
    void push(ChainHead head, std::uint32_t written) override;
    void flush() override;
    [[nodiscard]] bool needs_notification() override;
    [[nodiscard]] bool enable_notifications() override;
    void disable_notifications() override;
    [[nodiscard]] bool has_work() const override;
    [[nodiscard]] RingState state() const override;
    void attach_log(std::shared_ptr<const DirtyLog> log) override;
    [[nodiscard]] Violation violation() const override { return violation_; }
    [[nodiscard]] std::uint32_t size() const override { return size_; }
    [[nodiscard]] std::uint32_t in_flight() const override { return chains_in_flight_; }

  private:
    friend Result<PackedRing> make_packed_ring(const GuestMemory& memory,
                                               const RingConfig& config);

    struct Parts {
        RingPart descriptors;
        RingPart driver_event;
        RingPart device_event;
    };
    PackedRing(Parts parts, const RingConfig& config) noexcept;

    void hide_staged(PackedPosition first, std::uint32_t count) noexcept;
    void log_descriptor_write(std::uint32_t slot) const noexcept;
    void log_event_write() const noexcept;

    Parts parts_;  // keeps what the pointers below point to mapped
    PackedDescriptor* descriptors_;
    EventSuppression* driver_event_;
    EventSuppression* device_event_;
    std::shared_ptr<const DirtyLog> log_;

    ChainLimits limits_;
    std::uint32_t size_;
    PackedPosition next_available_;
    PackedPosition next_used_;  // staged descriptors included
    PackedPosition published_used_;
    std::uint32_t first_staged_slot_ = 0;  // its flags are written last, by flush()
    std::uint16_t first_staged_flags_ = 0;
    std::uint32_t staged_slots_ = 0;
    std::uint32_t unannounced_slots_ =
        0;  // published since needs_notification() was last asked
    std::uint32_t slots_in_flight_ = 0;
    std::uint32_t chains_in_flight_ = 0;
    bool event_idx_;
    Violation violation_ = Violation::none;
};

/// Errors: EINVAL (size 0 or over 32768, a part not aligned, a position outside), EFAULT (a
/// part not mapped).
Result<PackedRing> make_packed_ring(const GuestMemory& memory, const RingConfig& config);

}  // namespace dpfs::virtio
