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
    std::vector<std::uint16_t> heads;
    for (std::uint32_t i = 0; i < 3; ++i) heads.push_back(add_request(*queue, i, 10));
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

}  // namespace
}  // namespace dpfs::hal::test
