// SPDX-License-Identifier: Apache-2.0
// Goal: requests that lie, change, or never end cost their own device at most.
// Method: well-formed rings, hostile contents.
#include "base/log_quota.hpp"
#include "fuse/wire_file.hpp"
#include "fuse/wire_inode.hpp"
#include "hostile_fixture.hpp"

#include <fcntl.h>
#include <random>

namespace dpfs::hostile {
namespace {

constexpr std::uint64_t root = 1;

class HostileRequest : public HostileTest {};

TEST_F(HostileRequest, forgets_of_nodes_that_it_never_had) {
    auto guest = mounted(split_features);
    ASSERT_NE(guest, nullptr);
    std::mt19937_64 random(1);
    const auto forget = bytes_of(wire::ForgetIn{.nlookup = ~std::uint64_t{0}});
    const auto batch = bytes_of(wire::BatchForgetIn{.count = 0xffff'ffff, .dummy = 0},
                                wire::ForgetOne{.nodeid = root, .nlookup = ~std::uint64_t{0}});
    for (int round = 0; round < 200; ++round) {
        for (std::uint32_t slot = 0; slot + 1 < HostileGuest::slot_count; ++slot) {
            guest->post(
                HostileGuest::hiprio, slot, wire::Opcode::forget, random() >> slot, forget, 0);
        }
        guest->post(HostileGuest::hiprio,
                    HostileGuest::slot_count - 1,
                    wire::Opcode::batch_forget,
                    0,
                    batch,
                    0);
        guest->kick(HostileGuest::hiprio);
        ASSERT_TRUE(guest->collect(HostileGuest::hiprio, HostileGuest::slot_count));
    }
    const OpenFile file = open_file(*guest, O_RDONLY);
    EXPECT_NE(file.nodeid, 0U);
    guest.reset();
    expect_nobody_else_is_harmed(0);
}

/// Changes bytes of requests that the device is looking at, in another process.
void spoil(const HostileGuest& guest, std::mt19937_64& random) {
    for (int i = 0; i < 300; ++i) {
        volatile std::byte* const at = guest.slot(static_cast<std::uint32_t>(random() % 32));
        at[random() % 96] = static_cast<std::byte>(random());
    }
}

TEST_F(HostileRequest, buffers_that_change_between_check_and_use) {
    auto guest = mounted(split_features);
    ASSERT_NE(guest, nullptr);
    const OpenFile file = open_file(*guest, O_RDONLY);
    const auto read = read_arguments(file);
    const auto name = name_bytes("a-name-that-changes-while-it-is-read");
    std::mt19937_64 random(2);
    for (int round = 0; round < 500; ++round) {
        for (std::uint32_t slot = 0; slot < 32; slot += 2) {
            guest->post(HostileGuest::request,
                        slot,
                        wire::Opcode::lookup,
                        root,
                        name,
                        sizeof(wire::EntryOut));
            guest->post(HostileGuest::request,
                        slot + 1,
                        wire::Opcode::read,
                        file.nodeid,
                        read,
                        read_size);
        }
        guest->kick(HostileGuest::request);
        spoil(*guest, random);
        ASSERT_TRUE(guest->collect(HostileGuest::request, 32)) << "round " << round;
    }
    guest.reset();
    // A changed opcode may be an INIT with nonsense in it: LogQuota bounds what we say to that.
    expect_nobody_else_is_harmed(LogQuota::burst + 2);
}

std::vector<std::byte> lock_arguments(std::uint64_t handle, std::uint64_t owner) {
    return bytes_of(wire::LkIn{.fh = handle,
                               .owner = owner,
                               .lk = {.start = 0, .end = 100, .type = F_WRLCK, .pid = 1},
                               .lk_flags = 0,
                               .padding = 0});
}

TEST_F(HostileRequest, flood_of_waits_that_never_end) {
    auto guest = mounted(split_features);
    ASSERT_NE(guest, nullptr);
    const OpenFile file = open_file(*guest, O_RDWR);
    const auto held =
        guest->call(wire::Opcode::setlkw, file.nodeid, lock_arguments(file.handle, 1), 0);
    ASSERT_TRUE(held && held->error == 0);
    // More than the ring holds: those that do not fit are not even asked.
    for (std::uint32_t i = 0; i < 2 * HostileGuest::queue_size; ++i) {
        guest->post(HostileGuest::request,
                    i % HostileGuest::slot_count,
                    wire::Opcode::setlkw,
                    file.nodeid,
                    lock_arguments(file.handle, i + 2),
                    0);
    }
    guest->kick(HostileGuest::request);
    guest.reset();
    expect_nobody_else_is_harmed(0);
}

TEST_F(HostileRequest, flood_whose_replies_are_never_taken) {
    auto guest = mounted(split_features);
    ASSERT_NE(guest, nullptr);
    const auto& at = guest->queue(HostileGuest::request).layout().addresses;
    const auto index_at = at.driver + offsetof(virtio::AvailableHeader, idx);
    const virtio::Descriptor request = {HostileGuest::slot_address(0),
                                        std::uint32_t{sizeof(wire::InHeader)},
                                        virtio::descriptor_next,
                                        std::uint16_t{1}};
    const virtio::Descriptor reply = {
        HostileGuest::slot_address(1), 4096U, virtio::descriptor_write, std::uint16_t{0}};
    guest->put(at.descriptors, request);
    guest->put(at.descriptors + sizeof(request), reply);
    for (std::uint32_t i = 0; i < HostileGuest::queue_size; ++i) {
        guest->put(at.driver + sizeof(virtio::AvailableHeader) + 2UL * i, le<std::uint16_t>(0));
    }
    // The index runs on, whatever has been answered.
    for (std::uint32_t index = 0; index < 200'000; index += 64) {
        guest->put(index_at, le<std::uint16_t>(static_cast<std::uint16_t>(index)));
        guest->kick(HostileGuest::request);
    }
    guest.reset();
    expect_nobody_else_is_harmed(1);
}

}  // namespace
}  // namespace dpfs::hostile
