// SPDX-License-Identifier: Apache-2.0
// Rings and devices that stop, change and end while requests are in flight: each request is
// completed once, memory stays mapped as long as it is used, and nothing is left behind.
#include "device_fixture.hpp"

#include <sys/eventfd.h>

namespace dpfs::hal::test {
namespace {

class Lifecycle : public DeviceTest {
  protected:
    /// Requests that the sink holds.
    void fill(DriverQueue& queue, std::uint32_t count) {
        sink().hold();
        for (std::uint32_t i = 0; i < count; ++i) add_request(queue, i, 50);
        queue.publish();
        sink().wait_until_held(count);
    }
    void expect_used(DriverQueue& queue, std::uint32_t count) {
        for (std::uint32_t i = 0; i < count; ++i) {
            ASSERT_TRUE(queue.wait_for_used(timeout_ms).has_value()) << log().all();
        }
    }
    /// Has written pages marked in all of `bits`.
    static void share_log(FrontEnd& front_end, const SharedMemory& bits) {
        const wire::Log area = {.size = bits.size(), .offset = 0U};
        const int fd = bits.fd();
        ASSERT_TRUE(front_end.send(std::to_underlying(MessageId::set_log_base),
                                   wire::flag_version,
                                   std::as_bytes(std::span(&area, 1)),
                                   std::span(&fd, 1)));
        ASSERT_TRUE(front_end.receive().has_value());
    }
};

TEST_F(Lifecycle, get_vring_base_waits_for_requests_in_flight) {
    start_device();
    FrontEnd front_end = connect_and_share(split_features);
    const auto queue = start_queue(front_end, 1);
    fill(*queue, 3);
    sink().answer_when_interrupted(true);
    EXPECT_EQ(front_end.get_vring_base(1), 3U);
    EXPECT_EQ(sink().interrupt_count(), 1);
    expect_used(*queue, 3);
    EXPECT_EQ(device().stats()[1].completions, 3U);
}

TEST_F(Lifecycle, packed_ring_gives_both_positions) {
    start_device();
    FrontEnd front_end = connect_and_share(packed_features);
    const auto queue = start_queue(front_end, 1);
    for (std::uint32_t i = 0; i < 3; ++i) echo_once(*queue, i);
    // Three chains of two descriptors each, first lap.
    EXPECT_EQ(front_end.get_vring_base(1), 0x8006'8006U);
}

TEST_F(Lifecycle, ring_goes_on_where_it_stopped) {
    for (const std::uint64_t features : {split_features, packed_features}) {
        start_device();
        FrontEnd front_end = connect_and_share(features);
        const auto queue = start_queue(front_end, 1);
        for (std::uint32_t i = 0; i < 40; ++i) echo_once(*queue, i);
        const auto base = front_end.get_vring_base(1);
        ASSERT_TRUE(base.has_value());
        ASSERT_TRUE(queue->start(front_end, *base));
        for (std::uint32_t i = 0; i < 40; ++i) echo_once(*queue, i);
        stop_device();
    }
}

TEST_F(Lifecycle, ring_starts_with_the_kick_first_and_the_base_last) {
    start_device();
    FrontEnd front_end = connect_and_share(split_features);
    const auto queue = start_queue(front_end, 1);
    for (std::uint32_t i = 0; i < 5; ++i) echo_once(*queue, i);
    ASSERT_EQ(front_end.get_vring_base(1), 5U);
    ASSERT_TRUE(front_end.tell(MessageId::reset_device, {}));
    ASSERT_TRUE(front_end.set_vring_fd(MessageId::set_vring_kick, 1, queue->kick_fd()));
    ASSERT_TRUE(front_end.set_vring_fd(MessageId::set_vring_call, 1, queue->call_fd()));
    ASSERT_TRUE(front_end.set_vring(MessageId::set_vring_enable, 1, 1));
    ASSERT_TRUE(front_end.tell(MessageId::set_vring_addr, queue->vring_address()));
    ASSERT_TRUE(front_end.set_vring(MessageId::set_vring_num, 1, 64));
    ASSERT_TRUE(front_end.set_vring(MessageId::set_vring_base, 1, 5));
    echo_once(*queue, 5);
}

TEST_F(Lifecycle, stopped_ring_takes_nothing) {
    start_device();
    FrontEnd front_end = connect_and_share(split_features);
    const auto queue = start_queue(front_end, 1);
    ASSERT_EQ(front_end.get_vring_base(1), 0U);
    add_request(*queue, 0, 10);
    queue->publish();
    queue->kick();
    ASSERT_TRUE(front_end.queue_count().has_value());
    EXPECT_EQ(device().stats()[1].requests, 0U);
}

TEST_F(Lifecycle, memory_is_added_and_removed_while_requests_run) {
    start_device();
    FrontEnd front_end = connect_and_share(split_features);
    const auto queue = start_queue(front_end, 1);
    constexpr std::uint64_t start = 1ULL << 32;
    for (std::uint32_t i = 0; i < 20; ++i) {
        auto extra = SharedMemory::make(start, 1 << 20);
        ASSERT_TRUE(extra.has_value());
        ASSERT_TRUE(front_end.add_memory_region(extra->region(), extra->fd()));

        sink().hold();
        const virtio::Segment in = {.address = start, .size = 8};
        const virtio::Segment out = {.address = start + 64, .size = 8};
        std::memcpy(extra->at(start), "somedata", 8);
        ASSERT_TRUE(queue->ring().add({.readable = std::span(&in, 1),
                                       .writable = std::span(&out, 1),
                                       .direct_count = 2,
                                       .indirect = false}));
        queue->publish();
        sink().wait_until_held(1);
        // The request keeps what the map has lost.
        ASSERT_TRUE(front_end.remove_memory_region(extra->region()));
        sink().release();
        expect_used(*queue, 1);
        EXPECT_EQ(std::memcmp(extra->at(start + 64), "somedata", 8), 0);
        echo_once(*queue, 0);
    }
}

TEST_F(Lifecycle, removed_memory_is_unmapped_with_its_last_request) {
    start_device();
    FrontEnd front_end = connect_and_share(split_features);
    const auto queue = start_queue(front_end, 1);
    const std::size_t before = mapping_count("memfd:dpfs-driver");
    auto extra = SharedMemory::make(1ULL << 32, 1 << 20);
    ASSERT_TRUE(front_end.add_memory_region(extra->region(), extra->fd()));
    EXPECT_EQ(mapping_count("memfd:dpfs-driver"), before + 2);
    fill(*queue, 1);  // holds the map, though not the region
    ASSERT_TRUE(front_end.remove_memory_region(extra->region()));
    EXPECT_EQ(mapping_count("memfd:dpfs-driver"), before + 2);
    sink().release();
    expect_used(*queue, 1);
    EXPECT_EQ(mapping_count("memfd:dpfs-driver"), before + 1);
}

TEST_F(Lifecycle, memory_of_a_running_ring_cannot_go) {
    start_device();
    FrontEnd front_end = connect_and_share(split_features);
    const auto queue = start_queue(front_end, 1);
    EXPECT_FALSE(front_end.remove_memory_region(memory().region()));
    log().wait_for("disconnects the front end", 1);
    EXPECT_EQ(log().count("does not lie in the new memory"), 1) << log().all();
}

TEST_F(Lifecycle, same_memory_table_again_changes_nothing) {
    start_device();
    FrontEnd front_end = connect_and_share(split_features);
    const auto queue = start_queue(front_end, 1);
    fill(*queue, 2);
    const wire::MemoryRegion region = memory().region();
    const int fd = memory().fd();
    const std::size_t before = mapping_count("memfd:dpfs-driver");
    ASSERT_TRUE(front_end.set_memory_table(std::span(&region, 1), std::span(&fd, 1)));
    EXPECT_EQ(mapping_count("memfd:dpfs-driver"), before);
    sink().release();
    expect_used(*queue, 2);
    echo_once(*queue, 0);
}

TEST_F(Lifecycle, leaving_with_requests_in_flight_ends_them_and_resets_the_sink) {
    start_device();
    sink().answer_when_interrupted(true);
    {
        FrontEnd front_end = connect_and_share(split_features);
        const auto queue = start_queue(front_end, 1);
        fill(*queue, 5);
    }
    FrontEnd next = connect();
    ASSERT_TRUE(next.queue_count().has_value());
    EXPECT_EQ(sink().reset_count(), 1);
    const auto stats = device().stats()[1];
    EXPECT_EQ(stats.completions, stats.requests);
}

TEST_F(Lifecycle, reconnects_a_hundred_times_and_leaves_nothing) {
    start_device({.reactor_count = 2, .request_queue_count = 2});
    sink().answer_when_interrupted(true);
    {
        const FrontEnd warm_up = connect_and_share(split_features);
    }
    const std::size_t mappings = mapping_count("memfd:dpfs-driver");
    std::size_t fds = 0;
    for (int i = 0; i < 100; ++i) {
        FrontEnd front_end = connect_and_share(split_features);
        const auto first = start_queue(front_end, 1);
        const auto second = start_queue(front_end, 2);
        fill(*first, 3);
        if (i == 0) fds = open_fd_count();
        ASSERT_LE(open_fd_count(), fds + 1) << i;
    }
    stop_device();
    EXPECT_LE(mapping_count("memfd:dpfs-driver"), mappings);
    EXPECT_EQ(log().problem_count(), 0) << log().all();
}

TEST_F(Lifecycle, stop_ends_what_waits) {
    start_device();
    FrontEnd front_end = connect_and_share(split_features);
    const auto queue = start_queue(front_end, 1);
    fill(*queue, 4);
    sink().answer_when_interrupted(true);
    stop_device();
    expect_used(*queue, 4);
    EXPECT_EQ(sink().reset_count(), 1);
}

TEST_F(Lifecycle, reset_device_stops_rings_and_resets_the_sink) {
    start_device();
    FrontEnd front_end = connect_and_share(split_features);
    auto queue = start_queue(front_end, 1);
    echo_once(*queue, 0);
    ASSERT_TRUE(front_end.tell(MessageId::reset_device, {}));
    EXPECT_EQ(sink().reset_count(), 1);
    queue = start_queue(front_end, 1);
    echo_once(*queue, 0);
}

/// QEMU sends it when a guest is paused, between stopping the rings and starting them again.
TEST_F(Lifecycle, status_zero_is_no_reset) {
    start_device();
    FrontEnd front_end = connect_and_share(split_features);
    const auto queue = start_queue(front_end, 1);
    ASSERT_TRUE(front_end.tell(MessageId::set_status, wire::Number{.value = 0U}));
    EXPECT_EQ(sink().reset_count(), 0);
    echo_once(*queue, 0);
}

TEST_F(Lifecycle, broken_ring_stops_the_device_until_it_is_reset) {
    start_device({.request_queue_count = 2});
    FrontEnd front_end = connect_and_share(split_features);
    const auto broken = start_queue(front_end, 1);
    const auto other = start_queue(front_end, 2);
    echo_once(*other, 0);
    const virtio::Segment nowhere = {.address = 1ULL << 40, .size = 8};
    ASSERT_TRUE(broken->ring().add({.readable = std::span(&nowhere, 1),
                                    .writable = {},
                                    .direct_count = 1,
                                    .indirect = false}));
    broken->publish();
    log().wait_for("the driver broke queue 1", 1);

    eventfd_t errors = 0;
    EXPECT_EQ(::eventfd_read(broken->error_fd(), &errors), 0);
    EXPECT_EQ(*front_end.ask_number(MessageId::get_status) & 64U, 64U);
    add_request(*other, 1, 10);
    other->publish();
    ASSERT_EQ(front_end.get_vring_base(2), 1U);  // it was halted before that request
    EXPECT_EQ(log().problem_count(), 1) << log().all();

    ASSERT_TRUE(front_end.tell(MessageId::reset_device, {}));
    EXPECT_EQ(front_end.ask_number(MessageId::get_status), 0U);
    const auto again = start_queue(front_end, 1);
    echo_once(*again, 0);
}

/// As QEMU does when the guest reboots: it stops the rings one by one, and says no
/// RESET_DEVICE.
TEST_F(Lifecycle, guest_that_broke_a_ring_may_start_anew) {
    start_device({.reactor_count = 2, .request_queue_count = 2});
    FrontEnd front_end = connect_and_share(split_features);
    const virtio::Segment nowhere = {.address = 1ULL << 40, .size = 8};
    for (int round = 1; round <= 3; ++round) {
        const auto broken = start_queue(front_end, 1);
        const auto other = start_queue(front_end, 2);
        echo_once(*broken, 0);
        echo_once(*other, 1);
        ASSERT_TRUE(broken->ring().add({.readable = std::span(&nowhere, 1),
                                        .writable = {},
                                        .direct_count = 1,
                                        .indirect = false}));
        broken->publish();
        log().wait_for("the driver broke queue 1", round);
        ASSERT_TRUE(front_end.get_vring_base(1).has_value());
        EXPECT_EQ(*front_end.ask_number(MessageId::get_status) & 64U, 64U);
        ASSERT_TRUE(front_end.get_vring_base(2).has_value());
        EXPECT_EQ(*front_end.ask_number(MessageId::get_status) & 64U, 0U);
    }
}

TEST_F(Lifecycle, requests_of_a_broken_ring_are_still_completed) {
    start_device();
    FrontEnd front_end = connect_and_share(split_features);
    const auto queue = start_queue(front_end, 1);
    fill(*queue, 3);
    const virtio::Segment nowhere = {.address = 1ULL << 40, .size = 8};
    ASSERT_TRUE(queue->ring().add({.readable = std::span(&nowhere, 1),
                                   .writable = {},
                                   .direct_count = 1,
                                   .indirect = false}));
    queue->publish();
    log().wait_for("the driver broke queue 1", 1);
    sink().release();
    ASSERT_TRUE(front_end.get_vring_base(1).has_value());
    EXPECT_EQ(device().stats()[1].completions, 3U);
    EXPECT_FALSE(*queue->ring().poll());  // the ring was not touched any more
}

TEST_F(Lifecycle, marks_pages_that_requests_write_during_migration) {
    start_device();
    FrontEnd front_end = connect_and_share(split_features | wire::feature_log_all);
    auto bits = SharedMemory::make(0, 1 << 12);
    share_log(front_end, *bits);
    const auto queue = start_queue(front_end, 1);
    echo_once(*queue, 1);
    const std::uint64_t page =
        (requests_start + request_slot_size + request_slot_size / 2) / 4096;
    EXPECT_EQ(bits->at(0)[page / 8], std::byte{1} << (page % 8));
}

/// Cancelled, as a rule: whose log was made for the memory that there was then.
TEST_F(Lifecycle, memory_may_grow_beyond_the_log_of_a_migration_that_ended) {
    start_device();
    FrontEnd front_end = connect_and_share(split_features | wire::feature_log_all);
    auto bits = SharedMemory::make(0, 1 << 12);
    share_log(front_end, *bits);
    const auto queue = start_queue(front_end, 1);
    ASSERT_TRUE(front_end.tell(MessageId::set_features, wire::Number{.value = split_features}));
    const auto extra = SharedMemory::make(1ULL << 32, 1 << 20);
    EXPECT_TRUE(front_end.add_memory_region(extra->region(), extra->fd())) << log().all();
    echo_once(*queue, 0);
}

TEST_F(Lifecycle, memory_cannot_grow_beyond_the_log_of_a_migration) {
    start_device();
    FrontEnd front_end = connect_and_share(split_features | wire::feature_log_all);
    auto bits = SharedMemory::make(0, 1 << 12);
    share_log(front_end, *bits);
    const auto extra = SharedMemory::make(1ULL << 32, 1 << 20);
    EXPECT_FALSE(front_end.add_memory_region(extra->region(), extra->fd()));
    log().wait_for("does not cover the memory", 1);
}

}  // namespace
}  // namespace dpfs::hal::test
