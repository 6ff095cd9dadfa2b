// SPDX-License-Identifier: Apache-2.0
#include "virtio/packed_driver.hpp"

#include "virtio/shared_access.hpp"

#include <numeric>
#include <utility>

namespace dpfs::virtio {
namespace {

/// Segment `index` of the whole chain as a descriptor; id and the wrap counter's flags are not
/// in it yet.
PackedDescriptor to_descriptor(const ChainRequest& request, std::uint32_t index) {
    const std::size_t readable_count = request.readable.size();
    const bool writable = index >= readable_count;
    const Segment& segment =
        writable ? request.writable[index - readable_count] : request.readable[index];
    return {.addr = segment.address,
            .len = segment.size,
            .id = std::uint16_t{0},
            .flags = writable ? descriptor_write : std::uint16_t{0}};
}

}  // namespace

PackedDriver::PackedDriver(RingPart area, const DriverConfig& config)
    : area_(std::move(area)),
      layout_(config.layout),
      size_(config.size),
      event_idx_((config.features & feature_event_idx) != 0),
      descriptors_(shared_array<PackedDescriptor>(at(layout_.addresses.descriptors))),
      driver_event_(shared_array<EventSuppression>(at(layout_.addresses.driver))),
      device_event_(shared_array<EventSuppression>(at(layout_.addresses.device))),
      free_ids_(size_),
      slot_counts_(size_),
      free_count_(size_) {
    std::iota(free_ids_.rbegin(), free_ids_.rend(), std::uint16_t{0});
}

std::byte* PackedDriver::at(std::uint64_t address) const noexcept {
    return area_.bytes.get() + (address - area_.guest_address);
}

Result<std::uint16_t> PackedDriver::add(const ChainRequest& request) {
    const auto count =
        static_cast<std::uint32_t>(request.readable.size() + request.writable.size());
    const std::uint32_t slots = request.indirect ? 1 : count;
    if (count == 0 || slots > size_) return fail(Errno::invalid);
    if (request.indirect && (request.direct_count > 0 || count > layout_.table_count)) {
        return fail(Errno::invalid);
    }
    if (slots > free_count_) return fail(Errno::again);

    const std::uint16_t id = free_ids_.back();
    free_ids_.pop_back();
    slot_counts_[id] = static_cast<std::uint16_t>(slots);
    free_count_ -= slots;
    if (request.indirect) {
        const std::uint64_t table = write_table(id, request);
        put({.addr = table,
             .len = static_cast<std::uint32_t>(count * sizeof(PackedDescriptor)),
             .id = id,
             .flags = descriptor_indirect});
        return id;
    }
    for (std::uint32_t i = 0; i < count; ++i) {
        PackedDescriptor descriptor = to_descriptor(request, i);
        descriptor.id = id;
        if (i + 1 < count) {
            descriptor.flags = static_cast<std::uint16_t>(descriptor.flags | descriptor_next);
        }
        put(descriptor);
    }
    return id;
}

std::uint64_t PackedDriver::write_table(std::uint16_t id, const ChainRequest& request) {
    const std::uint64_t address =
        layout_.tables + std::uint64_t{id} * layout_.table_count * sizeof(PackedDescriptor);
    auto* const table = shared_array<PackedDescriptor>(at(address));
    const std::size_t count = request.readable.size() + request.writable.size();
    for (std::uint32_t i = 0; i < count; ++i) table[i] = to_descriptor(request, i);
    return address;
}

/// Writes the next slot of the ring, but the flags of a batch's first slot not before
/// publish().
void PackedDriver::put(PackedDescriptor descriptor) noexcept {
    const std::uint16_t mark = next_available_.wrap ? descriptor_available : descriptor_used;
    const auto flags = static_cast<std::uint16_t>(descriptor.flags | mark);
    PackedDescriptor& slot = descriptors_[next_available_.slot];
    // Flags alone are looked at before they are published: the rest is plain memory until then.
    slot.addr = descriptor.addr;
    slot.len = descriptor.len;
    slot.id = descriptor.id;
    if (staged_slots_ == 0) {
        first_staged_flags_ = flags;
    } else {
        store_relaxed(slot.flags, flags);
    }
    ++staged_slots_;
    next_available_.advance(1, size_);
}

void PackedDriver::publish() {
    if (staged_slots_ == 0) return;
    store_release(descriptors_[published_.slot].flags, first_staged_flags_);
    published_ = next_available_;
    unasked_slots_ += std::exchange(staged_slots_, 0);
}

bool PackedDriver::needs_kick() {
    const std::uint32_t count = std::exchange(unasked_slots_, 0);
    if (count == 0) return false;
    full_barrier();  // 2.8.21.3.1
    const auto flags =
        static_cast<std::uint16_t>(load_acquire(device_event_->flags) & event_flags_mask);
    if (flags == event_disable) return false;
    if (flags != event_descriptor || !event_idx_) return true;
    const std::uint16_t event = load_relaxed(device_event_->desc);
    const PackedPosition position{static_cast<std::uint32_t>(event & ~event_wrap),
                                  (event & event_wrap) != 0};
    return passed_event(position, published_, count, size_);
}

bool PackedDriver::next_is_used() const noexcept {
    const std::uint16_t flags = load_acquire(descriptors_[next_used_.slot].flags);
    const bool available = (flags & descriptor_available) != 0;
    const bool used = (flags & descriptor_used) != 0;
    return available == next_used_.wrap && used == next_used_.wrap;
}

Result<std::optional<UsedChain>> PackedDriver::poll() {
    if (!next_is_used()) return std::nullopt;
    PackedDescriptor& slot = descriptors_[next_used_.slot];
    const std::uint16_t id = load_relaxed(slot.id);
    // Without WRITE the length means nothing (2.8.4).
    const bool wrote = (load_relaxed(slot.flags) & descriptor_write) != 0;
    const std::uint32_t written = wrote ? load_relaxed(slot.len) : 0U;
    if (id >= size_ || slot_counts_[id] == 0) return fail(Errno::protocol);

    const std::uint16_t slots = std::exchange(slot_counts_[id], std::uint16_t{0});
    next_used_.advance(slots, size_);
    free_count_ += slots;
    free_ids_.push_back(id);
    return UsedChain{.id = id, .written = written};
}

bool PackedDriver::enable_notifications() {
    if (event_idx_) {
        const unsigned wrap = next_used_.wrap ? event_wrap : 0;
        store_relaxed(driver_event_->desc, static_cast<std::uint16_t>(next_used_.slot | wrap));
        store_release(driver_event_->flags, event_descriptor);
    } else {
        store_relaxed(driver_event_->flags, event_enable);
    }
    full_barrier();
    return next_is_used();
}

void PackedDriver::disable_notifications() {
    store_relaxed(driver_event_->flags, event_disable);
}

}  // namespace dpfs::virtio
