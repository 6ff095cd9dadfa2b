// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <sys/uio.h>
#include <vector>

namespace dpfs::virtio {

/// What gives a chain back to the ring that it came from.
struct ChainHead {
    std::uint16_t id = 0;     // split: index of the first descriptor; packed: the buffer id
    std::uint16_t slots = 1;  // packed: ring descriptors that the chain occupies

    bool operator==(const ChainHead&) const = default;
};

/// One request's buffers, as host memory. Everything about them has been checked: the addresses
/// are ours to use as long as the GuestMemory that they were translated by is held. What lies
/// in that memory is still the guest's: copy, check, use the copy.
///
/// A chain is an object to use again: its storage stays, so filling it does not allocate once
/// it has been as long. Adjacent buffers of one memory region come as one iovec, empty ones not
/// at all: borders mean nothing (2.7.4.1).
class DescriptorChain {
  public:
    [[nodiscard]] ChainHead head() const noexcept { return head_; }

    /// What the device may read, then what it may write; in the driver's order.
    [[nodiscard]] std::span<const iovec> readable() const noexcept { return readable_; }
    [[nodiscard]] std::span<const iovec> writable() const noexcept { return writable_; }

    /// In bytes; both together at most 2^32.
    [[nodiscard]] std::uint64_t readable_size() const noexcept { return readable_size_; }
    [[nodiscard]] std::uint64_t writable_size() const noexcept { return writable_size_; }

  private:
    friend class ChainReader;

    ChainHead head_;
    std::vector<iovec> readable_;
    std::vector<iovec> writable_;
    std::uint64_t readable_size_ = 0;
    std::uint64_t writable_size_ = 0;
};

}  // namespace dpfs::virtio
