// SPDX-License-Identifier: Apache-2.0
// A front end and a device agree on what they do: features, queues, configuration space,
// status. Each test speaks over the real socket, with the front end that `dpfs bench` uses.
#include "device_fixture.hpp"

namespace dpfs::hal::test {
namespace {

class Negotiation : public DeviceTest {};

TEST_F(Negotiation, offers_what_virtio_and_vhost_user_name) {
    start_device();
    FrontEnd front_end = connect();
    const auto features = front_end.ask_number(MessageId::get_features);
    ASSERT_TRUE(features.has_value());
    EXPECT_EQ(*features,
              virtio::feature_version_1 | virtio::feature_indirect_desc |
                  virtio::feature_event_idx | virtio::feature_ring_packed |
                  virtio::feature_ring_reset | (1ULL << 26) | (1ULL << 30));
    const auto protocol = front_end.ask_number(MessageId::get_protocol_features);
    ASSERT_TRUE(protocol.has_value());
    // MQ, LOG_SHMFD, REPLY_ACK, CONFIG, INFLIGHT_SHMFD, RESET_DEVICE, CONFIGURE_MEM_SLOTS,
    // STATUS
    EXPECT_EQ(*protocol, 0b1'1011'0010'0000'1011U);
}

TEST_F(Negotiation, counts_the_high_priority_queue_as_well) {
    start_device({.request_queue_count = 4});
    FrontEnd front_end = connect();
    EXPECT_EQ(front_end.queue_count(), 5U);
}

TEST_F(Negotiation, shows_tag_and_request_queues_in_its_configuration_space) {
    start_device({.request_queue_count = 4});
    FrontEnd front_end = connect();
    const auto config = front_end.config();
    ASSERT_TRUE(config.has_value());
    EXPECT_STREQ(config->tag.data(), "home");
    EXPECT_EQ(config->num_request_queues, 4U);
}

TEST_F(Negotiation, acknowledges_when_it_was_agreed_to) {
    start_device();
    FrontEnd front_end = connect();
    ASSERT_TRUE(front_end.negotiate(split_features, wire::protocol_reply_ack));
    EXPECT_TRUE(front_end.tell(MessageId::set_status, wire::Number{.value = 4U}));
    EXPECT_EQ(front_end.ask_number(MessageId::get_status), 4U);
}

TEST_F(Negotiation, denies_an_unknown_message_and_goes_on) {
    start_device();
    FrontEnd front_end = connect();
    ASSERT_TRUE(front_end.negotiate(split_features, wire::protocol_reply_ack));
    constexpr auto unknown = static_cast<MessageId>(200);
    EXPECT_EQ(front_end.tell(unknown, {}).error(), Errno::remote_io);
    EXPECT_TRUE(front_end.queue_count().has_value());
}

TEST_F(Negotiation, acknowledges_no_unknown_message_where_that_was_not_agreed_to) {
    start_device();
    FrontEnd front_end = connect();
    ASSERT_TRUE(front_end.negotiate(split_features, wire::protocol_mq));
    ASSERT_TRUE(front_end.send(200, wire::flag_version | wire::flag_need_reply, {}));
    EXPECT_FALSE(front_end.receive().has_value());
    log().wait_for("disconnects the front end", 1);
    EXPECT_EQ(log().problem_count(), 1) << log().all();
}

TEST_F(Negotiation, unknown_messages_do_not_fill_the_log) {
    start_device();
    FrontEnd front_end = connect();
    ASSERT_TRUE(front_end.negotiate(split_features, wire::protocol_reply_ack));
    constexpr auto unknown = static_cast<MessageId>(200);
    for (int i = 0; i < 1000; ++i) ASSERT_FALSE(front_end.tell(unknown, {}).has_value());
    EXPECT_LT(log().problem_count(), 100);  // 4, and one more for each second it took
}

TEST_F(Negotiation, has_a_read_only_configuration_space) {
    start_device();
    FrontEnd front_end = connect();
    ASSERT_TRUE(front_end.negotiate(split_features, all_protocol_features));
    struct {
        wire::ConfigHeader header = {.offset = 0U, .size = 4U, .flags = 0U};
        le<std::uint32_t> value = 7U;
    } payload;
    EXPECT_EQ(front_end.tell(MessageId::set_config, payload).error(), Errno::remote_io);
    EXPECT_TRUE(front_end.config().has_value());
}

TEST_F(Negotiation, has_many_memory_slots) {
    start_device();
    FrontEnd front_end = connect();
    EXPECT_EQ(front_end.ask_number(MessageId::get_max_mem_slots), 509U);
}

TEST_F(Negotiation, refuses_a_second_front_end_while_one_is_there) {
    start_device();
    FrontEnd first = connect();
    ASSERT_TRUE(first.queue_count().has_value());
    FrontEnd second = connect();
    EXPECT_FALSE(second.queue_count().has_value());
    log().wait_for("second front end", 1);
    EXPECT_TRUE(first.queue_count().has_value());
}

TEST_F(Negotiation, takes_a_new_front_end_after_the_old_one_left) {
    start_device();
    for (int i = 0; i < 100; ++i) {
        FrontEnd front_end = connect();
        ASSERT_TRUE(front_end.queue_count().has_value()) << i << "\n" << log().all();
    }
    EXPECT_EQ(log().problem_count(), 0) << log().all();
}

}  // namespace
}  // namespace dpfs::hal::test
