// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "virtio/chain_reader.hpp"
#include "virtio/virtqueue.hpp"
#include "virtio/wire.hpp"

namespace dpfs::virtio {

/// The device's side of a split ring (2.7).
///
/// VIRTIO_F_IN_ORDER cannot be offered with it: requests end in any order, and holding back a
/// finished one until an older one is done would make a slow file everybody's.
class SplitRing final : public Virtqueue {
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
    [[nodiscard]] std::uint32_t in_flight() const override { return in_flight_; }

  private:
    friend Result<SplitRing> make_split_ring(const GuestMemory& memory,
                                             const RingConfig& config);

    struct Parts {
        RingPart descriptors;
        RingPart available;
        RingPart used;
    };
    SplitRing(Parts parts, const RingConfig& config) noexcept;

    Result<bool> broken(Violation violation) noexcept;
    /// Whether the driver may have offered one chain more than we have given back.
    [[nodiscard]] bool has_room() const noexcept;
    void log_used_write(const void* written, std::uint64_t length) const noexcept;

    Parts parts_;  // keeps what the pointers below point to mapped
    Descriptor* descriptors_;
    AvailableHeader* available_;
    le<std::uint16_t>* available_entries_;
    le<std::uint16_t>* used_event_;  // only with EVENT_IDX, as avail_event_
    UsedHeader* used_;
    UsedElement* used_entries_;
    le<std::uint16_t>* available_event_;
    std::shared_ptr<const DirtyLog> log_;

    ChainLimits limits_;
    std::uint32_t size_;
    std::uint16_t mask_;
    std::uint16_t next_available_;
    std::uint16_t seen_available_;  // the driver's index when we last looked
    std::uint16_t next_used_;       // staged entries included
    std::uint16_t published_used_;
    std::uint32_t unannounced_ = 0;  // published since needs_notification() was last asked
    std::uint32_t in_flight_ = 0;
    bool event_idx_;
    Violation violation_ = Violation::none;
};

/// Errors: EINVAL (size not a power of two or over 32768, a part not aligned, positions that
/// are further apart than the ring is long), EFAULT (a part not mapped).
Result<SplitRing> make_split_ring(const GuestMemory& memory, const RingConfig& config);

}  // namespace dpfs::virtio
