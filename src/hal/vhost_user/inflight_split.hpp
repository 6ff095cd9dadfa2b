// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "hal/vhost_user/inflight.hpp"
#include "hal/vhost_user/inflight_wire.hpp"

namespace dpfs::hal::vhost_user {

/// InflightTracker for split rings.
class SplitInflight final : public InflightTracker {
  public:
    SplitInflight(InflightRegion region, std::uint64_t next_counter) noexcept;

    std::uint16_t taken(const virtio::RingState& before,
                        virtio::ChainHead head) noexcept override;
    void pushing(std::uint16_t entry) noexcept override;
    void flushing() noexcept override {}
    void flushed(const virtio::RingState& now) noexcept override;

  private:
    InflightRegion region_;  // keeps what the pointers below point to mapped
    wire::QueueRegionSplit* header_;
    wire::DescStateSplit* entries_;
    std::uint64_t next_counter_;
    std::vector<std::uint16_t> batch_;  // pushed, not flushed
};

/// open_inflight() for a split ring.
Result<OpenedInflight> open_split_inflight(InflightRegion region,
                                           const virtio::RingConfig& config,
                                           const virtio::GuestMemory& memory);

}  // namespace dpfs::hal::vhost_user
