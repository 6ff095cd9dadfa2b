// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "virtio/driver_ring.hpp"
#include "virtio/guest_memory.hpp"
#include "virtio/shared_access.hpp"
#include "virtio/virtqueue.hpp"
#include "virtio/wire.hpp"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dpfs::virtio {

constexpr std::uint64_t split = 0;  // features, where none is meant
constexpr std::uint64_t packed = feature_ring_packed;

// The test guest's memory: two regions side by side, a gap, one more. The front end sees them
// at other addresses.
constexpr std::uint64_t ring_base = 0x10000;
constexpr std::uint64_t first_region = 0x10000;
constexpr std::uint64_t second_region = 0x410000;  // right behind the first, 4 MiB
constexpr std::uint64_t region_size = 0x400000;
constexpr std::uint64_t gap = 0x810000;
constexpr std::uint64_t third_region = 0x1'0000'0000;
constexpr std::uint64_t user_offset = 0x7f00'0000'0000;

// Buffers of tests lie in the second half of the first region; rings in the first half.
constexpr std::uint64_t buffers = first_region + region_size / 2;

GuestMemory make_test_memory();

/// What the guest has at an address.
std::string read_text(const GuestMemory& memory, std::uint64_t address, std::size_t size);
void write_text(const GuestMemory& memory, std::uint64_t address, std::string_view text);

/// The bytes of a chain's buffers, one after the other.
std::string join(std::span<const iovec> pieces);

/// A guest with one ring, and both of its sides.
struct RingPair {
    RingPair(std::uint32_t size, std::uint64_t features, std::uint32_t table_count = 16);

    /// A device of the same ring that goes on from `state`.
    [[nodiscard]] std::unique_ptr<Virtqueue> make_device(RingState state) const;

    /// Adds and publishes a chain; returns its id.
    std::uint16_t offer(std::vector<Segment> readable,
                        std::vector<Segment> writable,
                        bool indirect = false);

    /// Pops a chain that must be there, and gives it back as used.
    ChainHead serve(std::uint32_t written);

    /// What the driver gets back, if anything.
    std::optional<UsedChain> take_used() { return driver->poll().value(); }

    /// For tests that play the driver byte by byte.
    template <class T>
    T* at(std::uint64_t address) const {
        return shared_array<T>(
            memory.ring_part(AddressSpace::guest, address, sizeof(T), 1).value().bytes.get());
    }

    std::uint32_t size;
    std::uint64_t features;
    GuestMemory memory;
    DriverLayout layout;
    std::unique_ptr<DriverRing> driver;
    std::unique_ptr<Virtqueue> device;
    DescriptorChain chain;
};

}  // namespace dpfs::virtio
