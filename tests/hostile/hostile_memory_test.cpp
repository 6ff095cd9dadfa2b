// SPDX-License-Identifier: Apache-2.0
// Goal: memory that goes while the device works in it harms nobody else.
// Method: READs are in flight, into memory that the front end takes away, or that loses its
// file, or whose owner dies.
#include "hostile_fixture.hpp"

#include <fcntl.h>
#include <unistd.h>

namespace dpfs::hostile {
namespace {

constexpr int guest_count = 20;
constexpr std::uint32_t reads_in_flight = 32;

class HostileMemory : public HostileTest {
  protected:
    static void post_reads(HostileGuest& guest, const OpenFile& file) {
        const std::vector<std::byte> arguments = read_arguments(file);
        for (std::uint32_t slot = 0; slot < reads_in_flight; ++slot) {
            guest.post(HostileGuest::request,
                       slot,
                       wire::Opcode::read,
                       file.nodeid,
                       arguments,
                       read_size);
        }
    }
};

TEST_F(HostileMemory, region_is_removed_while_requests_use_it) {
    for (int i = 0; i < guest_count; ++i) {
        const auto guest = mounted(split_features);
        ASSERT_NE(guest, nullptr);
        const OpenFile file = open_file(*guest, O_RDONLY);
        post_reads(*guest, file);
        guest->kick(HostileGuest::request);
        (void)guest->front_end().remove_memory_region(guest->memory().region());
    }
    expect_nobody_else_is_harmed(guest_count);
}

TEST_F(HostileMemory, table_is_replaced_while_requests_use_it) {
    for (int i = 0; i < guest_count; ++i) {
        const auto guest = mounted(split_features);
        ASSERT_NE(guest, nullptr);
        const OpenFile file = open_file(*guest, O_RDONLY);
        auto other = SharedMemory::make(std::uint64_t{1} << 40, 1 << 20);
        ASSERT_TRUE(other);
        post_reads(*guest, file);
        guest->kick(HostileGuest::request);
        const auto region = other->region();
        const int fd = other->fd();
        (void)guest->front_end().set_memory_table({&region, 1}, {&fd, 1});
    }
    expect_nobody_else_is_harmed(guest_count);
}

TEST_F(HostileMemory, file_behind_it_is_cut_to_nothing) {
    for (int i = 0; i < guest_count; ++i) {
        const auto guest = mounted(split_features);
        ASSERT_NE(guest, nullptr);
        const OpenFile file = open_file(*guest, O_RDONLY);
        post_reads(*guest, file);
        // From here on we must not touch it either.
        ASSERT_EQ(::ftruncate(guest->memory().fd(), 0), 0);
        guest->kick(HostileGuest::request);
    }
    expect_nobody_else_is_harmed(guest_count);
}

TEST_F(HostileMemory, guest_dies_with_requests_in_flight) {
    for (int i = 0; i < guest_count; ++i) {
        const auto guest = mounted(packed_features);
        ASSERT_NE(guest, nullptr);
        const OpenFile file = open_file(*guest, O_RDONLY);
        post_reads(*guest, file);
        guest->kick(HostileGuest::request);
    }
    expect_nobody_else_is_harmed(0);
}

}  // namespace
}  // namespace dpfs::hostile
