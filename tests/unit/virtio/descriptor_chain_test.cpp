// SPDX-License-Identifier: Apache-2.0
// Goal: what a chain's iovecs look like for every layout a driver may choose, and that filling
// one does not allocate.
#include "virtio/descriptor_chain.hpp"

#include "ring_pair.hpp"

#include <gtest/gtest.h>

namespace dpfs::virtio {
namespace {

constexpr std::uint64_t all = feature_event_idx | feature_indirect_desc;

TEST(DescriptorChain, joins_buffers_that_are_adjacent) {
    RingPair ring(8, split);
    ring.offer({{buffers, 8}, {buffers + 8, 8}, {buffers + 32, 8}}, {{buffers + 40, 8}});
    ASSERT_EQ(ring.device->pop(ring.memory, ring.chain), true);
    ASSERT_EQ(ring.chain.readable().size(), 2U);
    EXPECT_EQ(ring.chain.readable()[0].iov_len, 16U);
    EXPECT_EQ(ring.chain.readable_size(), 24U);
    // Never across the border between readable and writable.
    EXPECT_EQ(ring.chain.writable().size(), 1U);
}

TEST(DescriptorChain, does_not_join_regions_that_happen_to_be_mapped_side_by_side) {
    const Mapping both = map_anonymous(0x2000).value();
    RingPair ring(8, split);
    // Neighbours in our memory, in the opposite order for the guest.
    constexpr std::uint64_t low = 0x2'0000'0000;
    constexpr std::uint64_t high = 0x3'0000'0000;
    ring.memory =
        ring.memory.with({.guest_address = high, .size = 0x1000, .host = both}).value();
    ring.memory = ring.memory
                      .with({.guest_address = low,
                             .size = 0x1000,
                             .host = Mapping(both, both.get() + 0x1000)})
                      .value();
    ring.offer({{high, 0x1000}, {low, 8}}, {});
    ASSERT_EQ(ring.device->pop(ring.memory, ring.chain), true);
    EXPECT_EQ(ring.chain.readable().size(), 2U);
}

TEST(DescriptorChain, does_not_join_them_after_a_buffer_across_both_either) {
    const Mapping both = map_anonymous(0x2000).value();
    RingPair ring(8, split);
    // The guest's first half is our second.
    constexpr std::uint64_t base = 0x2'0000'0000;
    ring.memory = ring.memory
                      .with({.guest_address = base,
                             .size = 0x1000,
                             .host = Mapping(both, both.get() + 0x1000)})
                      .value();
    ring.memory =
        ring.memory.with({.guest_address = base + 0x1000, .size = 0x1000, .host = both})
            .value();
    ring.offer({{base, 8}, {base + 0xFF0, 0x1010}, {base, 8}}, {});
    ASSERT_EQ(ring.device->pop(ring.memory, ring.chain), true);
    EXPECT_EQ(ring.chain.readable().size(), 4U);
}

TEST(DescriptorChain, takes_a_buffer_across_adjacent_regions) {
    RingPair ring(8, split);
    write_text(ring.memory, second_region - 4, "over the border");
    ring.offer({{second_region - 4, 4}, {second_region, 5}}, {{second_region - 4, 15}});
    ASSERT_EQ(ring.device->pop(ring.memory, ring.chain), true);
    EXPECT_EQ(join(ring.chain.readable()), "over the ");
    ASSERT_EQ(ring.chain.writable().size(), 2U);
    EXPECT_EQ(join(ring.chain.writable()), "over the border");
}

TEST(DescriptorChain, reads_direct_descriptors_followed_by_a_table) {
    RingPair ring(8, split | all);
    write_text(ring.memory, buffers, "abcdef");
    const std::array<Segment, 3> readable{{{buffers, 2}, {buffers + 2, 2}, {buffers + 4, 2}}};
    const std::array<Segment, 1> writable{{{buffers + 64, 9}}};
    ASSERT_TRUE(ring.driver->add(
        {.readable = readable, .writable = writable, .direct_count = 1, .indirect = true}));
    ring.driver->publish();
    ASSERT_EQ(ring.device->pop(ring.memory, ring.chain), true);
    EXPECT_EQ(join(ring.chain.readable()), "abcdef");
    EXPECT_EQ(ring.chain.writable_size(), 9U);
    EXPECT_EQ(ring.driver->free_count(), 6U);
}

/// A ring whose one chain is in an indirect table at `table`, which says "indirect".
void read_table_at(std::uint64_t table) {
    RingPair ring(8, split | all);
    write_text(ring.memory, buffers, "indirect");
    const std::array<Descriptor, 2> entries{
        {{buffers, 2, descriptor_next, 1}, {buffers + 2, 6, 0, 0}}};
    ASSERT_TRUE(ring.memory.write(table, std::as_bytes(std::span(entries))));
    *ring.at<Descriptor>(ring.layout.addresses.descriptors) = {
        table, sizeof(entries), descriptor_indirect, 0};
    ring.at<AvailableHeader>(ring.layout.addresses.driver)->idx = 1;
    ASSERT_EQ(ring.device->pop(ring.memory, ring.chain), true);
    EXPECT_EQ(join(ring.chain.readable()), "indirect");
}

TEST(DescriptorChain, reads_a_table_that_crosses_regions) {
    read_table_at(second_region - 16);
}

TEST(DescriptorChain, reads_a_table_with_an_entry_that_crosses_regions) {
    read_table_at(second_region - 24);
}

TEST(DescriptorChain, reads_a_table_that_is_not_aligned) {
    read_table_at(buffers + 0x1001);
}

TEST(DescriptorChain, takes_tables_longer_than_a_small_ring) {
    RingPair ring(2, split | all, 64);
    const std::vector<Segment> readable(64, {buffers, 1});
    ring.offer(readable, {}, true);
    ASSERT_EQ(ring.device->pop(ring.memory, ring.chain), true);
    EXPECT_EQ(ring.chain.readable_size(), 64U);
}

TEST(DescriptorChain, keeps_its_storage_and_forgets_its_content) {
    RingPair ring(8, split | all);
    ring.offer({{buffers, 1}, {buffers + 2, 1}, {buffers + 4, 1}}, {{buffers + 6, 1}}, true);
    ring.serve(0);
    const iovec* const storage = ring.chain.readable().data();
    ring.offer({{buffers, 1}}, {}, true);
    ring.serve(0);
    EXPECT_EQ(ring.chain.readable().data(), storage);
    EXPECT_EQ(ring.chain.readable_size(), 1U);
    EXPECT_TRUE(ring.chain.writable().empty());
    EXPECT_EQ(ring.chain.writable_size(), 0U);
}

}  // namespace
}  // namespace dpfs::virtio
