// SPDX-License-Identifier: Apache-2.0
#include "hostile_messages.hpp"

#include "base/assert.hpp"
#include "hal/vhost_user/user_driver.hpp"
#include "virtio/wire.hpp"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

namespace dpfs::hal::test {

using vhost_user::SharedMemory;
namespace wire = vhost_user::wire;
using wire::MessageId;

MessageBytes operator+(MessageBytes a, const MessageBytes& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

MessageBytes message(std::uint32_t request, const MessageBytes& payload, std::uint32_t flags) {
    return bytes_of(wire::Header{.request = request,
                                 .flags = flags,
                                 .size = static_cast<std::uint32_t>(payload.size())}) +
           payload;
}

wire::MemoryRegion region(std::uint64_t guest, std::uint64_t size, std::uint64_t offset) {
    return {.guest_address = guest,
            .size = size,
            .user_address = guest + SharedMemory::user_offset,
            .mmap_offset = offset};
}

wire::VringState state(std::uint32_t index, std::uint32_t number) {
    return {.index = index, .num = number};
}

MessageBytes number(std::uint64_t value) {
    return bytes_of(wire::Number{.value = value});
}

MessageBytes table(std::uint32_t count, const MessageBytes& regions) {
    return bytes_of(wire::MemoryTableHeader{.num_regions = count, .padding = 0U}) + regions;
}

MessageBytes single(const wire::MemoryRegion& one) {
    return bytes_of(wire::SingleMemoryRegion{.padding = 0U, .region = one});
}

UniqueFd make_fd(Fd kind) {
    switch (kind) {
        case Fd::event:
            return UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        case Fd::memory: {
            UniqueFd fd(::memfd_create("dpfs-hostile", MFD_CLOEXEC));
            DPFS_ASSERT(::ftruncate(fd.get(), 1 << 20) == 0);
            return fd;
        }
        case Fd::sealed_empty:
            return UniqueFd(::memfd_create("dpfs-hostile", MFD_CLOEXEC));
        case Fd::pipe: {
            int ends[2];
            DPFS_ASSERT(::pipe2(ends, O_CLOEXEC) == 0);
            ::close(ends[0]);
            return UniqueFd(ends[1]);
        }
    }
    return {};
}

namespace {

/// Of every message: its header, its size, its descriptors.
std::vector<Malformed> malformed_forms() {
    using enum MessageId;
    const MessageBytes nothing;
    return {
        {"version_0", {{message(1, nothing, 0)}}},
        {"version_2", {{message(1, nothing, 2)}}},
        {"payload_over_limit", {{message(2, MessageBytes(269))}}},
        {"payload_of_4_gib", {{bytes_of(wire::Header{1U, 1U, 0xFFFF'FFFFU})}}},
        {"request_0", {{message(0, nothing)}}},
        {"unknown_request", {{message(99, nothing)}}},
        {"features_too_short", {{message(set_features, MessageBytes(4))}}},
        {"features_too_long", {{message(set_features, MessageBytes(16))}}},
        {"features_not_offered", {{message(set_features, number(1ULL << 33))}}},
        {"protocol_features_not_offered",
         {{message(set_protocol_features, number(1ULL << 63))}}},
        {"number_with_fd", {{message(set_features, number(0)), {Fd::event}}}},
        {"nine_fds",
         {{message(set_mem_table, table(8, MessageBytes(8UZ * 32))),
           std::vector<Fd>(9, Fd::memory)}}},
        {"sixty_fds", {{message(set_owner, nothing), std::vector<Fd>(60, Fd::event)}}},
    };
}

/// Of one ring.
std::vector<Malformed> malformed_rings() {
    using enum MessageId;
    return {
        {"num_of_queue_2", {{message(set_vring_num, bytes_of(state(2, 64)))}}},
        {"num_of_queue_4294967295",
         {{message(set_vring_num, bytes_of(state(0xFFFF'FFFF, 64)))}}},
        {"num_0", {{message(set_vring_num, bytes_of(state(1, 0)))}}},
        {"num_not_a_power_of_two", {{message(set_vring_num, bytes_of(state(1, 100)))}}},
        {"num_over_limit", {{message(set_vring_num, bytes_of(state(1, 2048)))}}},
        {"base_of_queue_99", {{message(set_vring_base, bytes_of(state(99, 0)))}}},
        {"get_base_of_queue_99", {{message(get_vring_base, bytes_of(state(99, 0)))}}},
        {"enable_2", {{message(set_vring_enable, bytes_of(state(1, 2)))}}},
        {"enable_of_queue_77", {{message(set_vring_enable, bytes_of(state(77, 1)))}}},
        {"address_flags",
         {{message(set_vring_addr, bytes_of(wire::VringAddress{1U, 2U, 0U, 0U, 0U, 0U}))}}},
        {"kick_without_fd", {{message(set_vring_kick, number(1))}}},
        {"kick_with_surplus_fd", {{message(set_vring_kick, number(0x101)), {Fd::event}}}},
        {"kick_with_two_fds", {{message(set_vring_kick, number(1)), {Fd::event, Fd::event}}}},
        {"kick_is_a_file", {{message(set_vring_kick, number(1)), {Fd::memory}}}},
        {"kick_is_a_pipe", {{message(set_vring_kick, number(1)), {Fd::pipe}}}},
        {"call_is_a_pipe", {{message(set_vring_call, number(1)), {Fd::pipe}}}},
        {"kick_of_queue_9", {{message(set_vring_kick, number(9)), {Fd::event}}}},
        {"kick_with_unknown_bits", {{message(set_vring_kick, number(0x201)), {Fd::event}}}},
        {"ring_outside_of_memory",
         {{message(set_vring_num, bytes_of(state(1, 64)))},
          {message(set_vring_addr,
                   bytes_of(wire::VringAddress{1U, 0U, 0x1000U, 0x2000U, 0x3000U, 0U}))},
          {message(set_vring_kick, number(1)), {Fd::event}}}},
        {"ring_addresses_that_wrap_around",
         {{message(set_vring_num, bytes_of(state(1, 64)))},
          {message(set_vring_addr,
                   bytes_of(wire::VringAddress{1U, 0U, ~0xFULL, ~0xFULL, ~0xFULL, 0U}))},
          {message(set_vring_kick, number(1)), {Fd::event}}}},
        {"base_too_far_ahead",
         {{message(set_vring_num, bytes_of(state(1, 64)))},
          {message(set_vring_base, bytes_of(state(1, 1000)))},
          {message(set_vring_addr,
                   bytes_of(wire::VringAddress{1U,
                                               0U,
                                               SharedMemory::user_offset + 0x10000,
                                               SharedMemory::user_offset + 0x20000,
                                               SharedMemory::user_offset + 0x30000,
                                               0U}))},
          {message(set_vring_kick, number(1)), {Fd::event}}}},
    };
}

/// Of the memory table.
std::vector<Malformed> malformed_memory() {
    using enum MessageId;
    const auto ok = region(1ULL << 32, 4096);
    const MessageBytes nothing;
    return {
        {"table_of_9_regions", {{message(set_mem_table, table(9, nothing))}}},
        {"table_of_4294967295_regions",
         {{message(set_mem_table, table(0xFFFF'FFFF, nothing))}}},
        {"table_too_short", {{message(set_mem_table, table(2, bytes_of(ok))), {Fd::memory}}}},
        {"table_without_fds", {{message(set_mem_table, table(1, bytes_of(ok)))}}},
        {"region_of_no_size",
         {{message(set_mem_table, table(1, bytes_of(region(1ULL << 32, 0)))), {Fd::memory}}}},
        {"region_beyond_its_file",
         {{message(add_mem_reg, single(region(1ULL << 32, 2 << 20))), {Fd::memory}}}},
        {"region_offset_beyond_its_file",
         {{message(add_mem_reg, single(region(1ULL << 32, 4096, 1 << 20))), {Fd::memory}}}},
        {"region_of_an_empty_file", {{message(add_mem_reg, single(ok)), {Fd::sealed_empty}}}},
        {"region_of_an_eventfd", {{message(add_mem_reg, single(ok)), {Fd::event}}}},
        {"region_that_wraps_around",
         {{message(add_mem_reg, single(region(~0ULL - 100, 4096))), {Fd::memory}}}},
        {"region_offset_that_wraps_around",
         {{message(add_mem_reg, single(region(1ULL << 32, 4096, ~0ULL - 100))), {Fd::memory}}}},
        {"region_that_overlaps",
         {{message(add_mem_reg, single(region(0x11000, 4096))), {Fd::memory}}}},
        {"region_without_fd", {{message(add_mem_reg, single(ok))}}},
        {"region_that_is_not_there", {{message(rem_mem_reg, single(ok))}}},
    };
}

/// Of what else is shared, and of the configuration space.
std::vector<Malformed> malformed_areas() {
    using enum MessageId;
    return {
        {"log_without_fd", {{message(set_log_base, bytes_of(wire::Log{4096U, 0U}))}}},
        {"log_of_no_size",
         {{message(set_log_base, bytes_of(wire::Log{0U, 0U})), {Fd::memory}}}},
        {"log_too_small",
         {{message(set_log_base, bytes_of(wire::Log{16U, 0U})), {Fd::memory}}}},
        {"log_beyond_its_file",
         {{message(set_log_base, bytes_of(wire::Log{2U << 20, 0U})), {Fd::memory}}}},
        {"inflight_of_65535_queues",
         {{message(get_inflight_fd, bytes_of(wire::Inflight{0U, 0U, 65535, 64, 0U}))}}},
        {"inflight_of_no_entries",
         {{message(get_inflight_fd, bytes_of(wire::Inflight{0U, 0U, 1, 0, 0U}))}}},
        {"inflight_area_too_small",
         {{message(set_inflight_fd, bytes_of(wire::Inflight{64U, 0U, 2, 64, 0U})),
           {Fd::memory}}}},
        {"inflight_area_beyond_its_file",
         {{message(set_inflight_fd, bytes_of(wire::Inflight{2U << 20, 0U, 2, 64, 0U})),
           {Fd::memory}}}},
        {"config_of_4_gib",
         {{message(get_config, bytes_of(wire::ConfigHeader{0U, 0xFFFF'FFFFU, 0U}))}}},
        {"config_at_4_gib",
         {{message(get_config, bytes_of(wire::ConfigHeader{0xFFFF'FFFFU, 4U, 0U}))}}},
    };
}

}  // namespace

std::vector<Malformed> malformed_messages() {
    std::vector<Malformed> all;
    for (const auto& some :
         {malformed_forms(), malformed_rings(), malformed_memory(), malformed_areas()}) {
        all.insert(all.end(), some.begin(), some.end());
    }
    return all;
}

std::vector<Step> handshake() {
    using enum MessageId;
    constexpr std::uint64_t user = SharedMemory::user_offset;
    constexpr std::uint64_t features =
        virtio::feature_version_1 | virtio::feature_indirect_desc | virtio::feature_event_idx |
        wire::feature_protocol_features;
    return {
        {message(get_features, {})},
        {message(get_protocol_features, {})},
        {message(set_protocol_features, number(wire::protocol_mq))},
        {message(set_owner, {})},
        {message(set_features, number(features))},
        {message(set_mem_table, table(1, bytes_of(region(0, 1 << 20)))), {Fd::memory}},
        {message(set_vring_num, bytes_of(state(1, 64)))},
        {message(set_vring_base, bytes_of(state(1, 0)))},
        {message(set_vring_addr,
                 bytes_of(wire::VringAddress{
                     1U, 0U, user + 0x1000, user + 0x3000, user + 0x2000, 0U}))},
        {message(set_vring_call, number(1)), {Fd::event}},
        {message(set_vring_err, number(1)), {Fd::event}},
        {message(set_vring_kick, number(1)), {Fd::event}},
        {message(set_vring_enable, bytes_of(state(1, 1)))},
    };
}

}  // namespace dpfs::hal::test
