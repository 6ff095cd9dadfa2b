// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/endian.hpp"
#include "base/wire_struct.hpp"

#include <cstddef>
#include <cstdint>

/// What driver and device share in memory: virtio 1.2, sections 2.7 (split) and 2.8 (packed);
/// the same layouts are in the kernel's include/uapi/linux/virtio_ring.h. Field names are
/// theirs.
namespace dpfs::virtio {

// Reserved feature bits (6) that change how a ring is read; as masks.
constexpr std::uint64_t feature_indirect_desc = 1ULL << 28;
constexpr std::uint64_t feature_event_idx = 1ULL << 29;
constexpr std::uint64_t feature_version_1 = 1ULL << 32;
constexpr std::uint64_t feature_access_platform = 1ULL << 33;
constexpr std::uint64_t feature_ring_packed = 1ULL << 34;
constexpr std::uint64_t feature_in_order = 1ULL << 35;
constexpr std::uint64_t feature_order_platform = 1ULL << 36;
constexpr std::uint64_t feature_notification_data = 1ULL << 38;
constexpr std::uint64_t feature_ring_reset = 1ULL << 40;

/// Both formats (2.7, 2.8); a split ring's size is a power of two besides.
constexpr std::uint32_t queue_size_max = 32768;

// Descriptor flags: 2.7.5 and 2.8.1 to 2.8.7.
constexpr std::uint16_t descriptor_next = 1U << 0;
constexpr std::uint16_t descriptor_write = 1U << 1;
constexpr std::uint16_t descriptor_indirect = 1U << 2;
constexpr std::uint16_t descriptor_available = 1U << 7;  // packed
constexpr std::uint16_t descriptor_used = 1U << 15;      // packed

/// 2.7.5, struct virtq_desc.
struct Descriptor {
    le<std::uint64_t> addr;
    le<std::uint32_t> len;
    le<std::uint16_t> flags;
    le<std::uint16_t> next;
};
static_assert(wire_struct<Descriptor> && sizeof(Descriptor) == 16);
static_assert(offsetof(Descriptor, next) == 14);

/// 2.8.13, struct pvirtq_desc.
struct PackedDescriptor {
    le<std::uint64_t> addr;
    le<std::uint32_t> len;
    le<std::uint16_t> id;
    le<std::uint16_t> flags;
};
static_assert(wire_struct<PackedDescriptor> && sizeof(PackedDescriptor) == 16);
static_assert(offsetof(PackedDescriptor, flags) == 14);

/// 2.7.6, the start of struct virtq_avail: `size` entries le<u16> follow, then used_event.
struct AvailableHeader {
    le<std::uint16_t> flags;
    le<std::uint16_t> idx;
};
static_assert(wire_struct<AvailableHeader> && sizeof(AvailableHeader) == 4);

constexpr std::uint16_t available_no_interrupt = 1;

/// 2.7.8, the start of struct virtq_used: `size` entries UsedElement follow, then avail_event.
struct UsedHeader {
    le<std::uint16_t> flags;
    le<std::uint16_t> idx;
};
static_assert(wire_struct<UsedHeader> && sizeof(UsedHeader) == 4);

constexpr std::uint16_t used_no_notify = 1;

/// 2.7.8, struct virtq_used_elem.
struct UsedElement {
    le<std::uint32_t> id;
    le<std::uint32_t> len;
};
static_assert(wire_struct<UsedElement> && sizeof(UsedElement) == 8);

/// 2.8.14, struct pvirtq_event_suppress: what one side wants to be notified of.
struct EventSuppression {
    le<std::uint16_t> desc;   // bits 0 to 14: offset; bit 15: wrap counter
    le<std::uint16_t> flags;  // bits 0 and 1
};
static_assert(wire_struct<EventSuppression> && sizeof(EventSuppression) == 4);

constexpr std::uint16_t event_enable = 0;
constexpr std::uint16_t event_disable = 1;
constexpr std::uint16_t event_descriptor = 2;
constexpr std::uint16_t event_flags_mask = 3;
constexpr std::uint16_t event_wrap = 1U << 15;

// Alignment in bytes of the parts of a ring: 2.7 and 2.8.10.1.
constexpr std::size_t descriptor_alignment = 16;
constexpr std::size_t available_alignment = 2;
constexpr std::size_t used_alignment = 4;
constexpr std::size_t event_alignment = 4;

}  // namespace dpfs::virtio
