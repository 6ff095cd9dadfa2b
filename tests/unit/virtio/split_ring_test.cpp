// SPDX-License-Identifier: Apache-2.0
// Goal: what only split rings have: the layout of 2.7 byte by byte, and going on from a list of
// chains that were in flight.
#include "virtio/split_ring.hpp"

#include "ring_pair.hpp"

#include <gtest/gtest.h>

namespace dpfs::virtio {
namespace {

TEST(SplitRing, refuses_a_size_that_is_no_power_of_two) {
    const RingPair ring(8, split);
    EXPECT_EQ(
        make_split_ring(ring.memory, {.size = 6, .addresses = ring.layout.addresses}).error(),
        Errno::invalid);
}

TEST(SplitRing, takes_the_largest_size) {
    RingPair ring(queue_size_max, split);
    ring.offer({{buffers, 1}}, {});
    EXPECT_EQ(ring.serve(0).id, 0U);
}

TEST(Virtio_2_7_8, used_entry_is_id_and_length_behind_flags_and_index) {
    RingPair ring(4, split);
    ring.offer({{buffers, 1}}, {});
    const auto id = ring.offer({{buffers, 1}}, {{buffers, 0x1234}});
    ring.serve(0);
    ring.serve(0x1234);
    const std::string used = read_text(ring.memory, ring.layout.addresses.device, 20);
    const char expected[] = {0,
                             0,
                             2,
                             0,  //
                             0,
                             0,
                             0,
                             0,
                             0,
                             0,
                             0,
                             0,  //
                             static_cast<char>(id),
                             0,
                             0,
                             0,
                             0x34,
                             0x12,
                             0,
                             0};
    EXPECT_EQ(used, std::string(expected, sizeof(expected)));
}

TEST(Virtio_2_7_8_2, entries_become_visible_with_the_index_only) {
    RingPair ring(4, split);
    ring.offer({{buffers, 1}}, {});
    ASSERT_EQ(ring.device->pop(ring.memory, ring.chain), true);
    ring.device->push(ring.chain.head(), 0);
    auto* const used = ring.at<UsedHeader>(ring.layout.addresses.device);
    EXPECT_EQ(used->idx, 0U);
    ring.device->flush();
    EXPECT_EQ(used->idx, 1U);
}

TEST(SplitRing, a_batch_of_pushes_is_published_at_once) {
    RingPair ring(8, split);
    std::array<DescriptorChain, 5> chains;
    for (auto& chain : chains) {
        ring.offer({{buffers, 1}}, {});
        ASSERT_EQ(ring.device->pop(ring.memory, chain), true);
    }
    for (auto& chain : chains) ring.device->push(chain.head(), 0);
    EXPECT_EQ(ring.take_used(), std::nullopt);
    ring.device->flush();
    for (auto& chain : chains) {
        EXPECT_EQ(ring.take_used(), (UsedChain{.id = chain.head().id, .written = 0}));
    }
}

TEST(SplitRing, reads_chains_again_that_were_in_flight_when_their_process_died) {
    RingPair ring(4, split);
    write_text(ring.memory, buffers, "onetwo");
    const auto one = ring.offer({{buffers, 3}}, {});
    const auto two = ring.offer({{buffers + 3, 3}}, {});
    for (int i = 0; i < 2; ++i) ASSERT_EQ(ring.device->pop(ring.memory, ring.chain), true);

    ring.device = ring.make_device(
        RingState::from_vring_base(ring.device->state().to_vring_base(false), false));
    ASSERT_TRUE(
        ring.device->reread({.head = {.id = two}, .descriptors = {}}, ring.memory, ring.chain));
    EXPECT_EQ(join(ring.chain.readable()), "two");
    EXPECT_EQ(ring.device->in_flight(), 1U);
    ring.device->push(ring.chain.head(), 0);
    ring.device->flush();
    EXPECT_EQ(ring.take_used(), (UsedChain{.id = two, .written = 0}));
    ASSERT_TRUE(
        ring.device->reread({.head = {.id = one}, .descriptors = {}}, ring.memory, ring.chain));
    EXPECT_EQ(join(ring.chain.readable()), "one");
    EXPECT_FALSE(ring.device->has_work());
}

TEST(SplitRing, refuses_to_reread_what_is_no_chain) {
    RingPair ring(4, split);
    EXPECT_EQ(
        ring.device->reread({.head = {.id = 4}, .descriptors = {}}, ring.memory, ring.chain)
            .error(),
        Errno::protocol);
    EXPECT_EQ(ring.device->violation(), Violation::head_out_of_range);
}

TEST(SplitRing, base_of_vhost_user_is_the_available_index) {
    const RingState state = RingState::from_vring_base(0xFFFE, false);
    EXPECT_EQ(state.next_available, 0xFFFEU);
    EXPECT_TRUE(state.used_from_ring);
    EXPECT_EQ(state.to_vring_base(false), 0xFFFEU);
}

TEST(SplitRingDeath, asserts_that_only_popped_chains_are_pushed) {
    RingPair ring(4, split);
    EXPECT_DEATH(ring.device->push({}, 0), "in_flight_");
}

}  // namespace
}  // namespace dpfs::virtio
