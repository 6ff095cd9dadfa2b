// SPDX-License-Identifier: Apache-2.0
// Goal and method as in hostile_split_test.cpp, for packed rings.
#include "ring_pair.hpp"
#include "virtio/violation.hpp"

#include <gtest/gtest.h>

namespace dpfs::virtio {
namespace {

constexpr std::uint16_t next = descriptor_next;
constexpr std::uint16_t write = descriptor_write;
constexpr std::uint16_t indirect = descriptor_indirect;
constexpr std::uint16_t available =
    descriptor_available;  // in the first lap, while used is not set

constexpr std::uint32_t queue_size = 5;  // packed rings need no power of two
constexpr std::uint64_t table = buffers + 0x1000;
constexpr std::uint32_t entry_size = sizeof(PackedDescriptor);

class HostilePacked : public testing::Test {
  protected:
    void set_ring(std::uint32_t slot, const PackedDescriptor& descriptor) {
        *ring.at<PackedDescriptor>(ring.layout.addresses.descriptors +
                                   std::uint64_t{slot} * entry_size) = descriptor;
    }
    void set_table(std::uint64_t index, const PackedDescriptor& descriptor) {
        const std::span bytes(&descriptor, 1);
        ASSERT_TRUE(ring.memory.write(table + index * entry_size, std::as_bytes(bytes)));
    }
    Violation pop() {
        const auto popped = ring.device->pop(ring.memory, ring.chain);
        if (popped) {
            EXPECT_TRUE(*popped);
            return Violation::none;
        }
        EXPECT_EQ(popped.error(), to_errno(ring.device->violation()));
        return ring.device->violation();
    }

