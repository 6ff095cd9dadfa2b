// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "virtio/guest_memory.hpp"
#include "virtio/virtqueue.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

namespace dpfs::virtio {

/// Where a driver's ring and its indirect tables lie in guest memory, one after the other.
struct DriverLayout {
    RingAddresses addresses = {};
    std::uint64_t tables = 0;       // guest address
    std::uint32_t table_count = 0;  // descriptors in each; 0 without indirect descriptors
    std::uint64_t size = 0;         // bytes from `base` on, all together

    /// Lays out a ring at guest address `base`, a multiple of 16. With INDIRECT_DESC in
    /// `features` there is one table of `table_count` descriptors for each slot.
    static DriverLayout at(std::uint64_t base,
                           std::uint32_t queue_size,
                           std::uint64_t features,
                           std::uint32_t table_count) noexcept;
};

/// One buffer of a chain, by guest address.
struct Segment {
    std::uint64_t address = 0;
    std::uint32_t size = 0;  // bytes
};

struct ChainRequest {
    std::span<const Segment> readable = {};
    std::span<const Segment> writable = {};
    /// As many of the first segments go into the ring itself, the others into an indirect
    /// table. Split rings allow a mixture (2.7.5.3.2); for packed ones it is all or nothing
    /// (2.8.19).
    std::uint32_t direct_count = 0;
    bool indirect = false;  // false: direct_count does not matter
};

/// What the device gives back.
struct UsedChain {
    std::uint16_t id = 0;
    std::uint32_t written = 0;  // bytes

    bool operator==(const UsedChain&) const = default;
};

/// The driver's side of one virtqueue: for a front end in user space, and for tests of the
/// device's side. Chains are added, made available by publish(), and come back by poll().
///
/// Thread    one at a time; the device may be in another thread or process.
class DriverRing {
  public:
    virtual ~DriverRing() = default;

    /// Writes a chain's descriptors; the device does not see them before publish(). The id is
    /// free again when poll() has returned it.
    /// Errors: EAGAIN (the ring is full), EINVAL (no segment, more than a table or the ring
    /// holds, a mixture that packed rings do not have, indirect without tables).
    virtual Result<std::uint16_t> add(const ChainRequest& request) = 0;

    /// Shows the device all that was added.
    virtual void publish() = 0;

    /// Whether the device wants a kick for what was published since the last call of this.
    [[nodiscard]] virtual bool needs_kick() = 0;

    /// The next chain that the device has used, if any.
    /// Errors: EPROTO (an id that is not in flight).
    virtual Result<std::optional<UsedChain>> poll() = 0;

    /// Asks for a notification when the next chain is used. True: one already is, poll again.
    [[nodiscard]] virtual bool enable_notifications() = 0;
    virtual void disable_notifications() = 0;

    /// Descriptors of the ring that are free.
    [[nodiscard]] virtual std::uint32_t free_count() const = 0;
};

struct DriverConfig {
    std::uint32_t size = 0;      // descriptors
    std::uint64_t features = 0;  // as negotiated
    DriverLayout layout = {};
};

/// A driver for a new ring, whose memory is zeroed first.
/// Errors: EINVAL, EFAULT: as make_virtqueue().
Result<std::unique_ptr<DriverRing>> make_driver_ring(const GuestMemory& memory,
                                                     const DriverConfig& config);

}  // namespace dpfs::virtio
