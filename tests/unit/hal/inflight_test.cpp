// SPDX-License-Identifier: Apache-2.0
// The list of requests in flight that survives a back end: kept up to date as requests run, and
// delivered again from what a process that died has left behind. The area is looked at, and
// written, as the specification lays it out.
#include "hal/vhost_user/inflight.hpp"

#include "device_fixture.hpp"
#include "hal/vhost_user/inflight_wire.hpp"
#include "virtio/shared_access.hpp"

#include <utility>

namespace dpfs::hal::test {
namespace {

class Inflight : public DeviceTest {
  protected:
    static constexpr std::uint16_t queue_size = 64;

    /// Asks for an area and hands it back, as a VMM does.
    void share_area(FrontEnd& front_end) {
        const wire::Inflight wish = {0U, 0U, 2, queue_size, 0U};
        auto reply =
            front_end.ask(MessageId::get_inflight_fd, std::as_bytes(std::span(&wish, 1)));
        ASSERT_TRUE(reply.has_value());
        ASSERT_EQ(reply->fds.size(), 1U);
        description_ = reply->as<wire::Inflight>();
        area_fd_ = std::move(reply->fds[0]);
        auto mapped = virtio::map_shared(area_fd_.get(), description_.mmap_size, 0);
        ASSERT_TRUE(mapped.has_value());
        area_ = std::move(*mapped);
        give_area(front_end);
    }
    void give_area(FrontEnd& front_end) {
        const int fd = area_fd_.get();
        ASSERT_TRUE(
            front_end.tell(MessageId::set_inflight_fd, description_, std::span(&fd, 1)));
    }
    std::byte* queue_bytes(std::uint16_t index) {
        return area_.get() + index * (description_.mmap_size / 2);
    }
    wire::QueueRegionSplit& split_header() {
        return *virtio::shared_array<wire::QueueRegionSplit>(queue_bytes(1));
    }
    wire::DescStateSplit& split_entry(std::uint16_t head) {
        return virtio::shared_array<wire::DescStateSplit>(queue_bytes(1) +
                                                          sizeof(wire::QueueRegionSplit))[head];
    }
    wire::QueueRegionPacked& packed_header() {
        return *virtio::shared_array<wire::QueueRegionPacked>(queue_bytes(1));
    }
    wire::DescStatePacked& packed_entry(std::uint16_t index) {
        return virtio::shared_array<wire::DescStatePacked>(
            queue_bytes(1) + sizeof(wire::QueueRegionPacked))[index];
    }
    int packed_count() {
        int count = 0;
        for (std::uint16_t i = 0; i < queue_size; ++i) count += packed_entry(i).inflight;
        return count;
    }
    /// Notes the request in the ring's two slots from `slot` on, in the entries from `entry`
    /// on.
    void note_request(std::uint16_t slot, std::uint16_t entry, std::uint64_t counter) {
        const auto* const slots =
            virtio::shared_array<virtio::PackedDescriptor>(memory().at(memory_start));
        for (std::uint16_t i = 0; i < 2; ++i) {
            auto& to = packed_entry(static_cast<std::uint16_t>(entry + i));
            to.addr = slots[slot + i].addr;
            to.len = slots[slot + i].len;
            to.id = slots[slot + i].id;
            to.flags = slots[slot + i].flags;
        }
        packed_entry(entry).last = static_cast<std::uint16_t>(entry + 1);
        packed_entry(entry).num = 2;
        packed_entry(entry).counter = counter;
        packed_entry(entry).inflight = 1;
    }
    /// A region in which nothing was noted yet.
    void begin_packed_region() {
        packed_header().version = 1;
        packed_header().desc_num = queue_size;
        packed_header().used = {std::uint16_t{0}, std::uint16_t{0}, 1, 1, {}};
        for (std::uint16_t i = 0; i < queue_size; ++i) {
            packed_entry(i).next = static_cast<std::uint16_t>(i + 1);
        }
    }
    int split_count() {
        int count = 0;
        for (std::uint16_t i = 0; i < queue_size; ++i) count += split_entry(i).inflight;
        return count;
    }

