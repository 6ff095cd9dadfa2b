// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "virtio/driver_ring.hpp"
#include "virtio/packed_ring.hpp"
#include "virtio/wire.hpp"

#include <vector>

namespace dpfs::virtio {

/// The driver's side of a packed ring (2.8).
class PackedDriver final : public DriverRing {
  public:
    /// For make_driver_ring(), which has checked everything: `area` is the memory of the
    /// layout.
    PackedDriver(RingPart area, const DriverConfig& config);

    Result<std::uint16_t> add(const ChainRequest& request) override;
    void publish() override;
    [[nodiscard]] bool needs_kick() override;
    Result<std::optional<UsedChain>> poll() override;
    [[nodiscard]] bool enable_notifications() override;
    void disable_notifications() override;
    [[nodiscard]] std::uint32_t free_count() const override { return free_count_; }

  private:
    [[nodiscard]] std::byte* at(std::uint64_t address) const noexcept;
    [[nodiscard]] bool next_is_used() const noexcept;
    std::uint64_t write_table(std::uint16_t id, const ChainRequest& request);
    void put(PackedDescriptor descriptor) noexcept;

    RingPart area_;
    DriverLayout layout_;
    std::uint32_t size_;
    bool event_idx_;
    PackedDescriptor* descriptors_;
    EventSuppression* driver_event_;
    EventSuppression* device_event_;

    std::vector<std::uint16_t> free_ids_;
    std::vector<std::uint16_t> slot_counts_;  // by id; 0: not in flight
    std::uint32_t free_count_;
    PackedPosition next_available_;
    PackedPosition published_;
    PackedPosition next_used_;
    std::uint16_t first_staged_flags_ = 0;  // of the slot at published_, written by publish()
    std::uint32_t staged_slots_ = 0;
    std::uint32_t unasked_slots_ = 0;  // published since needs_kick() was last asked
};

}  // namespace dpfs::virtio
