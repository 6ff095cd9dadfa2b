// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/endian.hpp"
#include "base/wire_struct.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

/// Layout of the area that notes requests in flight: vhost-user.rst, "Inflight I/O tracking".
namespace dpfs::hal::vhost_user::wire {

constexpr std::uint16_t inflight_version = 1;

/// struct DescStateSplit.
struct DescStateSplit {
    std::uint8_t inflight;
    std::array<std::uint8_t, 5> padding;
    le<std::uint16_t> next;
    le<std::uint64_t> counter;
};
static_assert(wire_struct<DescStateSplit> && sizeof(DescStateSplit) == 16);
static_assert(offsetof(DescStateSplit, counter) == 8);

/// struct QueueRegionSplit; `desc_num` entries follow.
struct QueueRegionSplit {
    le<std::uint64_t> features;
    le<std::uint16_t> version;
    le<std::uint16_t> desc_num;
    le<std::uint16_t> last_batch_head;
    le<std::uint16_t> used_idx;
};
static_assert(wire_struct<QueueRegionSplit> && sizeof(QueueRegionSplit) == 16);
static_assert(offsetof(QueueRegionSplit, used_idx) == 14);

/// struct DescStatePacked.
struct DescStatePacked {
    std::uint8_t inflight;
    std::uint8_t padding;
    le<std::uint16_t> next;
    le<std::uint16_t> last;
    le<std::uint16_t> num;
    le<std::uint64_t> counter;
    le<std::uint16_t> id;
    le<std::uint16_t> flags;
    le<std::uint32_t> len;
    le<std::uint64_t> addr;
};
static_assert(wire_struct<DescStatePacked> && sizeof(DescStatePacked) == 32);
static_assert(offsetof(DescStatePacked, addr) == 24);

/// Four fields of struct QueueRegionPacked that belong together: as one they are written at
/// once, so that nobody ever finds an index with the wrap counter of another.
struct alignas(8) UsedPositions {
    le<std::uint16_t> used_idx;
    le<std::uint16_t> old_used_idx;
    std::uint8_t used_wrap_counter;
    std::uint8_t old_used_wrap_counter;
    std::array<std::uint8_t, 2> padding;  // the first two bytes of the struct's own
};
static_assert(wire_struct<UsedPositions> && sizeof(UsedPositions) == 8);

/// struct QueueRegionPacked; `desc_num` entries follow.
struct QueueRegionPacked {
    le<std::uint64_t> features;
    le<std::uint16_t> version;
    le<std::uint16_t> desc_num;
    le<std::uint16_t> free_head;
    le<std::uint16_t> old_free_head;
    UsedPositions used;
    std::array<std::uint8_t, 5> padding;    // its other five
    std::array<std::uint8_t, 3> alignment;  // what a C compiler adds before the entries
};
static_assert(wire_struct<QueueRegionPacked> && sizeof(QueueRegionPacked) == 32);
static_assert(offsetof(QueueRegionPacked, used) == 16);

}  // namespace dpfs::hal::vhost_user::wire
