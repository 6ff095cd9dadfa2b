// SPDX-License-Identifier: Apache-2.0
#include "virtio/packed_ring.hpp"

#include "base/assert.hpp"
#include "virtio/shared_access.hpp"

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

namespace dpfs::virtio {
namespace {

/// Two laps of the longest ring: from there on every event has been passed.
constexpr std::uint32_t unannounced_max = 2 * queue_size_max;

/// 2.8.1: both bits are the device's wrap counter.
bool is_used(std::uint16_t flags, bool wrap) noexcept {
    const bool available = (flags & descriptor_available) != 0;
    const bool used = (flags & descriptor_used) != 0;
    return available == wrap && used == wrap;
}

bool is_one_chain(std::span<const PackedDescriptor> descriptors) noexcept {
    if (descriptors.empty()) return false;
    const auto continues = [](const PackedDescriptor& descriptor) {
        return (descriptor.flags & descriptor_next) != 0;
    };
    return std::ranges::all_of(descriptors.first(descriptors.size() - 1), continues) &&
           !continues(descriptors.back());
}

std::uint32_t on_two_laps(PackedPosition position, std::uint32_t size) noexcept {
    return position.wrap ? position.slot : position.slot + size;
}

/// How far `to` is ahead of `from`, modulo two laps.
std::uint32_t distance(PackedPosition from, PackedPosition to, std::uint32_t size) noexcept {
    return (on_two_laps(to, size) + 2 * size - on_two_laps(from, size)) % (2 * size);
}

}  // namespace

bool is_available(std::uint16_t flags, bool wrap) noexcept {
    const bool available = (flags & descriptor_available) != 0;
    const bool used = (flags & descriptor_used) != 0;
    return available == wrap && used != wrap;
}

bool passed_event(PackedPosition event,
                  PackedPosition now,
                  std::uint32_t count,
                  std::uint32_t size) noexcept {
    if (event.slot >= size || count >= 2 * size) return true;
    const std::uint32_t ago = distance(event, now, size);
    return ago != 0 && ago <= count;
}

PackedRing::PackedRing(Parts parts, const RingConfig& config) noexcept
    : parts_(std::move(parts)),
      descriptors_(shared_array<PackedDescriptor>(parts_.descriptors.bytes.get())),
      driver_event_(shared_array<EventSuppression>(parts_.driver_event.bytes.get())),
      device_event_(shared_array<EventSuppression>(parts_.device_event.bytes.get())),
      limits_(config.size, config.features),
      size_(config.size),
      next_available_{config.state.next_available, config.state.available_wrap},
      next_used_{config.state.next_used, config.state.used_wrap},
      published_used_(next_used_),
      unannounced_slots_(config.state.resumed ? unannounced_max : 0),
      event_idx_((config.features & feature_event_idx) != 0) {}

Result<PackedRing> make_packed_ring(const GuestMemory& memory, const RingConfig& config) {
    if (config.size == 0 || config.size > queue_size_max ||
        config.state.next_available >= config.size || config.state.next_used >= config.size) {
        return fail(Errno::invalid);
    }
    const RingAddresses& at = config.addresses;
    auto descriptors = memory.ring_part(
        at.space, at.descriptors, config.size * sizeof(PackedDescriptor), descriptor_alignment);
    if (!descriptors) return fail(descriptors.error());
    auto driver =
        memory.ring_part(at.space, at.driver, sizeof(EventSuppression), event_alignment);
    if (!driver) return fail(driver.error());
    auto device =
        memory.ring_part(at.space, at.device, sizeof(EventSuppression), event_alignment);
    if (!device) return fail(device.error());

    PackedRing ring({std::move(*descriptors), std::move(*driver), std::move(*device)}, config);
    if (distance(ring.next_used_, ring.next_available_, config.size) > config.size) {
        return fail(Errno::invalid);
    }
    return ring;
}

Result<bool> PackedRing::pop(const GuestMemory& memory, DescriptorChain& out) {
    if (violation_ != Violation::none) return fail(to_errno(violation_));
    // Acquire: the flags of a chain's first descriptor are written last (2.8.6).
    const std::uint16_t flags = load_acquire(descriptors_[next_available_.slot].flags);
    if (!is_available(flags, next_available_.wrap)) return false;

    violation_ =
        ChainReader(memory, limits_, out).read_packed(descriptors_, next_available_.slot);
    const std::uint32_t slots = out.head().slots;
    if (violation_ == Violation::none && slots_in_flight_ + staged_slots_ + slots > size_) {
        violation_ = Violation::too_many_in_flight;
    }
    if (violation_ != Violation::none) return fail(to_errno(violation_));
    next_available_.advance(slots, size_);
    slots_in_flight_ += slots;
    ++chains_in_flight_;
    return true;
}

Result<void> PackedRing::reread(const LostChain& chain,
                                const GuestMemory& memory,
                                DescriptorChain& out) {
    std::vector<PackedDescriptor> descriptors = chain.descriptors;
    DPFS_ASSERT(descriptors.size() == chain.head.slots && is_one_chain(descriptors));
    if (violation_ == Violation::none &&
        slots_in_flight_ + staged_slots_ + chain.head.slots > size_) {
        violation_ = Violation::too_many_in_flight;
    }
    if (violation_ == Violation::none) {
        violation_ = ChainReader(memory, limits_, out).read_packed(descriptors.data(), 0);
    }
    if (violation_ != Violation::none) return fail(to_errno(violation_));

    // What is in flight lies behind what is used, in whatever order it ends.
    PackedPosition first = next_used_;
    first.advance(slots_in_flight_, size_);
    hide_staged(first, chain.head.slots);
    slots_in_flight_ += chain.head.slots;
    ++chains_in_flight_;
    return {};
}

/// A batch that was staged looks used from its second chain on. It has not been shown, and the
/// next batch may be another one, behind which the driver would find the rest of the old.
void PackedRing::hide_staged(PackedPosition first, std::uint32_t count) noexcept {
    for (; count > 0; --count) {
        PackedDescriptor& descriptor = descriptors_[first.slot];
        const std::uint16_t flags = load_relaxed(descriptor.flags);
        if (is_used(flags, first.wrap)) {
            store_relaxed(descriptor.flags,
                          static_cast<std::uint16_t>(flags ^ descriptor_used));
            log_descriptor_write(first.slot);
        }
        first.advance(1, size_);
    }
}

void PackedRing::push(ChainHead head, std::uint32_t written) {
    DPFS_ASSERT(chains_in_flight_ > 0 && slots_in_flight_ >= head.slots);
    --chains_in_flight_;
    slots_in_flight_ -= head.slots;

    PackedDescriptor& descriptor = descriptors_[next_used_.slot];
    store_relaxed(descriptor.id, head.id);
    store_relaxed(descriptor.len, written);
    // 2.8.1: both bits are the device's wrap counter; 2.8.3: WRITE says whether len counts.
    const unsigned marks = next_used_.wrap ? descriptor_available | descriptor_used : 0;
    const auto flags =
        static_cast<std::uint16_t>(marks | (written > 0 ? descriptor_write : 0U));
    if (staged_slots_ == 0) {
        first_staged_slot_ = next_used_.slot;
        first_staged_flags_ = flags;
    } else {
        // The driver looks no further than the first, which is still unchanged.
        store_relaxed(descriptor.flags, flags);
    }
    log_descriptor_write(next_used_.slot);
    staged_slots_ += head.slots;
    next_used_.advance(head.slots, size_);
}

void PackedRing::flush() {
    if (staged_slots_ == 0) return;
    // Release: all that was staged, and the data it speaks of, comes before this.
    store_release(descriptors_[first_staged_slot_].flags, first_staged_flags_);
    log_descriptor_write(first_staged_slot_);
    published_used_ = next_used_;
    unannounced_slots_ = std::min(unannounced_slots_ + staged_slots_, unannounced_max);
    staged_slots_ = 0;
}

bool PackedRing::needs_notification() {
    const std::uint32_t count = std::exchange(unannounced_slots_, 0);
    if (count == 0) return false;
    full_barrier();  // the flags must be out before we look whether the driver waits for them
    const auto flags =
        static_cast<std::uint16_t>(load_acquire(driver_event_->flags) & event_flags_mask);
    if (flags == event_disable) return false;
    if (flags != event_descriptor || !event_idx_) return true;
    const std::uint16_t event = load_relaxed(driver_event_->desc);
    const PackedPosition position{static_cast<std::uint32_t>(event & ~event_wrap),
                                  (event & event_wrap) != 0};
    return passed_event(position, published_used_, count, size_);
}

bool PackedRing::enable_notifications() {
    if (event_idx_) {
        const unsigned wrap = next_available_.wrap ? event_wrap : 0;
        store_relaxed(device_event_->desc,
                      static_cast<std::uint16_t>(next_available_.slot | wrap));
        store_release(device_event_->flags, event_descriptor);
    } else {
        store_relaxed(device_event_->flags, event_enable);
    }
    log_event_write();
    full_barrier();  // the driver must see the wish, or we must see its chain (2.8.21.3.1)
    return has_work();
}

void PackedRing::disable_notifications() {
    store_relaxed(device_event_->flags, event_disable);
    log_event_write();
}

bool PackedRing::has_work() const {
    return is_available(load_relaxed(descriptors_[next_available_.slot].flags),
                        next_available_.wrap);
}

RingState PackedRing::state() const {
    return {.next_available = static_cast<std::uint16_t>(next_available_.slot),
            .next_used = static_cast<std::uint16_t>(published_used_.slot),
            .available_wrap = next_available_.wrap,
            .used_wrap = published_used_.wrap,
            .resumed = true};
}

void PackedRing::attach_log(std::shared_ptr<const DirtyLog> log) {
    log_ = std::move(log);
}

void PackedRing::log_descriptor_write(std::uint32_t slot) const noexcept {
    if (!log_) [[likely]]
        return;
    log_->mark(parts_.descriptors.guest_address + slot * sizeof(PackedDescriptor),
               sizeof(PackedDescriptor));
}

void PackedRing::log_event_write() const noexcept {
    if (!log_) [[likely]]
        return;
    log_->mark(parts_.device_event.guest_address, sizeof(EventSuppression));
}

}  // namespace dpfs::virtio
