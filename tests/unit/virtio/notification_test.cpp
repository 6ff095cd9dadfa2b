// SPDX-License-Identifier: Apache-2.0
// Goal: each side hears of what it asked to hear of, and is left alone otherwise. Tests are
// named after the clauses of virtio 1.2.
#include "ring_pair.hpp"

#include <gtest/gtest.h>

namespace dpfs::virtio {
namespace {

/// Offers and serves one chain; whether the driver is to be notified of it.
bool notifies(RingPair& ring) {
    ring.offer({{buffers, 1}}, {});
    ring.serve(0);
    return ring.device->needs_notification();
}

/// Whether the driver is to kick for one chain more.
bool kicks(RingPair& ring) {
    ring.offer({{buffers, 1}}, {});
    return ring.driver->needs_kick();
}

class Notifications : public testing::TestWithParam<std::uint64_t> {
  protected:
    RingPair ring{8, GetParam()};
};

INSTANTIATE_TEST_SUITE_P(
    Formats,
    Notifications,
    testing::Values(split, split | feature_event_idx, packed, packed | feature_event_idx));

TEST_P(Notifications, nothing_flushed_is_nothing_to_tell) {
    EXPECT_FALSE(ring.device->needs_notification());
    ring.offer({{buffers, 1}}, {});
    ASSERT_EQ(ring.device->pop(ring.memory, ring.chain), true);
    ring.device->push(ring.chain.head(), 0);
    EXPECT_FALSE(ring.device->needs_notification());
}

TEST_P(Notifications, of_one_flush_are_needed_once) {
    EXPECT_FALSE(ring.driver->enable_notifications());
    EXPECT_TRUE(notifies(ring));
    EXPECT_FALSE(ring.device->needs_notification());
}

TEST_P(Notifications, are_found_needed_for_all_flushes_since_the_last_question) {
    EXPECT_FALSE(ring.driver->enable_notifications());
    for (int i = 0; i < 3; ++i) {
        ring.offer({{buffers, 1}}, {});
        ring.serve(0);
    }
    EXPECT_TRUE(ring.device->needs_notification());
}

TEST_P(Notifications, come_again_when_asked_for_again) {
    for (int i = 0; i < 20; ++i) {
        EXPECT_FALSE(ring.driver->enable_notifications());
        EXPECT_TRUE(notifies(ring)) << i;
        ASSERT_TRUE(ring.take_used());
    }
}

TEST_P(Notifications, device_finds_work_that_came_before_it_asked_for_kicks) {
    ring.offer({{buffers, 1}}, {});
    EXPECT_TRUE(ring.device->enable_notifications());
}

TEST_P(Notifications, driver_finds_used_chains_that_came_before_it_asked) {
    ring.offer({{buffers, 1}}, {});
    ring.serve(0);
    EXPECT_TRUE(ring.driver->enable_notifications());
}

TEST_P(Notifications, device_gets_a_kick_each_time_it_asks_for_one) {
    for (int i = 0; i < 20; ++i) {
        EXPECT_FALSE(ring.device->enable_notifications());
        EXPECT_TRUE(kicks(ring)) << i;
        ring.serve(0);
        ASSERT_TRUE(ring.take_used());
    }
}

TEST(Virtio_2_7_7_2, without_event_idx_flag_1_suppresses_notifications) {
    RingPair ring(8, split);
    ring.driver->disable_notifications();
    EXPECT_FALSE(notifies(ring));
    ASSERT_TRUE(ring.take_used());
    ASSERT_FALSE(ring.driver->enable_notifications());
    EXPECT_TRUE(notifies(ring));
}

TEST(Virtio_2_7_7_2, without_event_idx_used_event_is_ignored) {
    RingPair ring(8, split);
    *ring.at<le<std::uint16_t>>(ring.layout.addresses.driver + 4 + 2ULL * 8) = std::uint16_t{5};
    EXPECT_TRUE(notifies(ring));
}

TEST(Virtio_2_7_7_2, with_event_idx_flag_1_is_ignored) {
    RingPair ring(8, split | feature_event_idx);
    ring.at<AvailableHeader>(ring.layout.addresses.driver)->flags = available_no_interrupt;
    EXPECT_TRUE(notifies(ring));
}

TEST(Virtio_2_7_7_2, must_not_notify_before_used_event) {
    RingPair ring(8, split | feature_event_idx);
    *ring.at<le<std::uint16_t>>(ring.layout.addresses.driver + 4 + 2ULL * 8) = std::uint16_t{2};
    EXPECT_FALSE(notifies(ring));
    EXPECT_FALSE(notifies(ring));
    EXPECT_TRUE(notifies(ring));  // the entry with index 2
    EXPECT_FALSE(notifies(ring));
}

TEST(Virtio_2_7_7_2, used_event_0_is_the_first_buffer_and_again_the_65536th) {
    RingPair ring(8, split | feature_event_idx);
    int notified = 0;
    for (int i = 0; i <= 65'536; ++i) {
        notified += notifies(ring);
        ASSERT_TRUE(ring.take_used());
        // The driver's own position moves, its event index stays at 0.
        ASSERT_EQ(notified, i < 65'536 ? 1 : 2) << i;
    }
}

TEST(Virtio_2_7_7_2, a_round_of_all_indices_between_two_questions_is_a_notification) {
    RingPair ring(8, split | feature_event_idx);
    for (int i = 0; i < 65'537; ++i) {
        ring.offer({{buffers, 1}}, {});
        ring.serve(0);
        ASSERT_TRUE(ring.take_used());
    }
    *ring.at<le<std::uint16_t>>(ring.layout.addresses.driver + 4 + 2ULL * 8) =
        std::uint16_t{77};
    EXPECT_TRUE(ring.device->needs_notification());
}

TEST(Virtio_2_7_10, without_event_idx_flag_1_suppresses_kicks) {
    RingPair ring(8, split);
    ring.device->disable_notifications();
    EXPECT_EQ(ring.at<UsedHeader>(ring.layout.addresses.device)->flags, used_no_notify);
    EXPECT_FALSE(kicks(ring));
    EXPECT_TRUE(ring.device->enable_notifications());
    EXPECT_EQ(ring.at<UsedHeader>(ring.layout.addresses.device)->flags, 0);
    EXPECT_TRUE(kicks(ring));
}

TEST(Virtio_2_7_10_2, with_event_idx_flags_stay_0) {
    RingPair ring(8, split | feature_event_idx);
    ring.device->disable_notifications();
    EXPECT_EQ(ring.at<UsedHeader>(ring.layout.addresses.device)->flags, 0);
}

TEST(Virtio_2_7_10, with_event_idx_one_kick_and_then_none_until_asked_for) {
    RingPair ring(8, split | feature_event_idx);
    ASSERT_FALSE(ring.device->enable_notifications());
    EXPECT_TRUE(kicks(ring));
    ring.device->disable_notifications();
    EXPECT_FALSE(kicks(ring));
    EXPECT_FALSE(kicks(ring));
}

TEST(Virtio_2_8_10, disable_suppresses_notifications) {
    RingPair ring(5, packed | feature_event_idx);
    ring.driver->disable_notifications();
    for (int i = 0; i < 20; ++i) {
        EXPECT_FALSE(notifies(ring));
        ASSERT_TRUE(ring.take_used());
    }
}

TEST(Virtio_2_8_10, disable_suppresses_kicks) {
    RingPair ring(5, packed | feature_event_idx);
    ring.device->disable_notifications();
    EXPECT_FALSE(kicks(ring));
    EXPECT_TRUE(ring.device->enable_notifications());
}

TEST(Virtio_2_8_10, must_not_notify_before_the_descriptor_asked_for) {
    RingPair ring(5, packed | feature_event_idx);
    auto* const event = ring.at<EventSuppression>(ring.layout.addresses.driver);
    event->desc = static_cast<std::uint16_t>(1 | event_wrap);
    event->flags = event_descriptor;
    EXPECT_FALSE(notifies(ring));
    EXPECT_TRUE(notifies(ring));
    EXPECT_FALSE(notifies(ring));
}

TEST(Virtio_2_8_10, a_descriptor_of_the_next_lap_waits_for_it) {
    RingPair ring(3, packed | feature_event_idx);
    auto* const event = ring.at<EventSuppression>(ring.layout.addresses.driver);
    event->desc = std::uint16_t{1};
    event->flags = event_descriptor;
    for (int i = 0; i < 4; ++i) {
        EXPECT_FALSE(notifies(ring)) << i;
        ASSERT_TRUE(ring.take_used());
    }
    EXPECT_TRUE(notifies(ring));
}

TEST(Virtio_2_8_10, without_event_idx_descriptor_events_mean_always) {
    RingPair ring(5, packed);
    auto* const event = ring.at<EventSuppression>(ring.layout.addresses.driver);
    event->desc = static_cast<std::uint16_t>(4 | event_wrap);
    event->flags = event_descriptor;
    EXPECT_TRUE(notifies(ring));
}

TEST(Virtio_2_8_10, reserved_flags_and_impossible_slots_mean_always) {
    RingPair ring(5, packed | feature_event_idx);
    auto* const event = ring.at<EventSuppression>(ring.layout.addresses.driver);
    event->flags = std::uint16_t{3};
    EXPECT_TRUE(notifies(ring));
    event->desc = std::uint16_t{5};
    event->flags = event_descriptor;
    EXPECT_TRUE(notifies(ring));
}

}  // namespace
}  // namespace dpfs::virtio
