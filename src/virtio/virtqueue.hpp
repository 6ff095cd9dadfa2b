// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "virtio/descriptor_chain.hpp"
#include "virtio/dirty_log.hpp"
#include "virtio/guest_memory.hpp"
#include "virtio/violation.hpp"
#include "virtio/wire.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace dpfs::virtio {

/// How far a ring has come: what must outlive the process that serves it. For a new ring, as it
/// is.
struct RingState {
    std::uint16_t next_available = 0;  // split: running index; packed: slot
    std::uint16_t next_used = 0;       // the same
    bool available_wrap = true;        // packed: the wrap counters (2.8.1)
    bool used_wrap = true;
    bool used_from_ring = false;  // split: take next_used from the used ring itself
    bool resumed = false;  // of an earlier ring: its driver may wait for a lost notification

    bool operator==(const RingState&) const = default;

    /// vhost-user, VHOST_USER_SET_VRING_BASE and GET_VRING_BASE: a split ring's base is the
    /// next available index alone; a packed ring's is index | wrap << 15 for available, and the
    /// same for used in the upper half.
    static RingState from_vring_base(std::uint32_t base, bool packed) noexcept;
    [[nodiscard]] std::uint32_t to_vring_base(bool packed) const noexcept;
};

/// Where a ring lies: the descriptor, driver and device areas of 2.6.
struct RingAddresses {
    std::uint64_t descriptors = 0;  // descriptor table, or packed descriptor ring
    std::uint64_t driver = 0;       // available ring, or driver event suppression
    std::uint64_t device = 0;       // used ring, or device event suppression
    AddressSpace space = AddressSpace::guest;
};

struct RingConfig {
    std::uint32_t size = 0;      // descriptors
    std::uint64_t features = 0;  // as negotiated
    RingAddresses addresses = {};
    RingState state = {};
};

/// A chain that a process popped and did not push before it died.
struct LostChain {
    ChainHead head;
    /// Packed: its descriptors of the ring as they were, NEXT in all but the last. Split: none.
    std::vector<PackedDescriptor> descriptors;
};

/// The device's side of one virtqueue. Chains are popped, used in any order, pushed; a batch of
/// pushes becomes visible by one flush(), after which the driver may have to be notified:
///
///     while (pop(memory, chain)) …    push(head, written); …    flush();
///     if (needs_notification()) <signal the driver>
///
/// To sleep until the driver has work: enable_notifications(); if it returns true, work came in
/// between, so pop again; otherwise a kick will follow.
///
/// Rings hold positions and nothing else, so a reset ring (VIRTIO_F_RING_RESET) is a new
/// object.
///
/// Errors    of pop() and reread() are the driver's: it broke the ring, violation() says how,
/// and
///           every later pop() fails too. The device must then be stopped (DEVICE_NEEDS_RESET).
/// Thread    one at a time.
class Virtqueue {
  public:
    virtual ~Virtqueue() = default;

    /// The next chain that the driver has made available; false if there is none.
    /// `out` holds its buffers until it is used for another; `memory` must outlive their use.
    /// Errors: EFAULT, EPROTO (see above); `out` is then of no use.
    virtual Result<bool> pop(const GuestMemory& memory, DescriptorChain& out) = 0;

    /// Reads a chain again that was popped before this object was made, and never pushed: for a
    /// list of requests that were in flight when a process died. It counts as popped. All of
    /// the list is to be read before anything is flushed.
    ///
    /// A packed ring has overwritten descriptors by then, so it believes `chain`, which is
    /// checked like a descriptor of the driver's; and what the dead process staged over them
    /// and did not flush is hidden from the driver.
    /// Errors: as pop().
    virtual Result<void> reread(const LostChain& chain,
                                const GuestMemory& memory,
                                DescriptorChain& out) = 0;

    /// Stages the return of a popped chain to the driver, which learns that the device wrote
    /// the first `written` bytes of the writable buffers.
    virtual void push(ChainHead head, std::uint32_t written) = 0;

    /// Shows the driver what has been pushed.
    virtual void flush() = 0;

    /// Whether the driver wants to hear of what was flushed since the last call of this. Of a
    /// resumed ring all may be unheard: ask once before the first pop.
    [[nodiscard]] virtual bool needs_notification() = 0;

    /// Asks for a kick when the next chain becomes available. True: one already has, pop it.
    [[nodiscard]] virtual bool enable_notifications() = 0;

    /// Tells the driver that we look ourselves. A kick may come nevertheless.
    virtual void disable_notifications() = 0;

    /// Whether pop() would find something: one load, for polling.
    [[nodiscard]] virtual bool has_work() const = 0;

    /// Positions to go on from, in this process or another. Flush first.
    [[nodiscard]] virtual RingState state() const = 0;

    /// From now on, what the ring writes into guest memory is marked (buffers are their users'
    /// to mark). nullptr ends it.
    virtual void attach_log(std::shared_ptr<const DirtyLog> log) = 0;

    [[nodiscard]] virtual Violation violation() const = 0;
    [[nodiscard]] virtual std::uint32_t size() const = 0;
    /// Chains popped and not pushed.
    [[nodiscard]] virtual std::uint32_t in_flight() const = 0;
};

/// Makes the ring that VIRTIO_F_RING_PACKED in `config.features` says.
/// Errors: EINVAL (size, alignment, positions that cannot be), EFAULT (not mapped).
Result<std::unique_ptr<Virtqueue>> make_virtqueue(const GuestMemory& memory,
                                                  const RingConfig& config);

}  // namespace dpfs::virtio
