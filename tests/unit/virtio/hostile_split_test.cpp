// SPDX-License-Identifier: Apache-2.0
// Goal: a catalogue of what a driver can do wrong in a split ring; each entry is recognised as
// what it is, and nothing outside the guest's memory is touched (run under ASan).
// Method: the test plays the driver and writes raw bytes into the ring.
#include "ring_pair.hpp"
#include "virtio/violation.hpp"

#include <gtest/gtest.h>

namespace dpfs::virtio {
namespace {

constexpr std::uint16_t next = descriptor_next;
constexpr std::uint16_t write = descriptor_write;
constexpr std::uint16_t indirect = descriptor_indirect;

constexpr std::uint32_t queue_size = 8;
constexpr std::uint64_t table = buffers + 0x1000;
constexpr std::uint32_t entry_size = sizeof(Descriptor);

class HostileSplit : public testing::Test {
  protected:
    void set_ring(std::uint16_t index, const Descriptor& descriptor) {
        *ring.at<Descriptor>(ring.layout.addresses.descriptors +
                             std::uint64_t{index} * entry_size) = descriptor;
    }
    void set_table(std::uint64_t index, const Descriptor& descriptor) {
        const std::span bytes(&descriptor, 1);
        ASSERT_TRUE(ring.memory.write(table + index * entry_size, std::as_bytes(bytes)));
    }
    void set_available_index(std::uint16_t index) {
        ring.at<AvailableHeader>(ring.layout.addresses.driver)->idx = index;
    }
    void set_available_entry(std::uint16_t index, std::uint16_t head) {
        const std::uint64_t entries = ring.layout.addresses.driver + sizeof(AvailableHeader);
        *ring.at<le<std::uint16_t>>(entries + 2ULL * (index % queue_size)) = head;
    }
    /// Makes the chain at `head` available as the first one, and pops it.
    Violation pop(std::uint16_t head) {
        set_available_entry(0, head);
        set_available_index(1);
        return pop_again();
    }
    Violation pop_again() {
        const auto popped = ring.device->pop(ring.memory, ring.chain);
        if (popped) return Violation::none;
        EXPECT_EQ(popped.error(), to_errno(ring.device->violation()));
        return ring.device->violation();
    }

