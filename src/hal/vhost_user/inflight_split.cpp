// SPDX-License-Identifier: Apache-2.0
#include "hal/vhost_user/inflight_split.hpp"

#include "virtio/shared_access.hpp"
#include "virtio/wire.hpp"

#include <algorithm>
#include <atomic>
#include <utility>

namespace dpfs::hal::vhost_user {
namespace {

using virtio::load_acquire;
using virtio::load_relaxed;
using virtio::shared_array;
using virtio::store_relaxed;
using virtio::store_release;

wire::QueueRegionSplit* header_of(const InflightRegion& region) noexcept {
    return shared_array<wire::QueueRegionSplit>(region.bytes.get());
}

wire::DescStateSplit* entries_of(const InflightRegion& region) noexcept {
    return shared_array<wire::DescStateSplit>(region.bytes.get() +
                                              sizeof(wire::QueueRegionSplit));
}

/// A store that a reader after our death sees in this order; the compiler must not move it.
void set_inflight(wire::DescStateSplit& entry, bool value) noexcept {
    std::atomic_ref(entry.inflight)
        .store(static_cast<std::uint8_t>(value), std::memory_order_release);
}

bool is_inflight(wire::DescStateSplit& entry) noexcept {
    return std::atomic_ref(entry.inflight).load(std::memory_order_relaxed) != 0;
}

/// The `idx` field of the used ring: how far the driver has been told.
Result<std::uint16_t> read_used_index(const virtio::RingConfig& config,
                                      const virtio::GuestMemory& memory) {
    const auto part = memory.ring_part(config.addresses.space,
                                       config.addresses.device,
                                       sizeof(virtio::UsedHeader),
                                       virtio::used_alignment);
    if (!part) return fail(part.error());
    return load_acquire(shared_array<virtio::UsedHeader>(part->bytes.get())->idx);
}

/// The last batch may have been shown to the driver without having been struck off the list.
void settle_last_batch(const InflightRegion& region,
                       std::uint16_t size,
                       std::uint16_t used_index) noexcept {
    wire::QueueRegionSplit* const header = header_of(region);
    wire::DescStateSplit* const entries = entries_of(region);
    auto count = static_cast<std::uint16_t>(used_index - load_relaxed(header->used_idx));
    std::uint16_t head = load_relaxed(header->last_batch_head);
    for (; count > 0 && head < size; --count) {
        set_inflight(entries[head], false);
        head = load_relaxed(entries[head].next);
    }
    store_release(header->used_idx, used_index);
}

struct Listed {
    std::uint64_t counter;
    std::uint16_t head;
};

std::vector<Listed> list_inflight(const InflightRegion& region, std::uint16_t size) {
    wire::DescStateSplit* const entries = entries_of(region);
    std::vector<Listed> found;
    for (std::uint16_t head = 0; head < size; ++head) {
        if (is_inflight(entries[head])) {
            found.push_back({.counter = load_relaxed(entries[head].counter), .head = head});
        }
    }
    std::ranges::sort(found, {}, &Listed::counter);
    return found;
}

}  // namespace

SplitInflight::SplitInflight(InflightRegion region, std::uint64_t next_counter) noexcept
    : region_(std::move(region)),
      header_(header_of(region_)),
      entries_(entries_of(region_)),
      next_counter_(next_counter) {
    batch_.reserve(region_.queue_size);
}

std::uint16_t SplitInflight::taken(const virtio::RingState& /*before*/,
                                   virtio::ChainHead head) noexcept {
    store_relaxed(entries_[head.id].counter, next_counter_++);
    set_inflight(entries_[head.id], true);
    return head.id;
}

void SplitInflight::pushing(std::uint16_t entry) noexcept {
    store_relaxed(entries_[entry].next, load_relaxed(header_->last_batch_head));
    store_release(header_->last_batch_head, entry);
    batch_.push_back(entry);
}

void SplitInflight::flushed(const virtio::RingState& now) noexcept {
    for (const std::uint16_t head : batch_) set_inflight(entries_[head], false);
    batch_.clear();
    store_release(header_->used_idx, now.next_used);
}

Result<OpenedInflight> open_split_inflight(InflightRegion region,
                                           const virtio::RingConfig& config,
                                           const virtio::GuestMemory& memory) {
    const auto used_index = read_used_index(config, memory);
    if (!used_index) return fail(used_index.error());
    wire::QueueRegionSplit* const header = header_of(region);
    const auto size = static_cast<std::uint16_t>(config.size);

    OpenedInflight opened;
    std::uint64_t next_counter = 0;
    const std::uint16_t version = load_relaxed(header->version);
    if (version == 0) {
        store_relaxed(header->desc_num, region.queue_size);
        store_relaxed(header->used_idx, *used_index);
        store_release(header->version, wire::inflight_version);
    } else {
        if (version != wire::inflight_version || load_relaxed(header->desc_num) < size) {
            return fail(Errno::protocol);
        }
        settle_last_batch(region, size, *used_index);
        const std::vector<Listed> found = list_inflight(region, size);
        if (!found.empty()) next_counter = found.back().counter + 1;
        for (const Listed& lost : found) {
            opened.lost.requests.push_back(
                {.entry = lost.head, .chain = {.head = {.id = lost.head}, .descriptors = {}}});
        }
        // What was taken is what was given back and what is listed.
        opened.lost.resumed = !found.empty();
        opened.lost.state = {
            .next_available = static_cast<std::uint16_t>(*used_index + found.size()),
            .next_used = *used_index,
            .resumed = true,
        };
    }
    opened.tracker = std::make_unique<SplitInflight>(std::move(region), next_counter);
    return opened;
}

}  // namespace dpfs::hal::vhost_user
