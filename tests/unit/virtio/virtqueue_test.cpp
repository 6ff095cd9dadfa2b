// SPDX-License-Identifier: Apache-2.0
// Goal: what both ring formats promise alike. Method: each test runs over all combinations of
// format, EVENT_IDX and INDIRECT_DESC, with our driver's side at the other end.
#include "virtio/virtqueue.hpp"

#include "ring_pair.hpp"

#include <gtest/gtest.h>

namespace dpfs::virtio {
namespace {

class Virtqueues : public testing::TestWithParam<std::uint64_t> {
  protected:
    [[nodiscard]] bool indirect() const { return (GetParam() & feature_indirect_desc) != 0; }
};

std::string format_name(const testing::TestParamInfo<std::uint64_t>& info) {
    std::string name = (info.param & packed) != 0 ? "packed" : "split";
    if ((info.param & feature_event_idx) != 0) name += "_event_idx";
    if ((info.param & feature_indirect_desc) != 0) name += "_indirect";
    return name;
}

INSTANTIATE_TEST_SUITE_P(,
                         Virtqueues,
                         testing::Values(split,
                                         split | feature_event_idx,
                                         split | feature_indirect_desc,
                                         split | feature_event_idx | feature_indirect_desc,
                                         packed,
                                         packed | feature_event_idx,
                                         packed | feature_indirect_desc,
                                         packed | feature_event_idx | feature_indirect_desc),
                         format_name);

TEST_P(Virtqueues, pops_nothing_from_an_empty_ring) {
    RingPair ring(8, GetParam());
    EXPECT_FALSE(ring.device->has_work());
    EXPECT_EQ(ring.device->pop(ring.memory, ring.chain), false);
}

TEST_P(Virtqueues, carries_a_request_there_and_its_answer_back) {
    RingPair ring(8, GetParam());
    write_text(ring.memory, buffers, "question");
    const auto id =
        ring.offer({{buffers, 4}, {buffers + 4, 4}}, {{buffers + 100, 3}}, indirect());

    EXPECT_TRUE(ring.device->has_work());
    ASSERT_EQ(ring.device->pop(ring.memory, ring.chain), true);
    EXPECT_EQ(join(ring.chain.readable()), "question");
    EXPECT_EQ(ring.chain.readable_size(), 8U);
    EXPECT_EQ(ring.chain.writable_size(), 3U);
    write_text(ring.memory, buffers + 100, "yes");
    ring.device->push(ring.chain.head(), 3);
    EXPECT_EQ(ring.take_used(), std::nullopt);
    ring.device->flush();

    EXPECT_EQ(ring.take_used(), (UsedChain{.id = id, .written = 3}));
    EXPECT_EQ(ring.take_used(), std::nullopt);
    EXPECT_EQ(ring.driver->free_count(), 8U);
}

TEST_P(Virtqueues, hides_descriptors_that_were_not_published) {
    RingPair ring(8, GetParam());
    const Segment segment{buffers, 8};
    ASSERT_TRUE(ring.driver->add({.readable = std::span(&segment, 1)}));
    EXPECT_FALSE(ring.device->has_work());
    EXPECT_EQ(ring.device->pop(ring.memory, ring.chain), false);
}

TEST_P(Virtqueues, gives_chains_back_in_any_order) {
    RingPair ring(8, GetParam());
    const auto first = ring.offer({{buffers, 8}, {buffers + 16, 8}}, {});
    const auto second = ring.offer({{buffers, 8}}, {});
    DescriptorChain later;
    ASSERT_EQ(ring.device->pop(ring.memory, ring.chain), true);
    ASSERT_EQ(ring.device->pop(ring.memory, later), true);
    EXPECT_EQ(ring.device->in_flight(), 2U);
    ring.device->push(later.head(), 0);
    ring.device->push(ring.chain.head(), 0);
    ring.device->flush();
    EXPECT_EQ(ring.take_used(), (UsedChain{.id = second, .written = 0}));
    EXPECT_EQ(ring.take_used(), (UsedChain{.id = first, .written = 0}));
    EXPECT_EQ(ring.device->in_flight(), 0U);
}

TEST_P(Virtqueues, holds_as_many_chains_as_it_has_descriptors) {
    RingPair ring(4, GetParam());
    for (int i = 0; i < 4; ++i) ring.offer({{buffers, 8}}, {});
    const Segment segment{buffers, 8};
    EXPECT_EQ(ring.driver->add({.readable = std::span(&segment, 1)}).error(), Errno::again);
    for (int i = 0; i < 4; ++i) ASSERT_EQ(ring.device->pop(ring.memory, ring.chain), true);
    EXPECT_EQ(ring.device->pop(ring.memory, ring.chain), false);
}

TEST_P(Virtqueues, runs_past_the_wrap_around_of_16_bit_indices) {
    constexpr int count = 70'000;  // over 65536, and no multiple of the size
    RingPair ring(8, GetParam());
    for (int i = 0; i < count; ++i) {
        const auto id =
            ring.offer({{buffers, 8}, {buffers + 64, 8}}, {{buffers, 1}}, indirect());
        ring.serve(1);
        ASSERT_EQ(ring.take_used(), (UsedChain{.id = id, .written = 1})) << i;
    }
}

TEST_P(Virtqueues, goes_on_in_another_object_where_the_first_stopped) {
    RingPair ring(4, GetParam());
    for (int i = 0; i < 7; ++i) {
        const auto id = ring.offer({{buffers, 8}}, {});
        ring.serve(0);
        ASSERT_EQ(ring.take_used(), (UsedChain{.id = id, .written = 0}));
        ring.device = ring.make_device(ring.device->state());
    }
    EXPECT_FALSE(ring.device->has_work());
}

TEST_P(Virtqueues, goes_on_from_a_vhost_user_ring_base) {
    RingPair ring(4, GetParam());
    const bool is_packed = (GetParam() & packed) != 0;
    for (int i = 0; i < 7; ++i) {
        const auto id = ring.offer({{buffers, 8}}, {});
        ring.serve(0);
        ASSERT_EQ(ring.take_used(), (UsedChain{.id = id, .written = 0}));
        const auto base = ring.device->state().to_vring_base(is_packed);
        ring.device = ring.make_device(RingState::from_vring_base(base, is_packed));
    }
}

TEST_P(Virtqueues, a_resumed_ring_tells_the_driver_once_what_may_have_been_lost) {
    RingPair ring(4, GetParam());
    ring.offer({{buffers, 8}}, {});
    EXPECT_FALSE(ring.driver->enable_notifications());
    ring.serve(0);  // used, and then its process dies before it notifies
    ring.device = ring.make_device(ring.device->state());
    EXPECT_TRUE(ring.device->needs_notification());
    EXPECT_FALSE(ring.device->needs_notification());
}

TEST_P(Virtqueues, a_reset_ring_starts_anew) {
    RingPair ring(4, GetParam());
    ring.offer({{buffers, 8}}, {});
    ring.serve(0);
    ring.driver = make_driver_ring(ring.memory,
                                   {.size = 4, .features = GetParam(), .layout = ring.layout})
                      .value();
    ring.device = ring.make_device({});
    const auto id = ring.offer({{buffers, 8}}, {});
    ring.serve(0);
    EXPECT_EQ(ring.take_used(), (UsedChain{.id = id, .written = 0}));
}

TEST_P(Virtqueues, sees_a_map_that_changed_between_two_pops) {
    RingPair ring(4, GetParam());
    const GuestMemory smaller = ring.memory.without(second_region, region_size).value();
    ring.offer({{second_region, 8}}, {});
    ring.offer({{second_region, 8}}, {});
    EXPECT_EQ(ring.device->pop(ring.memory, ring.chain), true);
    EXPECT_EQ(ring.device->pop(smaller, ring.chain).error(), Errno::fault);
    EXPECT_EQ(ring.device->violation(), Violation::address_not_mapped);
}

TEST_P(Virtqueues, stays_broken_after_a_violation) {
    RingPair ring(4, GetParam());
    ring.offer({{gap, 8}}, {});
    ring.offer({{buffers, 8}}, {});
    EXPECT_EQ(ring.device->pop(ring.memory, ring.chain).error(), Errno::fault);
    EXPECT_EQ(ring.device->pop(ring.memory, ring.chain).error(), Errno::fault);
}

TEST_P(Virtqueues, gives_chains_back_that_were_popped_before_a_violation) {
    RingPair ring(4, GetParam());
    const auto id = ring.offer({{buffers, 8}}, {});
    ring.offer({{gap, 8}}, {});
    DescriptorChain good;
    ASSERT_EQ(ring.device->pop(ring.memory, good), true);
    ASSERT_FALSE(ring.device->pop(ring.memory, ring.chain));
    ring.device->push(good.head(), 0);
    ring.device->flush();
    EXPECT_EQ(ring.take_used(), (UsedChain{.id = id, .written = 0}));
}

TEST_P(Virtqueues, refuses_sizes_and_parts_that_cannot_be) {
    const RingPair ring(4, GetParam());
    const auto make = [&](std::uint32_t size, RingAddresses addresses) {
        return make_virtqueue(ring.memory,
                              {.size = size, .features = GetParam(), .addresses = addresses})
            .error();
    };
    const RingAddresses good = ring.layout.addresses;
    EXPECT_EQ(make(0, good), Errno::invalid);
    EXPECT_EQ(make(65536, good), Errno::invalid);
    RingAddresses bad = good;
    bad.descriptors += 8;
    EXPECT_EQ(make(4, bad), Errno::invalid);
    bad = good;
    bad.driver += 1;
    EXPECT_EQ(make(4, bad), Errno::invalid);
    bad = good;
    bad.device += 2;
    EXPECT_EQ(make(4, bad), Errno::invalid);
    bad = good;
    bad.device = gap;
    EXPECT_EQ(make(4, bad), Errno::fault);
    bad = good;
    bad.space = AddressSpace::user;
    EXPECT_EQ(make(4, bad), Errno::fault);
}

TEST_P(Virtqueues, is_found_by_the_front_ends_addresses_too) {
    RingPair ring(4, GetParam());
    RingAddresses user = ring.layout.addresses;
    user.descriptors += user_offset;
    user.driver += user_offset;
    user.device += user_offset;
    user.space = AddressSpace::user;
    ring.device =
        make_virtqueue(ring.memory, {.size = 4, .features = GetParam(), .addresses = user})
            .value();
    ring.offer({{buffers, 8}}, {});
    EXPECT_EQ(ring.device->pop(ring.memory, ring.chain), true);
}

TEST_P(Virtqueues, keeps_its_memory_when_the_map_is_gone) {
    RingPair ring(4, GetParam());
    ring.memory = GuestMemory();
    EXPECT_EQ(ring.device->pop(ring.memory, ring.chain), false);
}

}  // namespace
}  // namespace dpfs::virtio
