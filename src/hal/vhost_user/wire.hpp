// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/endian.hpp"
#include "base/wire_struct.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

/// What front end and back end say on their socket: QEMU docs/interop/vhost-user.rst, "Message
/// Specification". Numbers are in the machine's byte order there; every machine that DPFS runs
/// on is little-endian.
namespace dpfs::hal::vhost_user::wire {

/// "Front-end message types".
enum class MessageId : std::uint32_t {
    get_features = 1,
    set_features = 2,
    set_owner = 3,
    reset_owner = 4,
    set_mem_table = 5,
    set_log_base = 6,
    set_log_fd = 7,
    set_vring_num = 8,
    set_vring_addr = 9,
    set_vring_base = 10,
    get_vring_base = 11,
    set_vring_kick = 12,
    set_vring_call = 13,
    set_vring_err = 14,
    get_protocol_features = 15,
    set_protocol_features = 16,
    get_queue_num = 17,
    set_vring_enable = 18,
    get_config = 24,
    set_config = 25,
    get_inflight_fd = 31,
    set_inflight_fd = 32,
    reset_device = 34,
    get_max_mem_slots = 36,
    add_mem_reg = 37,
    rem_mem_reg = 38,
    set_status = 39,
    get_status = 40,
};

/// Feature bits that are the transport's, as masks.
constexpr std::uint64_t feature_log_all = 1ULL << 26;            // VHOST_F_LOG_ALL
constexpr std::uint64_t feature_protocol_features = 1ULL << 30;  // VHOST_USER_F_…

/// "Protocol features", as masks.
constexpr std::uint64_t protocol_mq = 1ULL << 0;
constexpr std::uint64_t protocol_log_shmfd = 1ULL << 1;
constexpr std::uint64_t protocol_reply_ack = 1ULL << 3;
constexpr std::uint64_t protocol_config = 1ULL << 9;
constexpr std::uint64_t protocol_inflight_shmfd = 1ULL << 12;
constexpr std::uint64_t protocol_reset_device = 1ULL << 13;
constexpr std::uint64_t protocol_configure_mem_slots = 1ULL << 15;
constexpr std::uint64_t protocol_status = 1ULL << 16;

/// "Header". All fields are followed by `size` bytes of payload.
struct Header {
    le<std::uint32_t> request;
    le<std::uint32_t> flags;
    le<std::uint32_t> size;
};
static_assert(wire_struct<Header> && sizeof(Header) == 12);

constexpr std::uint32_t flag_version_mask = 3;
constexpr std::uint32_t flag_version = 1;
constexpr std::uint32_t flag_reply = 1U << 2;
constexpr std::uint32_t flag_need_reply = 1U << 3;

/// "A single 64-bit integer".
struct Number {
    le<std::uint64_t> value;
};
static_assert(wire_struct<Number> && sizeof(Number) == 8);

/// In the number of SET_VRING_KICK, _CALL and _ERR: the index, and "no descriptor comes along".
constexpr std::uint64_t vring_index_mask = 0xff;
constexpr std::uint64_t vring_no_fd = 1U << 8;

/// "A vring state description", and "A vring descriptor index".
struct VringState {
    le<std::uint32_t> index;
    le<std::uint32_t> num;
};
static_assert(wire_struct<VringState> && sizeof(VringState) == 8);

/// "A vring address description".
struct VringAddress {
    le<std::uint32_t> index;
    le<std::uint32_t> flags;
    le<std::uint64_t> descriptor;
    le<std::uint64_t> used;
    le<std::uint64_t> available;
    le<std::uint64_t> log;
};
static_assert(wire_struct<VringAddress> && sizeof(VringAddress) == 40);
static_assert(offsetof(VringAddress, log) == 32);

constexpr std::uint32_t vring_flag_log = 1U << 0;  // VHOST_VRING_F_LOG is the bit's number

/// "Memory region description".
struct MemoryRegion {
    le<std::uint64_t> guest_address;
    le<std::uint64_t> size;
    le<std::uint64_t> user_address;
    le<std::uint64_t> mmap_offset;
};
static_assert(wire_struct<MemoryRegion> && sizeof(MemoryRegion) == 32);

/// "Single memory region description".
struct SingleMemoryRegion {
    le<std::uint64_t> padding;
    MemoryRegion region;
};
static_assert(wire_struct<SingleMemoryRegion> && sizeof(SingleMemoryRegion) == 40);

/// "Multiple Memory regions description": `num_regions` regions follow.
struct MemoryTableHeader {
    le<std::uint32_t> num_regions;
    le<std::uint32_t> padding;
};
static_assert(wire_struct<MemoryTableHeader> && sizeof(MemoryTableHeader) == 8);

constexpr std::size_t memory_table_regions_max = 8;

/// "Log description".
struct Log {
    le<std::uint64_t> size;
    le<std::uint64_t> offset;
};
static_assert(wire_struct<Log> && sizeof(Log) == 16);

/// "Virtio device config space": `size` bytes follow.
struct ConfigHeader {
    le<std::uint32_t> offset;
    le<std::uint32_t> size;
    le<std::uint32_t> flags;
};
static_assert(wire_struct<ConfigHeader> && sizeof(ConfigHeader) == 12);

constexpr std::size_t config_size_max = 256;

/// "Inflight description". Some front ends send the C structure's padding, some do not.
struct Inflight {
    le<std::uint64_t> mmap_size;
    le<std::uint64_t> mmap_offset;
    le<std::uint16_t> num_queues;
    le<std::uint16_t> queue_size;
    le<std::uint32_t> padding;
};
static_assert(wire_struct<Inflight> && sizeof(Inflight) == 24);
constexpr std::size_t inflight_size_min = offsetof(Inflight, padding);
static_assert(inflight_size_min == 20);

/// virtio 1.2, 5.11.4: struct virtio_fs_config.
struct FsConfig {
    std::array<char, 36> tag;  // padded with NUL, without one where it is that long
    le<std::uint32_t> num_request_queues;
};
static_assert(wire_struct<FsConfig> && sizeof(FsConfig) == 40);

/// virtio 1.2, 2.1: bits of the device status.
constexpr std::uint8_t status_driver_ok = 4;
constexpr std::uint8_t status_needs_reset = 64;

/// The longest payload that any message has, and the most descriptors.
constexpr std::size_t payload_size_max = sizeof(ConfigHeader) + config_size_max;
constexpr std::size_t fd_count_max = memory_table_regions_max;
static_assert(payload_size_max >=
              sizeof(MemoryTableHeader) + memory_table_regions_max * sizeof(MemoryRegion));

}  // namespace dpfs::hal::vhost_user::wire
