// SPDX-License-Identifier: Apache-2.0
// Goal: no garbage in a ring leads outside the guest's memory, or to a pop without end.
// Method: random descriptors, biased towards what almost makes sense, in ring and table;
// whatever a pop accepts must lie in a region, in the order and with the limits that chains
// promise.
#include "ring_pair.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace dpfs::virtio {
namespace {

constexpr std::uint32_t queue_size = 8;
constexpr std::uint64_t table = buffers;  // where garbage may point to itself
constexpr std::uint64_t table_size = 64 * sizeof(Descriptor);

class Garbage {
  public:
    explicit Garbage(std::uint32_t seed) : random_(seed) {}

    std::uint32_t below(std::uint32_t limit) {
        return std::uniform_int_distribution<std::uint32_t>(0, limit - 1)(random_);
    }
    std::uint64_t address() {
        switch (below(8)) {
            case 0:
                return std::uniform_int_distribution<std::uint64_t>()(random_);
            case 1:
                return gap - below(100);
            case 2:
                return second_region - below(100);
            default:
                return table + below(table_size);
        }
    }
    std::uint32_t length() {
        switch (below(8)) {
            case 0:
                return 0xFFFF'FFFF - below(20);
            case 1:
                return below(3);
            default:
                return below(40) * 16;
        }
    }
    std::uint16_t flags() {
        return static_cast<std::uint16_t>(below(8) == 0 ? below(65536) : below(8));
    }
    std::uint16_t index() { return static_cast<std::uint16_t>(below(9)); }

  private:
    std::mt19937 random_;
};

bool all_inside(const GuestMemory& memory, std::span<const iovec> pieces) {
    return std::ranges::all_of(pieces, [&](const iovec& piece) {
        const auto* const last =
            static_cast<const std::byte*>(piece.iov_base) + piece.iov_len - 1;
        return piece.iov_len > 0 && memory.guest_address_of(piece.iov_base) &&
               memory.guest_address_of(last);
    });
}

/// Pops what the garbage says until it is empty or broken; how many chains were accepted.
int pop_all(RingPair& ring) {
    int accepted = 0;
    for (auto popped = ring.device->pop(ring.memory, ring.chain); popped && *popped;
         popped = ring.device->pop(ring.memory, ring.chain)) {
        EXPECT_TRUE(all_inside(ring.memory, ring.chain.readable()));
        EXPECT_TRUE(all_inside(ring.memory, ring.chain.writable()));
        EXPECT_LE(ring.chain.readable_size() + ring.chain.writable_size(), 1ULL << 32);
        EXPECT_LE(ring.device->in_flight(), queue_size);
        ++accepted;
    }
    return accepted;
}

TEST(HostileRandom, split_ring_stays_inside_the_guests_memory) {
    int accepted = 0;
    for (std::uint32_t seed = 0; seed < 300; ++seed) {
        SCOPED_TRACE(seed);
        Garbage garbage(seed);
        RingPair ring(queue_size, split | feature_indirect_desc);
        for (int round = 0; round < 50; ++round) {
            const auto random = [&] {
                return Descriptor{
                    garbage.address(), garbage.length(), garbage.flags(), garbage.index()};
            };
            auto* const ring_entries = ring.at<Descriptor>(ring.layout.addresses.descriptors);
            std::generate_n(ring_entries, queue_size, random);
            std::generate_n(
                ring.at<Descriptor>(table), table_size / sizeof(Descriptor), random);
            auto* const available = ring.at<AvailableHeader>(ring.layout.addresses.driver);
            auto* const heads =
                ring.at<le<std::uint16_t>>(ring.layout.addresses.driver + sizeof(*available));
            std::generate_n(heads, queue_size, [&] { return garbage.index(); });
            ring.device = ring.make_device({});
            available->idx = static_cast<std::uint16_t>(garbage.below(queue_size + 2));
            accepted += pop_all(ring);
        }
    }
    EXPECT_GT(accepted, 1000);  // the bias works: not all garbage is refused at once
}

TEST(HostileRandom, packed_ring_stays_inside_the_guests_memory) {
    int accepted = 0;
    for (std::uint32_t seed = 0; seed < 300; ++seed) {
        SCOPED_TRACE(seed);
        Garbage garbage(seed);
        RingPair ring(queue_size, packed | feature_indirect_desc);
        for (int round = 0; round < 50; ++round) {
            const auto random = [&] {
                const auto flags = garbage.flags() | descriptor_available;
                return PackedDescriptor{garbage.address(),
                                        garbage.length(),
                                        garbage.index(),
                                        static_cast<std::uint16_t>(flags)};
            };
            auto* const slots = ring.at<PackedDescriptor>(ring.layout.addresses.descriptors);
            std::generate_n(slots, queue_size, random);
            std::generate_n(
                ring.at<PackedDescriptor>(table), table_size / sizeof(Descriptor), random);
            ring.device = ring.make_device({});
            accepted += pop_all(ring);
        }
    }
    EXPECT_GT(accepted, 1000);
}

}  // namespace
}  // namespace dpfs::virtio
