// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "virtio/driver_ring.hpp"
#include "virtio/wire.hpp"

#include <vector>

namespace dpfs::virtio {

/// The driver's side of a split ring (2.7). What the device could write into is never believed:
/// free descriptors and chains are kept here, not in the table.
class SplitDriver final : public DriverRing {
  public:
    /// For make_driver_ring(), which has checked everything: `area` is the memory of the
    /// layout.
    SplitDriver(RingPart area, const DriverConfig& config);

    Result<std::uint16_t> add(const ChainRequest& request) override;
    void publish() override;
    [[nodiscard]] bool needs_kick() override;
    Result<std::optional<UsedChain>> poll() override;
    [[nodiscard]] bool enable_notifications() override;
    void disable_notifications() override;
    [[nodiscard]] std::uint32_t free_count() const override { return free_count_; }

  private:
    [[nodiscard]] std::byte* at(std::uint64_t address) const noexcept;
    void write_table(std::uint16_t slot, const ChainRequest& request, std::uint32_t from);
    void release(std::uint16_t head) noexcept;

    RingPart area_;
    DriverLayout layout_;
    std::uint32_t size_;
    bool event_idx_;
    Descriptor* descriptors_;
    AvailableHeader* available_;
    le<std::uint16_t>* available_entries_;
    le<std::uint16_t>* used_event_;
    UsedHeader* used_;
    UsedElement* used_entries_;
    le<std::uint16_t>* available_event_;

    std::vector<std::uint16_t> next_;         // of a free list, or within a chain
    std::vector<std::uint16_t> slot_counts_;  // by head; 0: not in flight
    std::uint16_t first_free_ = 0;
    std::uint32_t free_count_;
    std::uint16_t next_available_ = 0;  // added, though not yet published
    std::uint16_t published_ = 0;
    std::uint16_t asked_ = 0;  // published when needs_kick() was last asked
    std::uint16_t next_used_ = 0;
};

}  // namespace dpfs::virtio
