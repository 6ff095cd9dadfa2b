// SPDX-License-Identifier: Apache-2.0
// Requests go from a driver's ring to the sink and back, on split and packed rings, one queue
// and many, one reactor and several. The driver's side is the one that `dpfs bench` uses.
#include "device_fixture.hpp"

namespace dpfs::hal::test {
namespace {

class Echo : public DeviceTest, public ::testing::WithParamInterface<std::uint64_t> {};

INSTANTIATE_TEST_SUITE_P(Rings,
                         Echo,
                         ::testing::Values(split_features, packed_features),
                         [](const auto& parameter) {
                             return parameter.param == packed_features ? "packed" : "split";
                         });

TEST_P(Echo, answers_one_request) {
    start_device();
    FrontEnd front_end = connect_and_share(GetParam());
    const auto queue = start_queue(front_end, 1);
    echo_once(*queue, 0);
    const auto stats = device().stats();
    EXPECT_EQ(stats[1].requests, 1U);
    EXPECT_EQ(stats[1].completions, 1U);
    EXPECT_EQ(stats[1].bytes_in, 100U);
    EXPECT_EQ(stats[1].bytes_out, 100U);
    EXPECT_EQ(stats[0].requests, 0U);
}

TEST_P(Echo, answers_many_laps_of_requests) {
    start_device();
    FrontEnd front_end = connect_and_share(GetParam());
    const auto queue = start_queue(front_end, 1);
    constexpr std::uint32_t count = 500;  // of a ring with 64 entries
    for (std::uint32_t i = 0; i < count; ++i) echo_once(*queue, i % 32);
    EXPECT_EQ(device().stats()[1].requests, count);
}

TEST_P(Echo, answers_requests_that_were_there_before_the_ring_started) {
    start_device();
    FrontEnd front_end = connect_and_share(GetParam());
    auto queue = DriverQueue::make(
        memory(), front_end, {.index = 1, .size = 64, .guest_address = memory_start});
    ASSERT_TRUE(queue.has_value());
    add_request(**queue, 0, 100);
    (*queue)->ring().publish();  // without a kick
    ASSERT_TRUE((*queue)->start(front_end));
    EXPECT_TRUE((*queue)->wait_for_used(timeout_ms).has_value());
    EXPECT_TRUE(answered(0, 100));
}

TEST_P(Echo, spreads_queues_over_reactors) {
    start_device({.reactor_count = 2, .request_queue_count = 4});
    FrontEnd front_end = connect_and_share(GetParam());
    std::array<std::unique_ptr<DriverQueue>, 5> queues;
    for (std::uint32_t i = 0; i < 5; ++i) queues[i] = start_queue(front_end, i);
    for (std::uint32_t round = 0; round < 50; ++round) {
        for (std::uint32_t i = 0; i < 5; ++i) echo_once(*queues[i], i);
    }
    for (const auto& stats : device().stats()) EXPECT_EQ(stats.requests, 50U);
}

TEST_P(Echo, works_without_event_idx) {
    start_device();
    FrontEnd front_end = connect_and_share(GetParam() & ~virtio::feature_event_idx);
    const auto queue = start_queue(front_end, 1);
    for (std::uint32_t i = 0; i < 20; ++i) echo_once(*queue, i);
}

TEST_P(Echo, polls_without_kicks_when_busy) {
    start_device({.mode = reactor::PollMode::busy});
    FrontEnd front_end = connect_and_share(GetParam());
    const auto queue = start_queue(front_end, 1);
    for (std::uint32_t i = 0; i < 100; ++i) echo_once(*queue, i % 32);
    EXPECT_EQ(device().stats()[1].completions, 100U);
}

/// Fills the ring once, with notifications of the driver's off; one is asked for at the end.
TEST_P(Echo, calls_once_for_a_batch) {
    start_device();
    FrontEnd front_end = connect_and_share(GetParam());
    const auto queue = start_queue(front_end, 1);
    echo_once(*queue, 0);  // what SET_VRING_CALL sends is over
    const std::uint64_t calls_before = device().stats()[1].calls;
    sink().hold();
    queue->ring().disable_notifications();
    constexpr std::uint32_t count = 16;
    for (std::uint32_t i = 0; i < count; ++i) add_request(*queue, i, 10);
    queue->publish();
    sink().wait_until_held(count);
    ASSERT_FALSE(queue->ring().enable_notifications());
    sink().release();
    for (std::uint32_t i = 0; i < count; ++i) {
        ASSERT_TRUE(queue->wait_for_used(timeout_ms).has_value());
    }
    EXPECT_LE(device().stats()[1].calls - calls_before, count / 2);
}

TEST_P(Echo, takes_nothing_from_a_disabled_ring) {
    start_device();
    FrontEnd front_end = connect_and_share(GetParam());
    const auto queue = start_queue(front_end, 1);
    ASSERT_TRUE(front_end.set_vring(MessageId::set_vring_enable, 1, 0));
    add_request(*queue, 0, 100);
    queue->ring().publish();
    queue->kick();
    // The acknowledgement of a later message comes after the kick has been seen to by nobody.
    ASSERT_TRUE(front_end.tell(MessageId::set_status, wire::Number{.value = 4U}));
    EXPECT_EQ(device().stats()[1].requests, 0U);
    ASSERT_TRUE(front_end.set_vring(MessageId::set_vring_enable, 1, 1));
    EXPECT_TRUE(queue->wait_for_used(timeout_ms).has_value());
}

TEST_P(Echo, enables_all_rings_without_protocol_features) {
    start_device();
    FrontEnd front_end = connect_and_share(GetParam() & ~wire::feature_protocol_features);
    const auto queue = start_queue(front_end, 1);
    echo_once(*queue, 0);
}

TEST_P(Echo, serves_a_driver_that_has_no_kick_descriptor) {
    start_device();
    FrontEnd front_end = connect_and_share(GetParam());
    const auto queue = start_queue(front_end, 1);
    ASSERT_TRUE(front_end.set_vring_fd(MessageId::set_vring_kick, 1, -1));
    add_request(*queue, 0, 100);
    queue->ring().publish();
    EXPECT_TRUE(queue->wait_for_used(timeout_ms).has_value());
}

}  // namespace
}  // namespace dpfs::hal::test
