// SPDX-License-Identifier: Apache-2.0
#include "virtio/driver_ring.hpp"

#include "virtio/packed_driver.hpp"
#include "virtio/split_driver.hpp"
#include "virtio/wire.hpp"

#include <algorithm>

namespace dpfs::virtio {
namespace {

// Parts that different sides write lie in different cache lines.
constexpr std::uint64_t cache_line = 64;

std::uint64_t round_up(std::uint64_t value, std::uint64_t unit) {
    return (value + unit - 1) / unit * unit;
}

}  // namespace

DriverLayout DriverLayout::at(std::uint64_t base,
                              std::uint32_t queue_size,
                              std::uint64_t features,
                              std::uint32_t table_count) noexcept {
    const bool packed = (features & feature_ring_packed) != 0;
    const bool indirect = (features & feature_indirect_desc) != 0;
    const std::uint64_t driver_size =
        packed ? sizeof(EventSuppression) : sizeof(AvailableHeader) + 2ULL * (queue_size + 1);
    const std::uint64_t device_size =
        packed ? sizeof(EventSuppression)
               : sizeof(UsedHeader) + std::uint64_t{queue_size} * sizeof(UsedElement) + 2;

    DriverLayout layout;
    layout.table_count = indirect ? table_count : 0;
    layout.addresses.descriptors = base;
    layout.addresses.driver =
        round_up(base + std::uint64_t{queue_size} * sizeof(Descriptor), cache_line);
    layout.addresses.device = round_up(layout.addresses.driver + driver_size, cache_line);
    layout.tables = round_up(layout.addresses.device + device_size, cache_line);
    layout.size = layout.tables - base +
                  std::uint64_t{queue_size} * layout.table_count * sizeof(Descriptor);
    return layout;
}

Result<std::unique_ptr<DriverRing>> make_driver_ring(const GuestMemory& memory,
                                                     const DriverConfig& config) {
    // What a device would refuse, a driver must not set up.
    const RingConfig device{
        .size = config.size, .features = config.features, .addresses = config.layout.addresses};
    if (const auto ring = make_virtqueue(memory, device); !ring) return fail(ring.error());
    const auto area = memory.ring_part(AddressSpace::guest,
                                       config.layout.addresses.descriptors,
                                       config.layout.size,
                                       descriptor_alignment);
    if (!area) return fail(area.error());
    std::fill_n(area->bytes.get(), config.layout.size, std::byte{0});

    if ((config.features & feature_ring_packed) != 0) {
        return std::make_unique<PackedDriver>(*area, config);
    }
    return std::make_unique<SplitDriver>(*area, config);
}

}  // namespace dpfs::virtio
