// SPDX-License-Identifier: Apache-2.0
// Goal: what only packed rings have: wrap counters, skipped slots, sizes that are no power of
// two, and event positions that are compared modulo two laps.
#include "virtio/packed_ring.hpp"

#include "ring_pair.hpp"

#include <gtest/gtest.h>

#include <array>
#include <utility>
#include <vector>

namespace dpfs::virtio {
namespace {

TEST(PackedRing, takes_any_size_up_to_the_largest) {
    for (const std::uint32_t size : {1U, 3U, 7U, 100U, queue_size_max}) {
        RingPair ring(size, packed);
        for (std::uint32_t i = 0; i < 2 * size + 1; ++i) {
            const auto id = ring.offer({{buffers, 1}}, {});
            ring.serve(0);
            ASSERT_EQ(ring.take_used(), (UsedChain{.id = id, .written = 0}))
                << size << ' ' << i;
        }
    }
}

TEST(Virtio_2_8_1, flags_of_used_descriptors_follow_the_wrap_counter) {
    RingPair ring(1, packed);
    const auto* const slot = ring.at<PackedDescriptor>(ring.layout.addresses.descriptors);
    ring.offer({{buffers, 1}}, {});
    ring.serve(0);
    EXPECT_EQ(slot->flags, descriptor_available | descriptor_used);
    ASSERT_TRUE(ring.take_used());
    ring.offer({{buffers, 1}}, {});
    EXPECT_EQ(slot->flags, descriptor_used);  // available in the second lap
    ring.serve(0);
    EXPECT_EQ(slot->flags, 0U);
}

TEST(Virtio_2_8_3, write_flag_says_whether_anything_was_written) {
    RingPair ring(4, packed);
    const auto* const slots = ring.at<PackedDescriptor>(ring.layout.addresses.descriptors);
    ring.offer({}, {{buffers, 8}});
    ring.offer({}, {{buffers, 8}});
    ring.serve(5);
    ring.serve(0);
    EXPECT_EQ(slots[0].flags & descriptor_write, descriptor_write);
    EXPECT_EQ(slots[0].len, 5U);
    EXPECT_EQ(slots[1].flags & descriptor_write, 0);
}

TEST(Virtio_2_8_6, one_used_descriptor_stands_for_the_whole_list) {
    RingPair ring(7, packed);
    const auto* const slots = ring.at<PackedDescriptor>(ring.layout.addresses.descriptors);
    const auto id = ring.offer({{buffers, 1}, {buffers + 8, 1}, {buffers + 16, 1}}, {});
    ring.offer({{buffers, 1}}, {});
    EXPECT_EQ(ring.serve(0), (ChainHead{.id = id, .slots = 3}));
    ring.serve(0);
    // The second list's used descriptor is three slots on, where its first one was.
    EXPECT_EQ(slots[1].flags & descriptor_used, 0);
    EXPECT_EQ(slots[3].flags & descriptor_used, descriptor_used);
}

TEST(PackedRing, takes_a_list_that_goes_over_the_end_of_the_ring) {
    RingPair ring(5, packed);
    write_text(ring.memory, buffers, "abcdef");
    for (int lap = 0; lap < 9; ++lap) {
        ring.offer({{buffers, 1}, {buffers + 2, 1}, {buffers + 4, 1}}, {});
        ASSERT_EQ(ring.device->pop(ring.memory, ring.chain), true);
        ASSERT_EQ(join(ring.chain.readable()), "ace");
        ring.device->push(ring.chain.head(), 0);
        ring.device->flush();
        ASSERT_TRUE(ring.take_used());
    }
}

TEST(PackedRing, shows_a_batch_by_the_flags_of_its_first_descriptor) {
    RingPair ring(4, packed);
    for (int i = 0; i < 2; ++i) ring.offer({{buffers, 1}}, {});
    DescriptorChain second;
    ASSERT_EQ(ring.device->pop(ring.memory, ring.chain), true);
    ASSERT_EQ(ring.device->pop(ring.memory, second), true);
    ring.device->push(ring.chain.head(), 0);
    ring.device->push(second.head(), 0);
    const auto* const slots = ring.at<PackedDescriptor>(ring.layout.addresses.descriptors);
    EXPECT_EQ(slots[0].flags & descriptor_used, 0);
    EXPECT_EQ(slots[1].flags & descriptor_used, descriptor_used);
    EXPECT_EQ(ring.take_used(), std::nullopt);
    ring.device->flush();
    EXPECT_TRUE(ring.take_used());
    EXPECT_TRUE(ring.take_used());
}

TEST(PackedRing, base_of_vhost_user_has_both_positions_and_wrap_counters) {
    const RingState state = RingState::from_vring_base(0x0003'8005, true);
    EXPECT_EQ(state.next_available, 5U);
    EXPECT_TRUE(state.available_wrap);
    EXPECT_EQ(state.next_used, 3U);
    EXPECT_FALSE(state.used_wrap);
    EXPECT_EQ(state.to_vring_base(true), 0x0003'8005U);
    EXPECT_EQ(RingState{}.to_vring_base(true), 0x8000'8000U);
}

/// The chains of a ring as pop() finds them, and as a list of requests in flight notes them.
std::vector<LostChain> pop_all(RingPair& ring) {
    std::vector<LostChain> chains;
    std::uint32_t slot = 0;
    while (ring.device->pop(ring.memory, ring.chain).value()) {
        LostChain chain = {.head = ring.chain.head(), .descriptors = {}};
        for (std::uint32_t i = 0; i < chain.head.slots; ++i) {
            chain.descriptors.push_back(*ring.at<PackedDescriptor>(
                ring.layout.addresses.descriptors + std::uint64_t{slot++} * 16));
        }
        chains.push_back(std::move(chain));
    }
    return chains;
}

TEST(PackedRing, rereads_what_another_popped_whatever_the_ring_says_by_now) {
    RingPair ring(6, packed);
    write_text(ring.memory, buffers, "abcdef");
    const auto one = ring.offer({{buffers, 1}, {buffers + 2, 1}}, {});
    const auto two = ring.offer({{buffers + 4, 1}, {buffers + 1, 1}, {buffers + 3, 1}}, {});
    const std::vector<LostChain> lost = pop_all(ring);
    ASSERT_EQ(lost.size(), 2U);
    // The second is given back first: where the first lay.
    ring.device->push(lost[1].head, 0);
    ring.device->flush();
    ASSERT_EQ(ring.take_used(), (UsedChain{.id = two, .written = 0}));

    ring.device = ring.make_device(ring.device->state());
    ASSERT_TRUE(ring.device->reread(lost[0], ring.memory, ring.chain));
    EXPECT_EQ(join(ring.chain.readable()), "ac");
    EXPECT_EQ(ring.chain.head(), (ChainHead{.id = one, .slots = 2}));
    EXPECT_EQ(ring.device->in_flight(), 1U);
    EXPECT_FALSE(ring.device->has_work());
    ring.device->push(ring.chain.head(), 0);
    ring.device->flush();
    EXPECT_EQ(ring.take_used(), (UsedChain{.id = one, .written = 0}));
}

TEST(PackedRing, hides_what_was_staged_and_not_flushed_from_the_driver) {
    RingPair ring(4, packed);
    const auto first = ring.offer({{buffers, 1}}, {});
    const auto second = ring.offer({{buffers, 1}}, {});
    const RingState before = ring.device->state();
    const std::vector<LostChain> lost = pop_all(ring);
    for (const LostChain& chain : lost) ring.device->push(chain.head, 0);
    // Here the process dies, and the next one is quicker with the second.
    RingState state = before;
    state.next_available = 2;
    ring.device = ring.make_device(state);
    for (const LostChain& chain : lost) {
        ASSERT_TRUE(ring.device->reread(chain, ring.memory, ring.chain));
    }
    ring.device->push(lost[1].head, 0);
    ring.device->flush();
    EXPECT_EQ(ring.take_used(), (UsedChain{.id = second, .written = 0}));
    EXPECT_EQ(ring.take_used(), std::nullopt);
    ring.device->push(lost[0].head, 0);
    ring.device->flush();
    EXPECT_EQ(ring.take_used(), (UsedChain{.id = first, .written = 0}));
}

TEST(PackedRing, marks_what_it_hides_as_dirty) {
    RingPair ring(4, packed);
    for (int i = 0; i < 2; ++i) ring.offer({{buffers, 1}}, {});
    RingState state = ring.device->state();
    const std::vector<LostChain> lost = pop_all(ring);
    for (const LostChain& chain : lost) ring.device->push(chain.head, 0);
    state.next_available = 2;
    ring.device = ring.make_device(state);
    constexpr std::uint64_t log_size = 4096;
    const Mapping log = map_anonymous(log_size).value();
    ring.device->attach_log(std::make_shared<const DirtyLog>(log, log_size));
    for (const LostChain& chain : lost) {
        ASSERT_TRUE(ring.device->reread(chain, ring.memory, ring.chain));
    }
    constexpr std::uint64_t page = ring_base / DirtyLog::page_size;
    EXPECT_EQ(log.get()[page / 8], std::byte{1U << (page % 8)});
}

TEST(PackedRing, checks_what_it_rereads_as_what_it_pops) {
    const PackedDescriptor good = {
        .addr = buffers, .len = 1U, .id = std::uint16_t{0}, .flags = std::uint16_t{0}};
    PackedDescriptor outside = good;
    outside.addr = gap;
    PackedDescriptor table = good;
    table.flags = descriptor_indirect;
    const std::array<std::pair<PackedDescriptor, Violation>, 2> bad = {{
        {outside, Violation::address_not_mapped},
        {table, Violation::indirect_not_negotiated},
    }};
    for (const auto& [descriptor, violation] : bad) {
        RingPair ring(4, packed);
        const LostChain chain = {.head = {.id = 0, .slots = 1}, .descriptors = {descriptor}};
        EXPECT_FALSE(ring.device->reread(chain, ring.memory, ring.chain));
        EXPECT_EQ(ring.device->violation(), violation);
    }
    RingPair ring(1, packed);
    const LostChain chain = {.head = {.id = 0, .slots = 1}, .descriptors = {good}};
    ASSERT_TRUE(ring.device->reread(chain, ring.memory, ring.chain));
    EXPECT_EQ(ring.device->reread(chain, ring.memory, ring.chain).error(), Errno::protocol);
    EXPECT_EQ(ring.device->violation(), Violation::too_many_in_flight);
}

TEST(PackedRingDeath, asserts_that_only_popped_chains_are_pushed) {
    RingPair ring(4, packed);
    EXPECT_DEATH(ring.device->push({}, 0), "in_flight_");
}

TEST(PassedEvent, is_true_for_the_slots_just_passed_and_no_others) {
    const PackedPosition now{.slot = 3, .wrap = true};
    EXPECT_TRUE(passed_event({2, true}, now, 1, 5));
    EXPECT_FALSE(passed_event({1, true}, now, 1, 5));
    EXPECT_FALSE(passed_event({3, true}, now, 1, 5));
    EXPECT_TRUE(passed_event({0, true}, now, 3, 5));
    EXPECT_FALSE(passed_event({2, false}, now, 1, 5));
}

TEST(PassedEvent, looks_back_into_the_lap_before) {
    const PackedPosition now{.slot = 1, .wrap = false};
    EXPECT_TRUE(passed_event({4, true}, now, 2, 5));
    EXPECT_FALSE(passed_event({3, true}, now, 2, 5));
    EXPECT_FALSE(passed_event({4, false}, now, 2, 5));
}

TEST(PassedEvent, sees_a_full_lap_and_two) {
    const PackedPosition now{.slot = 1, .wrap = false};
    EXPECT_TRUE(passed_event({1, true}, now, 5, 5));
    EXPECT_FALSE(passed_event({1, false}, now, 5, 5));
    EXPECT_TRUE(passed_event({1, false}, now, 10, 5));
}

TEST(PassedEvent, is_true_for_a_slot_that_does_not_exist) {
    EXPECT_TRUE(passed_event({5, true}, {}, 1, 5));
}

}  // namespace
}  // namespace dpfs::virtio
