// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "virtio/descriptor_chain.hpp"
#include "virtio/guest_memory.hpp"
#include "virtio/violation.hpp"
#include "virtio/wire.hpp"

#include <span>

namespace dpfs::virtio {

/// What a chain may be at most.
struct ChainLimits {
    ChainLimits(std::uint32_t queue_size, std::uint64_t features) noexcept;

    std::uint32_t ring_descriptors_max;  // of the ring itself: its size
    std::uint32_t descriptors_max;       // with those of an indirect table
    bool indirect;
};

/// Turns descriptors into a DescriptorChain, and checks all there is to check while it does so.
/// Each descriptor is copied once from shared memory, then checked, then used: a guest that
/// changes it afterwards changes nothing.
///
/// Lives for one chain; what it is given outlives it.
class ChainReader {
  public:
    ChainReader(const GuestMemory& memory, const ChainLimits& limits, DescriptorChain& out)
        : memory_(memory), limits_(limits), out_(out) {}

    /// The chain that starts at `head` of a split ring's table, as long as the ring.
    Violation read_split(Descriptor* table, std::uint16_t head);

    /// The chain that starts at `first` of a packed ring. out.head() says how long it is.
    Violation read_packed(PackedDescriptor* ring, std::uint32_t first);

  private:
    Violation read_split_table(std::uint64_t address, std::uint32_t length);
    Violation read_packed_table(std::uint64_t address, std::uint32_t length);

    void start() noexcept;
    Violation add(std::uint64_t address, std::uint32_t length, std::uint16_t flags);
    Violation add_buffer(std::uint64_t address, std::uint32_t length, std::vector<iovec>& to);

    const GuestMemory& memory_;
    const ChainLimits& limits_;
    DescriptorChain& out_;
    const MemoryRegion* last_region_ =
        nullptr;                             // of the buffer before: most often the next's too
    const MemoryRegion* last_in_ = nullptr;  // region of the iovec that may be extended
    std::uint32_t count_ = 0;
    bool writable_seen_ = false;
};

}  // namespace dpfs::virtio