    RingPair ring{queue_size, packed | feature_indirect_desc};
};

TEST_F(HostilePacked, all_descriptors_continue) {
    for (std::uint32_t i = 0; i < queue_size; ++i) {
        set_ring(i, {buffers, 8, 0, available | next});
    }
    EXPECT_EQ(pop(), Violation::chain_too_long);
}

TEST_F(HostilePacked, chain_uses_the_whole_ring_which_is_allowed) {
    for (std::uint32_t i = 0; i < queue_size; ++i) {
        set_ring(i, {buffers, 8, 0, available | next});
    }
    set_ring(queue_size - 1, {buffers, 8, 7, available});
    EXPECT_EQ(pop(), Violation::none);
    EXPECT_EQ(ring.chain.head(), (ChainHead{.id = 7, .slots = queue_size}));
}

TEST_F(HostilePacked, makes_slots_available_again_that_were_not_given_back) {
    for (std::uint32_t i = 0; i < queue_size; ++i) {
        set_ring(i, {buffers, 8, 0, available});
        ASSERT_EQ(pop(), Violation::none);
    }
    set_ring(0, {buffers, 8, 0, descriptor_used});  // available in the second lap
    EXPECT_EQ(pop(), Violation::too_many_in_flight);
}

TEST_F(HostilePacked, makes_more_available_while_what_was_pushed_is_not_flushed) {
    for (std::uint32_t i = 0; i < queue_size; ++i) {
        set_ring(i, {buffers, 8, 0, available});
        ASSERT_EQ(pop(), Violation::none);
        ring.device->push(ring.chain.head(), 0);
    }
    set_ring(0, {buffers, 8, 0, descriptor_used});
    EXPECT_EQ(pop(), Violation::too_many_in_flight);
}

TEST_F(HostilePacked, buffer_id_may_be_any_number) {
    set_ring(0, {buffers, 8, 0xFFFF, available});
    ASSERT_EQ(pop(), Violation::none);
    ring.device->push(ring.chain.head(), 0);
    ring.device->flush();
    EXPECT_EQ(ring.at<PackedDescriptor>(ring.layout.addresses.descriptors)->id, 0xFFFF);
}

TEST_F(HostilePacked, readable_follows_writable) {
    set_ring(0, {buffers, 8, 0, available | next | write});
    set_ring(1, {buffers, 8, 0, available});
    EXPECT_EQ(pop(), Violation::readable_after_writable);
}

TEST_F(HostilePacked, readable_follows_writable_in_a_table) {
    set_table(0, {buffers, 8, 0, write});
    set_table(1, {buffers, 8, 0, 0});
    set_ring(0, {table, 2 * entry_size, 0, available | indirect});
    EXPECT_EQ(pop(), Violation::readable_after_writable);
}

TEST_F(HostilePacked, buffer_is_unmapped) {
    set_ring(0, {gap, 8, 0, available});
    EXPECT_EQ(pop(), Violation::address_not_mapped);
}

TEST_F(HostilePacked, buffer_is_4_gib_long) {
    set_ring(0, {buffers, 0xFFFF'FFFF, 0, available | write});
    EXPECT_EQ(pop(), Violation::address_not_mapped);
}

TEST_F(HostilePacked, indirect_and_next_in_one_descriptor) {
    set_ring(0, {table, entry_size, 0, available | indirect | next});
    EXPECT_EQ(pop(), Violation::indirect_with_next);
}

TEST_F(HostilePacked, direct_descriptors_before_an_indirect_one) {
    set_ring(0, {buffers, 8, 0, available | next});
    set_ring(1, {table, entry_size, 0, available | indirect});
    EXPECT_EQ(pop(), Violation::indirect_with_next);
}

TEST_F(HostilePacked, flags_in_a_table_mean_nothing_but_write) {
    set_table(0, {buffers, 8, 9, indirect | next | available | descriptor_used});
    set_ring(0, {table, entry_size, 3, available | indirect | write});
    EXPECT_EQ(pop(), Violation::none);
    EXPECT_EQ(ring.chain.head(), (ChainHead{.id = 3, .slots = 1}));
    EXPECT_EQ(ring.chain.readable_size(), 8U);
}

TEST_F(HostilePacked, indirect_table_is_empty) {
    set_ring(0, {table, 0, 0, available | indirect});
    EXPECT_EQ(pop(), Violation::indirect_table_size);
}

TEST_F(HostilePacked, indirect_table_is_not_a_multiple_of_16) {
    set_ring(0, {table, entry_size + 4, 0, available | indirect});
    EXPECT_EQ(pop(), Violation::indirect_table_size);
}

TEST_F(HostilePacked, indirect_table_holds_too_many) {
    set_ring(0, {table, 1025 * entry_size, 0, available | indirect});
    EXPECT_EQ(pop(), Violation::indirect_table_size);
}

TEST_F(HostilePacked, indirect_table_is_unmapped) {
    set_ring(0, {gap, entry_size, 0, available | indirect});
    EXPECT_EQ(pop(), Violation::address_not_mapped);
}

TEST(HostilePackedWithoutIndirect, uses_a_feature_that_was_not_negotiated) {
    RingPair ring(queue_size, packed);
    *ring.at<PackedDescriptor>(ring.layout.addresses.descriptors) = {
        table, entry_size, 0, available | indirect};
    EXPECT_EQ(ring.device->pop(ring.memory, ring.chain).error(), Errno::protocol);
    EXPECT_EQ(ring.device->violation(), Violation::indirect_not_negotiated);
}

TEST(HostilePackedState, positions_outside_the_ring_or_too_far_apart) {
    const RingPair ring(queue_size, packed);
    const auto make = [&](RingState state) {
        const auto made = make_virtqueue(ring.memory,
                                         {.size = queue_size,
                                          .features = packed,
                                          .addresses = ring.layout.addresses,
                                          .state = state});
        return made ? Errno{0} : made.error();
    };
    EXPECT_EQ(make({.next_available = queue_size}), Errno::invalid);
    EXPECT_EQ(make({.next_used = queue_size}), Errno::invalid);
    // Used is ahead of available.
    EXPECT_EQ(make({.next_used = 1}), Errno::invalid);
    // A full lap ahead: all of the ring is in flight.
    EXPECT_EQ(make({.available_wrap = false}), Errno{0});
}

}  // namespace
}  // namespace dpfs::virtio
