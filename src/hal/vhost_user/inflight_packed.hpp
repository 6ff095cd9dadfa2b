// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "hal/vhost_user/inflight.hpp"
#include "hal/vhost_user/inflight_wire.hpp"
#include "virtio/packed_ring.hpp"

namespace dpfs::hal::vhost_user {

/// Which entries of a packed ring's region are free, and which note a chain: our own copy, so
/// that nothing is taken from the region again.
struct PackedEntries {
    struct Chain {
        std::uint16_t last = 0;   ///< its last entry
        std::uint16_t slots = 0;  ///< how many it has
    };

    std::vector<std::uint16_t> next;  ///< by entry; size(): the end
    std::vector<Chain> chains;        ///< by first entry
    std::uint16_t free_head = 0;

    [[nodiscard]] std::uint16_t size() const noexcept {
        return static_cast<std::uint16_t>(next.size());
    }
};

/// InflightTracker for packed rings.
///
/// Two facts change the region's state, each with one store: old_free_head (a chain has been
/// taken), and the flags of the ring's descriptor at old_used_idx (a batch has been given
/// back). What is written before either is a draft: who comes after us finishes it or drops it.
/// Chains pushed are kept here until they are flushed, so that there is one draft at a time.
class PackedInflight final : public InflightTracker {
  public:
    struct Start {
        PackedEntries entries;
        virtio::PackedPosition used;
        std::uint64_t next_counter = 0;
    };
    PackedInflight(InflightRegion region,
                   virtio::RingPart ring,
                   std::uint32_t ring_size,
                   Start start) noexcept;

    std::uint16_t taken(const virtio::RingState& before,
                        virtio::ChainHead head) noexcept override;
    void pushing(std::uint16_t entry) noexcept override;
    void flushing() noexcept override;
    void flushed(const virtio::RingState& now) noexcept override;

  private:
    InflightRegion region_;  // both keep what the pointers below point to mapped
    virtio::RingPart ring_;
    wire::QueueRegionPacked* header_;
    wire::DescStatePacked* entries_;
    virtio::PackedDescriptor* descriptors_;

    std::uint32_t ring_size_;
    PackedEntries ours_;
    virtio::PackedPosition used_;      // as the driver has been told
    virtio::PackedPosition old_used_;  // the same before the batch that is being flushed
    std::uint64_t next_counter_;
    std::vector<std::uint16_t> batch_;  // pushed, not flushed
};

/// open_inflight() for a packed ring.
Result<OpenedInflight> open_packed_inflight(InflightRegion region,
                                            const virtio::RingConfig& config,
                                            const virtio::GuestMemory& memory);

}  // namespace dpfs::hal::vhost_user