    RingPair ring{queue_size, split | feature_indirect_desc};
};

TEST_F(HostileSplit, available_index_jumps_by_more_than_the_ring_holds) {
    set_available_index(queue_size + 1);
    EXPECT_EQ(pop_again(), Violation::available_index_jumped);
}

TEST_F(HostileSplit, available_index_goes_backwards) {
    set_available_index(0xFFFF);
    EXPECT_EQ(pop_again(), Violation::available_index_jumped);
}

TEST_F(HostileSplit, available_index_jumps_later) {
    set_ring(0, {buffers, 8, 0, 0});
    ASSERT_EQ(pop(0), Violation::none);
    set_available_index(static_cast<std::uint16_t>(1 + queue_size + 1));
    EXPECT_EQ(pop_again(), Violation::available_index_jumped);
}

TEST_F(HostileSplit, offers_one_chain_again_and_again_without_waiting) {
    set_ring(0, {buffers, 8, 0, 0});
    for (std::uint16_t i = 0; i < queue_size; ++i) {
        set_available_index(static_cast<std::uint16_t>(i + 1));
        ASSERT_EQ(pop_again(), Violation::none);
    }
    set_available_index(queue_size + 1);
    EXPECT_EQ(pop_again(), Violation::too_many_in_flight);
}

TEST_F(HostileSplit, offers_more_while_what_was_pushed_is_not_flushed) {
    set_ring(0, {buffers, 8, 0, 0});
    for (std::uint16_t i = 0; i < queue_size; ++i) {
        set_available_index(static_cast<std::uint16_t>(i + 1));
        ASSERT_EQ(pop_again(), Violation::none);
        ring.device->push(ring.chain.head(), 0);
    }
    set_available_index(queue_size + 1);
    EXPECT_EQ(pop_again(), Violation::too_many_in_flight);
}

TEST_F(HostileSplit, head_is_outside_the_table) {
    EXPECT_EQ(pop(queue_size), Violation::head_out_of_range);
}

TEST_F(HostileSplit, head_is_the_largest_number) {
    EXPECT_EQ(pop(0xFFFF), Violation::head_out_of_range);
}

TEST_F(HostileSplit, next_is_outside_the_table) {
    set_ring(0, {buffers, 8, next, queue_size});
    EXPECT_EQ(pop(0), Violation::next_out_of_range);
}

TEST_F(HostileSplit, chain_loops_to_itself) {
    set_ring(3, {buffers, 8, next, 3});
    EXPECT_EQ(pop(3), Violation::chain_too_long);
}

TEST_F(HostileSplit, chain_loops_over_two_descriptors) {
    set_ring(0, {buffers, 8, next, 1});
    set_ring(1, {buffers, 8, next, 0});
    EXPECT_EQ(pop(0), Violation::chain_too_long);
}

TEST_F(HostileSplit, chain_loops_over_empty_descriptors) {
    set_ring(0, {buffers, 0, next, 0});
    EXPECT_EQ(pop(0), Violation::chain_too_long);
}

TEST_F(HostileSplit, chain_uses_the_whole_ring_which_is_allowed) {
    for (std::uint16_t i = 0; i + 1 < int{queue_size}; ++i) {
        set_ring(i, {buffers, 1, next, static_cast<std::uint16_t>(i + 1)});
    }
    set_ring(queue_size - 1, {buffers, 1, 0, 0});
    EXPECT_EQ(pop(0), Violation::none);
    EXPECT_EQ(ring.chain.readable_size(), queue_size);
}

TEST_F(HostileSplit, readable_follows_writable) {
    set_ring(0, {buffers, 8, next | write, 1});
    set_ring(1, {buffers, 8, 0, 0});
    EXPECT_EQ(pop(0), Violation::readable_after_writable);
}

TEST_F(HostileSplit, readable_follows_writable_in_a_table) {
    set_table(0, {buffers, 8, next | write, 1});
    set_table(1, {buffers, 8, 0, 0});
    set_ring(0, {table, 2 * entry_size, indirect, 0});
    EXPECT_EQ(pop(0), Violation::readable_after_writable);
}

TEST_F(HostileSplit, address_is_zero) {
    set_ring(0, {0, 8, 0, 0});
    EXPECT_EQ(pop(0), Violation::address_not_mapped);
}

TEST_F(HostileSplit, buffer_runs_into_a_gap) {
    set_ring(0, {gap - 4, 8, 0, 0});
    EXPECT_EQ(pop(0), Violation::address_not_mapped);
}

TEST_F(HostileSplit, buffer_wraps_around_the_address_space) {
    set_ring(0, {~0ULL - 3, 8, 0, 0});
    EXPECT_EQ(pop(0), Violation::address_not_mapped);
}

TEST_F(HostileSplit, buffer_is_4_gib_long) {
    set_ring(0, {buffers, 0xFFFF'FFFF, 0, 0});
    EXPECT_EQ(pop(0), Violation::address_not_mapped);
}

TEST_F(HostileSplit, writable_buffer_is_unmapped) {
    set_ring(0, {gap, 8, write, 0});
    EXPECT_EQ(pop(0), Violation::address_not_mapped);
}

TEST_F(HostileSplit, empty_buffer_may_point_anywhere) {
    set_ring(0, {gap, 0, next, 1});
    set_ring(1, {buffers, 4, 0, 0});
    EXPECT_EQ(pop(0), Violation::none);
    EXPECT_EQ(ring.chain.readable().size(), 1U);
}

TEST_F(HostileSplit, chain_of_empty_buffers_only_is_an_empty_chain) {
    set_ring(0, {buffers, 0, next, 1});
    set_ring(1, {buffers, 0, write, 0});
    EXPECT_EQ(pop(0), Violation::none);
    EXPECT_TRUE(ring.chain.readable().empty());
    EXPECT_TRUE(ring.chain.writable().empty());
}

TEST_F(HostileSplit, indirect_table_inside_a_table) {
    set_table(0, {table, entry_size, indirect, 0});
    set_ring(0, {table, entry_size, indirect, 0});
    EXPECT_EQ(pop(0), Violation::indirect_nested);
}

TEST_F(HostileSplit, indirect_and_next_in_one_descriptor) {
    set_ring(0, {table, entry_size, indirect | next, 1});
    EXPECT_EQ(pop(0), Violation::indirect_with_next);
}

TEST_F(HostileSplit, indirect_table_is_empty) {
    set_ring(0, {table, 0, indirect, 0});
    EXPECT_EQ(pop(0), Violation::indirect_table_size);
}

TEST_F(HostileSplit, indirect_table_is_shorter_than_a_descriptor) {
    set_ring(0, {table, entry_size - 1, indirect, 0});
    EXPECT_EQ(pop(0), Violation::indirect_table_size);
}

TEST_F(HostileSplit, indirect_table_is_not_a_multiple_of_16) {
    set_ring(0, {table, entry_size + 8, indirect, 0});
    EXPECT_EQ(pop(0), Violation::indirect_table_size);
}

TEST_F(HostileSplit, indirect_table_is_longer_than_an_index_reaches) {
    set_ring(0, {table, 65537 * entry_size, indirect, 0});
    EXPECT_EQ(pop(0), Violation::indirect_table_size);
}

TEST_F(HostileSplit, indirect_table_is_4_gib_long) {
    set_ring(0, {table, 0xFFFF'FFF0, indirect, 0});
    EXPECT_EQ(pop(0), Violation::indirect_table_size);
}

TEST_F(HostileSplit, indirect_table_is_unmapped) {
    set_ring(0, {gap, entry_size, indirect, 0});
    EXPECT_EQ(pop(0), Violation::address_not_mapped);
}

TEST_F(HostileSplit, indirect_table_runs_into_a_gap) {
    const Descriptor first{buffers, 8, next, 1};
    ASSERT_TRUE(ring.memory.write(gap - entry_size, std::as_bytes(std::span(&first, 1))));
    set_ring(0, {gap - entry_size, 2 * entry_size, indirect, 0});
    EXPECT_EQ(pop(0), Violation::address_not_mapped);
}

TEST_F(HostileSplit, indirect_table_continues_beyond_its_end) {
    set_table(0, {buffers, 8, next, 1});
    set_table(1, {buffers, 8, 0, 0});
    set_ring(0, {table, entry_size, indirect, 0});
    EXPECT_EQ(pop(0), Violation::next_out_of_range);
}

TEST_F(HostileSplit, indirect_table_loops) {
    set_table(0, {buffers, 8, next, 1});
    set_table(1, {buffers, 8, next, 0});
    set_ring(0, {table, 2 * entry_size, indirect, 0});
    EXPECT_EQ(pop(0), Violation::chain_too_long);
}

TEST_F(HostileSplit, chain_is_longer_than_2_to_the_32_bytes) {
    // 1024 entries of the 4 MiB that a region has are 2^32 bytes: allowed, and one more is not.
    for (std::uint16_t i = 0; i < 1024; ++i) {
        set_table(i, {third_region, region_size, next, static_cast<std::uint16_t>(i + 1)});
    }
    set_table(1023, {third_region, region_size, 0, 0});
    set_ring(0, {table, 1024 * entry_size, indirect, 0});
    ASSERT_EQ(pop(0), Violation::none);
    EXPECT_EQ(ring.chain.readable_size(), 1ULL << 32);

    set_table(0, {second_region - 1, region_size + 1, next, 1});
    set_available_index(2);
    EXPECT_EQ(pop_again(), Violation::total_length);
}

TEST(HostileSplitWithoutIndirect, uses_a_feature_that_was_not_negotiated) {
    RingPair ring(queue_size, split);
    *ring.at<Descriptor>(ring.layout.addresses.descriptors) = {table, entry_size, indirect, 0};
    ring.at<AvailableHeader>(ring.layout.addresses.driver)->idx = 1;
    EXPECT_EQ(ring.device->pop(ring.memory, ring.chain).error(), Errno::protocol);
    EXPECT_EQ(ring.device->violation(), Violation::indirect_not_negotiated);
}

TEST(HostileSplitState, used_index_of_the_ring_and_saved_position_do_not_fit) {
    const RingPair ring(queue_size, split);
    ring.at<UsedHeader>(ring.layout.addresses.device)->idx = 100;
    const auto made = make_virtqueue(ring.memory,
                                     {.size = queue_size,
                                      .features = split,
                                      .addresses = ring.layout.addresses,
                                      .state = RingState::from_vring_base(0, false)});
    EXPECT_EQ(made.error(), Errno::invalid);
}

TEST(Violations, each_has_a_text_that_names_its_section) {
    EXPECT_EQ(describe(Violation::chain_too_long),
              "descriptor chain loops or is too long (virtio 2.7.5.3.1, 2.8.17)");
    for (int i = 1; i <= static_cast<int>(Violation::total_length); ++i) {
        EXPECT_NE(describe(static_cast<Violation>(i)).find("virtio 2."),
                  std::string_view::npos);
    }
}

}  // namespace
}  // namespace dpfs::virtio
