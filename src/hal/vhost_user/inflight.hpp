// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "virtio/guest_memory.hpp"
#include "virtio/virtqueue.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace dpfs::hal::vhost_user {

/// One queue's part of the area in which requests in flight are noted, so that another process
/// can deliver them again after this one died. The front end keeps the area.
struct InflightRegion {
    virtio::Mapping bytes;
    std::uint64_t size = 0;  ///< bytes; 0: there is none
    bool packed = false;
    std::uint16_t queue_size = 0;  ///< entries
};

/// The whole area: as many regions as there are queues, one after the other.
struct InflightArea {
    virtio::Mapping bytes;
    std::uint16_t queue_count = 0;
    std::uint16_t queue_size = 0;
    bool packed = false;

    /// That of queue `index`; an empty one where the area has none.
    [[nodiscard]] InflightRegion region(std::uint16_t index) const noexcept;
};

/// Bytes that `queue_count` regions take.
[[nodiscard]] std::uint64_t inflight_area_size(bool packed,
                                               std::uint16_t queue_count,
                                               std::uint16_t queue_size) noexcept;

/// A zeroed area in memory of its own. Errors: as memfd_create and ftruncate.
Result<UniqueFd> make_inflight_area(std::uint64_t size);

/// Keeps one queue's region up to date, so that at each moment another process could go on.
///
/// Thread    its queue's.
/// Source    vhost-user.rst, "Inflight I/O tracking".
class InflightTracker {
  public:
    virtual ~InflightTracker() = default;

    /// A chain was taken from the ring; `before` is the ring's state before that.
    /// Out: the entry that notes it.
    virtual std::uint16_t taken(const virtio::RingState& before,
                                virtio::ChainHead head) noexcept = 0;
    /// The chain noted in `entry` is about to be pushed.
    virtual void pushing(std::uint16_t entry) noexcept = 0;
    /// What was pushed is about to be shown to the driver.
    virtual void flushing() noexcept = 0;
    /// It has been shown.
    virtual void flushed(const virtio::RingState& now) noexcept = 0;
};

/// A request that an earlier process took and did not give back.
struct LostRequest {
    std::uint16_t entry = 0;  ///< that notes it
    virtio::LostChain chain;
};

/// What an earlier process left behind.
struct LostRequests {
    std::vector<LostRequest> requests;  ///< in the order in which they were taken
    bool resumed = false;               ///< false: start as told
    virtio::RingState state;            ///< else: where to go on
};

struct OpenedInflight {
    std::unique_ptr<InflightTracker> tracker;
    LostRequests lost;
};

/// Regions, and so areas, begin at multiples of this within their mapping: bytes.
constexpr std::uint64_t inflight_alignment = 8;

/// Reads `region` for the ring that `config` describes, settles what was half done, and goes on
/// tracking in it. Errors: EPROTO (it is of another size, or lists what cannot be), EFAULT (the
/// ring does not lie in `memory`).
Result<OpenedInflight> open_inflight(InflightRegion region,
                                     const virtio::RingConfig& config,
                                     const virtio::GuestMemory& memory);

}  // namespace dpfs::hal::vhost_user