    wire::Inflight description_ = {};
    UniqueFd area_fd_;
    virtio::Mapping area_;
};

TEST_F(Inflight, area_has_room_for_all_queues) {
    // 64-byte multiples of 16 + 16 × 64, and of 32 + 32 × 64.
    EXPECT_EQ(vhost_user::inflight_area_size(false, 2, 64), 2U * 1088);
    EXPECT_EQ(vhost_user::inflight_area_size(true, 2, 64), 2U * 2112);
}

TEST_F(Inflight, split_lists_what_is_taken_and_not_yet_given_back) {
    start_device();
    FrontEnd front_end = connect_and_share(split_features);
    share_area(front_end);
    const auto queue = start_queue(front_end, 1);
    EXPECT_EQ(split_header().version, 1U);
    EXPECT_EQ(split_header().desc_num, queue_size);

    sink().hold();
    std::array<std::uint16_t, 3> heads = {};
    for (std::uint32_t i = 0; i < 3; ++i) heads[i] = add_request(*queue, i, 10);
    queue->publish();
    sink().wait_until_held(3);
    // An answer to a message comes after the whole batch was delivered.
    ASSERT_TRUE(front_end.queue_count().has_value());
    EXPECT_EQ(split_count(), 3);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(split_entry(heads[i]).counter, i);

    sink().release();
    ASSERT_EQ(front_end.get_vring_base(1), 3U);
    EXPECT_EQ(split_count(), 0);
    EXPECT_EQ(split_header().used_idx, 3U);
}

TEST_F(Inflight, split_delivers_again_in_the_order_of_counters) {
    start_device();
    FrontEnd front_end = connect_and_share(split_features);
    share_area(front_end);
    auto queue = DriverQueue::make(
        memory(), front_end, {.index = 1, .size = queue_size, .guest_address = memory_start});
    ASSERT_TRUE(queue.has_value());
    // A process took all three, and died before it gave one back.
    std::array<std::uint16_t, 3> heads = {};
    for (std::uint32_t i = 0; i < 3; ++i) heads[i] = add_request(**queue, i, 10);
    (*queue)->ring().publish();
    split_header().version = 1;
    split_header().desc_num = queue_size;
    constexpr std::array<std::uint64_t, 3> counters = {12, 10, 11};
    for (std::size_t i = 0; i < 3; ++i) {
        split_entry(heads[i]).inflight = 1;
        split_entry(heads[i]).counter = counters[i];
    }
    ASSERT_TRUE((*queue)->start(front_end, 0)) << log().all();
    EXPECT_EQ((*queue)->wait_for_used(timeout_ms)->id, heads[1]);
    EXPECT_EQ((*queue)->wait_for_used(timeout_ms)->id, heads[2]);
    EXPECT_EQ((*queue)->wait_for_used(timeout_ms)->id, heads[0]);
    EXPECT_EQ(device().stats()[1].requests, 3U);
    EXPECT_EQ(front_end.get_vring_base(1), 3U);
    for (std::uint32_t i = 0; i < 3; ++i) EXPECT_TRUE(answered(i, 10));
}

/// The driver has been shown the batch, but the dead process did not come to strike it off.
TEST_F(Inflight, split_settles_a_batch_that_was_half_struck_off) {
    start_device();
    FrontEnd front_end = connect_and_share(split_features);
    share_area(front_end);
    auto queue = start_queue(front_end, 1);
    sink().hold();
    const std::uint16_t first = add_request(*queue, 0, 10);
    const std::uint16_t second = add_request(*queue, 1, 10);
    queue->publish();
    sink().wait_until_held(2);
    sink().release();
    ASSERT_EQ(front_end.get_vring_base(1), 2U);
    for (const std::uint16_t head : {first, second}) split_entry(head).inflight = 1;
    split_header().used_idx = 0;
    ASSERT_TRUE(queue->start(front_end, 2)) << log().all();
    EXPECT_EQ(split_count(), 0);
    EXPECT_EQ(split_header().used_idx, 2U);
    EXPECT_EQ(device().stats()[1].requests, 2U);
}

TEST_F(Inflight, split_ends_the_connection_where_the_list_cannot_be) {
    start_device();
    FrontEnd front_end = connect_and_share(split_features);
    share_area(front_end);
    split_header().version = 7;
    auto queue = DriverQueue::make(
        memory(), front_end, {.index = 1, .size = queue_size, .guest_address = memory_start});
    EXPECT_FALSE((*queue)->start(front_end));
    log().wait_for("cannot start: EPROTO", 1);
    EXPECT_EQ(log().problem_count(), 1) << log().all();
}

TEST_F(Inflight, split_survives_a_list_that_loops) {
    start_device();
    FrontEnd front_end = connect_and_share(split_features);
    share_area(front_end);
    split_header().version = 1;
    split_header().desc_num = queue_size;
    split_header().used_idx = 5;  // "60,000 in the last batch", which is a circle
    auto queue = start_queue(front_end, 1);
    echo_once(*queue, 0);
}

TEST_F(Inflight, packed_lists_what_is_taken_and_not_yet_given_back) {
    start_device();
    FrontEnd front_end = connect_and_share(packed_features);
    share_area(front_end);
    const auto queue = start_queue(front_end, 1);
    EXPECT_EQ(packed_header().version, 1U);
    EXPECT_EQ(packed_header().desc_num, queue_size);

    sink().hold();
    for (std::uint32_t i = 0; i < 3; ++i) add_request(*queue, i, 10);
    queue->publish();
    sink().wait_until_held(3);
    // An answer to a message comes after the whole batch was delivered.
    ASSERT_TRUE(front_end.queue_count().has_value());
    EXPECT_EQ(packed_count(), 3);
    for (std::uint16_t i = 0; i < 3; ++i) EXPECT_EQ(packed_entry(2 * i).counter, i);
    EXPECT_EQ(packed_header().old_free_head, 6U);

    sink().release();
    ASSERT_EQ(front_end.get_vring_base(1), 0x8006'8006U);
    EXPECT_EQ(packed_count(), 0);
    EXPECT_EQ(packed_header().used.used_idx, 6U);
    EXPECT_EQ(packed_header().used.old_used_idx, 6U);
}

TEST_F(Inflight, packed_delivers_again_in_the_order_of_counters) {
    start_device();
    FrontEnd front_end = connect_and_share(packed_features);
    share_area(front_end);
    auto queue = DriverQueue::make(
        memory(), front_end, {.index = 1, .size = queue_size, .guest_address = memory_start});
    ASSERT_TRUE(queue.has_value());
    // A process took all three, and died before it gave one back. What it did not live to take
    // is served after them.
    std::array<std::uint16_t, 4> ids = {};
    for (std::uint32_t i = 0; i < 4; ++i) ids[i] = add_request(**queue, i, 10);
    (*queue)->ring().publish();
    begin_packed_region();
    note_request(0, 0, 12);
    note_request(2, 2, 10);
    note_request(4, 4, 11);
    packed_header().free_head = 6;
    packed_header().old_free_head = 6;
    ASSERT_TRUE((*queue)->start(front_end)) << log().all();  // the base is that of a new ring
    for (const std::size_t i : {1U, 2U, 0U, 3U}) {
        EXPECT_EQ((*queue)->wait_for_used(timeout_ms)->id, ids[i]);
    }
    EXPECT_EQ(device().stats()[1].requests, 4U);
    EXPECT_EQ(front_end.get_vring_base(1), 0x8008'8008U);
    for (std::uint32_t i = 0; i < 4; ++i) EXPECT_TRUE(answered(i, 10));
}

/// The first has been overwritten by the used descriptor of the second.
TEST_F(Inflight, packed_delivers_again_what_the_ring_has_no_more) {
    start_device();
    FrontEnd front_end = connect_and_share(packed_features);
    share_area(front_end);
    auto queue = DriverQueue::make(
        memory(), front_end, {.index = 1, .size = queue_size, .guest_address = memory_start});
    ASSERT_TRUE(queue.has_value());
    const std::uint16_t first = add_request(**queue, 0, 10);
    const std::uint16_t second = add_request(**queue, 1, 10);
    (*queue)->ring().publish();
    begin_packed_region();
    note_request(0, 0, 0);
    auto* const slot =
        virtio::shared_array<virtio::PackedDescriptor>(memory().at(memory_start));
    *slot = {.addr = 0U,
             .len = 0U,
             .id = second,
             .flags = virtio::descriptor_available | virtio::descriptor_used};
    packed_header().used = {std::uint16_t{2}, std::uint16_t{2}, 1, 1, {}};
    packed_header().free_head = 2;
    packed_header().old_free_head = 2;
    ASSERT_TRUE((*queue)->start(front_end)) << log().all();
    EXPECT_EQ((*queue)->wait_for_used(timeout_ms)->id, second);
    EXPECT_EQ((*queue)->wait_for_used(timeout_ms)->id, first);
    EXPECT_EQ(device().stats()[1].requests, 1U);
    EXPECT_TRUE(answered(0, 10));
}

/// The driver has been shown the batch, but the dead process did not come to strike it off.
TEST_F(Inflight, packed_settles_a_batch_that_was_half_struck_off) {
    start_device();
    FrontEnd front_end = connect_and_share(packed_features);
    share_area(front_end);
    auto queue = start_queue(front_end, 1);
    for (std::uint32_t i = 0; i < 2; ++i) echo_once(*queue, i);
    ASSERT_EQ(front_end.get_vring_base(1), 0x8004'8004U);
    packed_entry(packed_header().free_head).inflight = 1;
    packed_header().used.old_used_idx = 2;
    packed_header().old_free_head = 2;
    ASSERT_TRUE(queue->start(front_end, 0x8004'8004U)) << log().all();
    EXPECT_EQ(packed_count(), 0);
    EXPECT_EQ(packed_header().used.old_used_idx, 4U);
    EXPECT_EQ(device().stats()[1].requests, 2U);
    echo_once(*queue, 2);
}

TEST_F(Inflight, packed_ends_the_connection_where_the_list_cannot_be) {
    start_device();
    FrontEnd front_end = connect_and_share(packed_features);
    share_area(front_end);
    packed_header().version = 7;
    auto queue = DriverQueue::make(
        memory(), front_end, {.index = 1, .size = queue_size, .guest_address = memory_start});
    EXPECT_FALSE((*queue)->start(front_end));
    log().wait_for("cannot start: EPROTO", 1);
    EXPECT_EQ(log().problem_count(), 1) << log().all();
}

/// A listed request is checked like one of the driver's: it breaks the ring, and no more.
TEST_F(Inflight, packed_breaks_the_ring_where_a_listed_request_lies_outside_the_memory) {
    start_device();
    FrontEnd front_end = connect_and_share(packed_features);
    share_area(front_end);
    auto queue = DriverQueue::make(
        memory(), front_end, {.index = 1, .size = queue_size, .guest_address = memory_start});
    add_request(**queue, 0, 10);
    (*queue)->ring().publish();
    begin_packed_region();
    note_request(0, 0, 0);
    packed_entry(1).addr = ~std::uint64_t{0xFFF};
    packed_header().free_head = 2;
    packed_header().old_free_head = 2;
    ASSERT_TRUE((*queue)->start(front_end)) << log().all();
    log().wait_for("points outside the guest's memory", 1);
    EXPECT_EQ(device().stats()[1].requests, 0U);
    EXPECT_TRUE(front_end.queue_count().has_value());
}

TEST_F(Inflight, ends_the_connection_where_the_area_is_not_aligned) {
    start_device();
    FrontEnd front_end = connect_and_share(packed_features);
    share_area(front_end);
    description_.mmap_offset = 4;
    const int fd = area_fd_.get();
    EXPECT_FALSE(front_end.tell(MessageId::set_inflight_fd, description_, std::span(&fd, 1)));
    log().wait_for("not aligned", 1);
}

}  // namespace
}  // namespace dpfs::hal::test
