// SPDX-License-Identifier: Apache-2.0
// The list of a packed ring: what it looks like while requests come and go, and what is refused
// when it is read. Anybody may have written it, so nothing in it is believed unchecked.
#include "hal/vhost_user/inflight_packed.hpp"

#include "inflight_machine.hpp"

#include <gtest/gtest.h>

#include <array>
#include <random>

namespace dpfs::hal::test {
namespace {

constexpr std::uint64_t features =
    virtio::feature_version_1 | virtio::feature_indirect_desc | virtio::feature_ring_packed;

TEST(PackedInflight, lays_out_a_new_region_as_one_list_of_free_entries) {
    const InflightMachine machine(features);
    ASSERT_TRUE(
        InflightServer::open(
            machine,
            {.next_available = 5, .next_used = 5, .available_wrap = false, .used_wrap = false})
            .has_value());
    const auto& header = machine.packed_header();
    EXPECT_EQ(header.features, 0U);
    EXPECT_EQ(header.version, 1U);
    EXPECT_EQ(header.desc_num, 8U);
    EXPECT_EQ(header.free_head, 0U);
    EXPECT_EQ(header.old_free_head, 0U);
    EXPECT_EQ(header.used.used_idx, 5U);
    EXPECT_EQ(header.used.old_used_idx, 5U);
    EXPECT_EQ(header.used.used_wrap_counter, 0U);
    EXPECT_EQ(header.used.old_used_wrap_counter, 0U);
    for (std::uint16_t i = 0; i < 8; ++i) {
        EXPECT_EQ(machine.packed_entry(i).next, i + 1U);
        EXPECT_EQ(machine.packed_entry(i).inflight, 0U);
    }
}

TEST(PackedInflight, notes_a_chain_with_a_copy_of_each_descriptor) {
    InflightMachine machine(features);
    auto server = InflightServer::open(machine).value();
    machine.offer({1, 3});
    for (int i = 0; i < 2; ++i) ASSERT_TRUE(server.take());
    const auto& head = machine.packed_entry(1);
    EXPECT_EQ(head.inflight, 1U);
    EXPECT_EQ(head.num, 3U);
    EXPECT_EQ(head.last, 3U);
    EXPECT_EQ(head.counter, 1U);
    for (std::uint16_t i = 1; i <= 3; ++i) {
        const auto& entry = machine.packed_entry(i);
        const auto& slot = machine.packed_slot(i);
        EXPECT_EQ(entry.addr, slot.addr);
        EXPECT_EQ(entry.len, slot.len);
        EXPECT_EQ(entry.id, slot.id);
        EXPECT_EQ(entry.flags, slot.flags);
    }
    EXPECT_EQ(machine.packed_header().free_head, 4U);
    EXPECT_EQ(machine.packed_header().old_free_head, 4U);
}

TEST(PackedInflight, gives_the_entries_of_a_batch_back_to_the_free_list) {
    InflightMachine machine(features);
    auto server = InflightServer::open(machine).value();
    machine.offer({1, 3, 2});
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(server.take());
    server.give(1);
    server.give(0);
    EXPECT_EQ(machine.packed_header().free_head, 6U);  // not before they are flushed
    server.flush();
    EXPECT_EQ(machine.packed_header().free_head, 0U);
    EXPECT_EQ(machine.packed_header().old_free_head, 0U);
    EXPECT_EQ(machine.packed_entry(0).next, 1U);
    EXPECT_EQ(machine.packed_entry(3).next, 6U);
    EXPECT_EQ(machine.packed_header().used.used_idx, 4U);
    EXPECT_EQ(machine.packed_header().used.old_used_idx, 4U);
    EXPECT_EQ(machine.packed_entry(0).inflight, 0U);
    EXPECT_EQ(machine.packed_entry(1).inflight, 0U);
    EXPECT_EQ(machine.packed_entry(4).inflight, 1U);
}

TEST(PackedInflight, goes_on_where_the_list_says_and_not_where_it_is_told) {
    InflightMachine machine(features);
    auto server = InflightServer::open(machine).value();
    machine.offer({3, 3});
    while (server.take()) server.give(0);
    server.flush();
    EXPECT_EQ(machine.poll().size(), 2U);
    machine.offer({3});
    auto next = InflightServer::open(machine, {}).value();  // nothing was in flight
    ASSERT_TRUE(next.take());
    next.give(0);
    next.flush();
    EXPECT_EQ(machine.poll().size(), 1U);
    EXPECT_EQ(machine.packed_header().used.used_idx, 1U);
    EXPECT_EQ(machine.packed_header().used.used_wrap_counter, 0U);
}

TEST(PackedInflight, counts_on_from_the_last_of_its_predecessor) {
    InflightMachine machine(features);
    auto server = InflightServer::open(machine).value();
    machine.offer({1, 1});
    while (server.take()) continue;
    auto next = InflightServer::open(machine).value();
    machine.offer({1});
    ASSERT_TRUE(next.take());
    EXPECT_EQ(machine.packed_entry(2).counter, 2U);
}

TEST(PackedInflight, serves_a_ring_that_is_shorter_than_its_list) {
    const InflightMachine machine(features);
    virtio::RingConfig config = machine.config();
    config.size = InflightMachine::entry_count / 2;
    EXPECT_TRUE(vhost_user::open_inflight(machine.region(), config, machine.memory()));
    EXPECT_TRUE(vhost_user::open_inflight(machine.region(), config, machine.memory()));
    config.size = InflightMachine::entry_count + 1;
    const auto longer = vhost_user::open_inflight(machine.region(), config, machine.memory());
    EXPECT_EQ(longer.error(), Errno::protocol);
}

TEST(PackedInflight, does_not_serve_a_split_ring) {
    const InflightMachine machine(features);
    virtio::RingConfig config = machine.config();
    config.features &= ~virtio::feature_ring_packed;
    const auto opened = vhost_user::open_inflight(machine.region(), config, machine.memory());
    EXPECT_EQ(opened.error(), Errno::protocol);
}

/// A list with chains at entries 0 (one slot), 1 (three) and 4 (one); 5 to 7 are free.
struct Spoiled {
    const char* name;
    void (*spoil)(wire::QueueRegionPacked& header, wire::DescStatePacked* entries);
};
using Header = wire::QueueRegionPacked;
using Entry = wire::DescStatePacked;

constexpr std::array spoiled = {
    Spoiled{"another_version", [](Header& header, Entry*) { header.version = 2; }},
    Spoiled{"unknown_features", [](Header& header, Entry*) { header.features = 1; }},
    Spoiled{"fewer_entries_than_the_ring", [](Header& header, Entry*) { header.desc_num = 7; }},
    Spoiled{"more_entries_than_the_area", [](Header& header, Entry*) { header.desc_num = 9; }},
    Spoiled{"used_outside", [](Header& header, Entry*) { header.used.used_idx = 8; }},
    Spoiled{"old_used_outside", [](Header& header, Entry*) { header.used.old_used_idx = 8; }},
    Spoiled{"no_wrap", [](Header& header, Entry*) { header.used.used_wrap_counter = 2; }},
    Spoiled{"no_old_wrap",
            [](Header& header, Entry*) { header.used.old_used_wrap_counter = 255; }},
    Spoiled{"free_head_in_a_chain", [](Header& header, Entry*) { header.old_free_head = 2; }},
    Spoiled{"free_head_nowhere", [](Header& header, Entry*) { header.old_free_head = 60'000; }},
    Spoiled{"free_list_loops", [](Header&, Entry* entries) { entries[7].next = 5; }},
    Spoiled{"free_list_is_cut", [](Header&, Entry* entries) { entries[5].next = 60'000; }},
    Spoiled{"free_list_enters_a_chain", [](Header&, Entry* entries) { entries[7].next = 4; }},
    Spoiled{"chain_of_none", [](Header&, Entry* entries) { entries[0].num = 0; }},
    Spoiled{"chain_of_too_many", [](Header&, Entry* entries) { entries[1].num = 60'000; }},
    Spoiled{"chain_enters_another", [](Header&, Entry* entries) { entries[1].num = 4; }},
    Spoiled{"chain_is_cut", [](Header&, Entry* entries) { entries[2].next = 60'000; }},
    Spoiled{"chain_loops", [](Header&, Entry* entries) { entries[2].next = 1; }},
    Spoiled{"last_is_another", [](Header&, Entry* entries) { entries[1].last = 2; }},
    Spoiled{"entry_in_no_list", [](Header&, Entry* entries) { entries[4].inflight = 0; }},
    Spoiled{"chain_within_a_chain", [](Header&, Entry* entries) { entries[2].inflight = 1; }},
    Spoiled{"descriptor_ends_early", [](Header&, Entry* entries) { entries[2].flags = 0; }},
    Spoiled{"last_descriptor_goes_on",
            [](Header&, Entry* entries) { entries[3].flags = virtio::descriptor_next; }},
};

class SpoiledPackedInflight : public testing::TestWithParam<Spoiled> {};

TEST_P(SpoiledPackedInflight, is_refused_and_left_as_it_is) {
    InflightMachine machine(features);
    auto server = InflightServer::open(machine).value();
    machine.offer({1, 3, 0});
    while (server.take()) continue;
    ASSERT_TRUE(InflightServer::open(machine));  // so far it is good
    GetParam().spoil(machine.packed_header(), &machine.packed_entry(0));
    const Remains before = machine.remains();
    EXPECT_EQ(InflightServer::open(machine).error(), Errno::protocol);
    EXPECT_FALSE(machine.differs_from(before));
}

INSTANTIATE_TEST_SUITE_P(Catalogue,
                         SpoiledPackedInflight,
                         testing::ValuesIn(spoiled),
                         [](const auto& tested) { return std::string(tested.param.name); });

/// Whatever is in the region, reading it does no harm, and what is accepted can be served.
TEST(PackedInflight, survives_regions_with_random_bytes) {
    InflightMachine machine(features);
    auto server = InflightServer::open(machine).value();
    machine.offer({1, 3, 0});
    while (server.take()) continue;
    const Remains good = machine.remains();

    std::minstd_rand random(20'261);
    int accepted = 0;
    for (std::uint32_t round = 0; round < 20'000; ++round) {
        Remains bad = good;
        for (std::uint32_t i = 0; i <= round % 4; ++i) {
            bad.area[random() % bad.area.size()] = static_cast<std::byte>(random() % 10);
        }
        machine.restore(bad);
        auto opened = InflightServer::open(machine);
        if (!opened) continue;
        ++accepted;
        while (!opened->held().empty()) opened->give(0);
        opened->flush();
    }
    EXPECT_GT(accepted, 1000);  // some bytes mean nothing
}

}  // namespace
}  // namespace dpfs::hal::test
