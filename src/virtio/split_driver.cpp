// SPDX-License-Identifier: Apache-2.0
#include "virtio/split_driver.hpp"

#include "virtio/shared_access.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace dpfs::virtio {
namespace {

std::uint32_t segment_count(const ChainRequest& request) {
    return static_cast<std::uint32_t>(request.readable.size() + request.writable.size());
}

/// Segment `index` of the whole chain as a descriptor, not linked to another yet.
Descriptor to_descriptor(const ChainRequest& request, std::uint32_t index) {
    const std::size_t readable_count = request.readable.size();
    const bool writable = index >= readable_count;
    const Segment& segment =
        writable ? request.writable[index - readable_count] : request.readable[index];
    return {.addr = segment.address,
            .len = segment.size,
            .flags = writable ? descriptor_write : std::uint16_t{0},
            .next = std::uint16_t{0}};
}

}  // namespace

SplitDriver::SplitDriver(RingPart area, const DriverConfig& config)
    : area_(std::move(area)),
      layout_(config.layout),
      size_(config.size),
      event_idx_((config.features & feature_event_idx) != 0),
      descriptors_(shared_array<Descriptor>(at(layout_.addresses.descriptors))),
      available_(shared_array<AvailableHeader>(at(layout_.addresses.driver))),
      available_entries_(shared_array<le<std::uint16_t>>(at(layout_.addresses.driver) +
                                                         sizeof(AvailableHeader))),
      used_event_(available_entries_ + size_),
      used_(shared_array<UsedHeader>(at(layout_.addresses.device))),
      used_entries_(
          shared_array<UsedElement>(at(layout_.addresses.device) + sizeof(UsedHeader))),
      available_event_(shared_array<le<std::uint16_t>>(
          at(layout_.addresses.device) + sizeof(UsedHeader) + size_ * sizeof(UsedElement))),
      next_(size_),
      slot_counts_(size_),
      free_count_(size_) {
    std::iota(next_.begin(), next_.end(), std::uint16_t{1});
}

std::byte* SplitDriver::at(std::uint64_t address) const noexcept {
    return area_.bytes.get() + (address - area_.guest_address);
}

Result<std::uint16_t> SplitDriver::add(const ChainRequest& request) {
    const std::uint32_t count = segment_count(request);
    const std::uint32_t direct =
        request.indirect ? std::min(request.direct_count, count) : count;
    const std::uint32_t slots = direct + (direct < count ? 1 : 0);
    if (count == 0 || slots > size_ || count - direct > layout_.table_count) {
        return fail(Errno::invalid);
    }
    if (slots > free_count_) return fail(Errno::again);

    const std::uint16_t head = first_free_;
    std::uint16_t slot = head;
    for (std::uint32_t i = 0; i < slots; ++i) {
        if (i > 0) slot = next_[slot];
        if (i == direct) {
            write_table(slot, request, direct);
            break;
        }
        Descriptor descriptor = to_descriptor(request, i);
        if (i + 1 < slots) {
            descriptor.flags = static_cast<std::uint16_t>(descriptor.flags | descriptor_next);
            descriptor.next = next_[slot];
        }
        descriptors_[slot] = descriptor;
    }
    first_free_ = next_[slot];
    free_count_ -= slots;
    slot_counts_[head] = static_cast<std::uint16_t>(slots);
    store_relaxed(available_entries_[next_available_ & (size_ - 1)], head);
    ++next_available_;
    return head;
}

void SplitDriver::write_table(std::uint16_t slot,
                              const ChainRequest& request,
                              std::uint32_t from) {
    const std::uint32_t count = segment_count(request) - from;
    const std::uint64_t address =
        layout_.tables + std::uint64_t{slot} * layout_.table_count * sizeof(Descriptor);
    auto* const table = shared_array<Descriptor>(at(address));
    for (std::uint32_t i = 0; i < count; ++i) {
        Descriptor descriptor = to_descriptor(request, from + i);
        if (i + 1 < count) {
            descriptor.flags = static_cast<std::uint16_t>(descriptor.flags | descriptor_next);
            descriptor.next = static_cast<std::uint16_t>(i + 1);
        }
        table[i] = descriptor;
    }
    descriptors_[slot] = {.addr = address,
                          .len = static_cast<std::uint32_t>(count * sizeof(Descriptor)),
                          .flags = descriptor_indirect,
                          .next = std::uint16_t{0}};
}

void SplitDriver::publish() {
    if (published_ == next_available_) return;
    store_release(available_->idx, next_available_);
    published_ = next_available_;
}

bool SplitDriver::needs_kick() {
    const auto count = static_cast<std::uint16_t>(published_ - asked_);
    asked_ = published_;
    if (count == 0) return false;
    full_barrier();  // 2.7.13.4.1
    if (!event_idx_) return (load_relaxed(used_->flags) & used_no_notify) == 0;
    const std::uint16_t event = load_relaxed(*available_event_);
    return static_cast<std::uint16_t>(published_ - 1 - event) < count;
}

Result<std::optional<UsedChain>> SplitDriver::poll() {
    if (load_acquire(used_->idx) == next_used_) return std::nullopt;
    UsedElement& entry = used_entries_[next_used_ & (size_ - 1)];
    const std::uint32_t id = load_relaxed(entry.id);
    const std::uint32_t written = load_relaxed(entry.len);
    if (id >= size_ || slot_counts_[id] == 0) return fail(Errno::protocol);
    ++next_used_;
    release(static_cast<std::uint16_t>(id));
    return UsedChain{.id = static_cast<std::uint16_t>(id), .written = written};
}

void SplitDriver::release(std::uint16_t head) noexcept {
    std::uint16_t last = head;
    for (std::uint16_t i = 1; i < slot_counts_[head]; ++i) last = next_[last];
    next_[last] = first_free_;
    first_free_ = head;
    free_count_ += std::exchange(slot_counts_[head], std::uint16_t{0});
}

bool SplitDriver::enable_notifications() {
    if (event_idx_) {
        store_relaxed(*used_event_, next_used_);
    } else {
        store_relaxed(available_->flags, 0);
    }
    full_barrier();
    return load_relaxed(used_->idx) != next_used_;
}

void SplitDriver::disable_notifications() {
    if (event_idx_) return;  // as the device does: the index is left behind (2.7.7.1)
    store_relaxed(available_->flags, available_no_interrupt);
}

}  // namespace dpfs::virtio
