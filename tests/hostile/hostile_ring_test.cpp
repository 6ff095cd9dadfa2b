// SPDX-License-Identifier: Apache-2.0
// Goal: a guest that breaks its rings stops its own device, which says so once.
// Method: the real daemon; rings are written byte by byte, past any driver.
#include "hostile_fixture.hpp"

#include <cstring>
#include <random>

namespace dpfs::hostile {
namespace {

using virtio::Descriptor;
using virtio::descriptor_indirect;
using virtio::descriptor_next;
using virtio::descriptor_write;

class HostileRing : public HostileTest {
  protected:
    /// Writes one descriptor of the request queue's split ring and offers it.
    static void offer(HostileGuest& guest, const Descriptor& descriptor) {
        const auto& at = guest.queue(HostileGuest::request).layout().addresses;
        guest.put(at.descriptors, descriptor);
        offer_head(guest, 0, 1);
    }
    /// `head` as the first entry of the available ring, and how far the index says it goes.
    static void offer_head(HostileGuest& guest, std::uint16_t head, std::uint16_t index) {
        const auto& at = guest.queue(HostileGuest::request).layout().addresses;
        guest.put(at.driver + sizeof(virtio::AvailableHeader), le<std::uint16_t>(head));
        guest.put(at.driver + offsetof(virtio::AvailableHeader, idx), le<std::uint16_t>(index));
        guest.kick(HostileGuest::request);
    }
    void expect_stopped(HostileGuest& guest) {
        EXPECT_TRUE(guest.wait_until_stopped(HostileGuest::request));
    }
};

TEST_F(HostileRing, available_index_that_jumps) {
    auto guest = attacker(split_features);
    ASSERT_NE(guest, nullptr);
    offer_head(*guest, 0, 1000);
    expect_stopped(*guest);
    guest.reset();
    expect_nobody_else_is_harmed(1);
}

TEST_F(HostileRing, head_behind_the_table) {
    auto guest = attacker(split_features);
    ASSERT_NE(guest, nullptr);
    offer_head(*guest, 0xffff, 1);
    expect_stopped(*guest);
    guest.reset();
    expect_nobody_else_is_harmed(1);
}

TEST_F(HostileRing, descriptor_that_points_to_itself) {
    auto guest = attacker(split_features);
    ASSERT_NE(guest, nullptr);
    offer(*guest, {HostileGuest::slot_address(0), 64U, descriptor_next, std::uint16_t{0}});
    expect_stopped(*guest);
    guest.reset();
    expect_nobody_else_is_harmed(1);
}

TEST_F(HostileRing, length_of_4_gib) {
    auto guest = attacker(split_features);
    ASSERT_NE(guest, nullptr);
    offer(*guest,
          {HostileGuest::slot_address(0), 0xffff'ffffU, descriptor_write, std::uint16_t{0}});
    expect_stopped(*guest);
    guest.reset();
    expect_nobody_else_is_harmed(1);
}

TEST_F(HostileRing, address_outside_of_memory) {
    auto guest = attacker(split_features);
    ASSERT_NE(guest, nullptr);
    offer(*guest, {0xdead'beef'0000ULL, 64U, std::uint16_t{0}, std::uint16_t{0}});
    expect_stopped(*guest);
    guest.reset();
    expect_nobody_else_is_harmed(1);
}

TEST_F(HostileRing, indirect_table_that_contains_itself) {
    auto guest = attacker(split_features);
    ASSERT_NE(guest, nullptr);
    const Descriptor itself = {
        HostileGuest::slot_address(0), 16U, descriptor_indirect, std::uint16_t{0}};
    guest->put(HostileGuest::slot_address(0), itself);
    offer(*guest, itself);
    expect_stopped(*guest);
    guest.reset();
    expect_nobody_else_is_harmed(1);
}

/// Random bytes over the ring and its tables, kick after kick, guest after guest.
void write_garbage(HostileGuest& guest, std::mt19937_64& random) {
    const auto& layout = guest.queue(HostileGuest::request).layout();
    const std::uint64_t start = layout.addresses.descriptors;
    for (int round = 0; round < 50; ++round) {
        for (std::uint64_t at = 0; at + 8 <= layout.size; at += 8) {
            const bool is_index = start + at == layout.addresses.driver;
            // An index that is in reach, so that descriptors are looked at.
            guest.put(start + at, is_index ? random() & 0x00ff'0000 : random());
        }
        guest.kick(HostileGuest::request);
    }
}

constexpr int garbage_guest_count = 20;

TEST_F(HostileRing, random_bytes_in_a_split_ring) {
    for (int seed = 0; seed < garbage_guest_count; ++seed) {
        std::mt19937_64 random(static_cast<std::uint64_t>(seed));
        const auto guest = attacker(split_features);
        ASSERT_NE(guest, nullptr) << "seed " << seed;
        write_garbage(*guest, random);
    }
    expect_nobody_else_is_harmed(garbage_guest_count);
}

TEST_F(HostileRing, random_bytes_in_a_packed_ring) {
    for (int seed = 0; seed < garbage_guest_count; ++seed) {
        std::mt19937_64 random(static_cast<std::uint64_t>(seed));
        const auto guest = attacker(packed_features);
        ASSERT_NE(guest, nullptr) << "seed " << seed;
        write_garbage(*guest, random);
    }
    expect_nobody_else_is_harmed(garbage_guest_count);
}

}  // namespace
}  // namespace dpfs::hostile
