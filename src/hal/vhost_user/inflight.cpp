// SPDX-License-Identifier: Apache-2.0
#include "hal/vhost_user/inflight.hpp"

#include "hal/vhost_user/inflight_packed.hpp"
#include "hal/vhost_user/inflight_split.hpp"
#include "hal/vhost_user/inflight_wire.hpp"
#include "virtio/wire.hpp"

#include <fcntl.h>
#include <sys/mman.h>

namespace dpfs::hal::vhost_user {
namespace {

/// Regions start at multiples of this, so that no two queues write to one cache line.
constexpr std::uint64_t region_alignment = 64;

std::uint64_t region_size(bool packed, std::uint16_t queue_size) noexcept {
    const std::uint64_t header =
        packed ? sizeof(wire::QueueRegionPacked) : sizeof(wire::QueueRegionSplit);
    const std::uint64_t entry =
        packed ? sizeof(wire::DescStatePacked) : sizeof(wire::DescStateSplit);
    const std::uint64_t size = header + entry * queue_size;
    return (size + region_alignment - 1) / region_alignment * region_alignment;
}

}  // namespace

InflightRegion InflightArea::region(std::uint16_t index) const noexcept {
    if (index >= queue_count) return {};
    const std::uint64_t size = region_size(packed, queue_size);
    return {
        .bytes = virtio::Mapping(bytes, bytes.get() + index * size),
        .size = size,
        .packed = packed,
        .queue_size = queue_size,
    };
}

std::uint64_t inflight_area_size(bool packed,
                                 std::uint16_t queue_count,
                                 std::uint16_t queue_size) noexcept {
    return queue_count * region_size(packed, queue_size);
}

Result<UniqueFd> make_inflight_area(std::uint64_t size) {
    UniqueFd fd(::memfd_create("dpfs-inflight", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!fd) return fail_errno();
    if (::ftruncate(fd.get(), static_cast<off_t>(size)) != 0) return fail_errno();
    // Nobody may shrink it under us.
    if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
        return fail_errno();
    }
    return fd;
}

Result<OpenedInflight> open_inflight(InflightRegion region,
                                     const virtio::RingConfig& config,
                                     const virtio::GuestMemory& memory) {
    const bool packed = (config.features & virtio::feature_ring_packed) != 0;
    // Ring sizes may be smaller than what the area was made for, never larger.
    if (region.packed != packed || config.size > region.queue_size) {
        return fail(Errno::protocol);
    }
    if (packed) return open_packed_inflight(std::move(region), config, memory);
    return open_split_inflight(std::move(region), config, memory);
}

}  // namespace dpfs::hal::vhost_user
