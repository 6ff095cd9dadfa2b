// SPDX-License-Identifier: Apache-2.0
#include "hal/vhost_user/inflight_packed.hpp"

#include "base/assert.hpp"
#include "virtio/shared_access.hpp"
#include "virtio/wire.hpp"

#include <algorithm>
#include <atomic>
#include <optional>
#include <utility>

namespace dpfs::hal::vhost_user {
namespace {

using virtio::load_relaxed;
using virtio::PackedDescriptor;
using virtio::PackedPosition;
using virtio::shared_array;
using virtio::store_relaxed;
using virtio::store_release;

wire::QueueRegionPacked* header_of(const InflightRegion& region) noexcept {
    return shared_array<wire::QueueRegionPacked>(region.bytes.get());
}

wire::DescStatePacked* entries_of(const InflightRegion& region) noexcept {
    return shared_array<wire::DescStatePacked>(region.bytes.get() +
                                               sizeof(wire::QueueRegionPacked));
}

/// Release, here and below: who reads the region after our death sees the stores in this order,
/// if the compiler does not move them.
void set_inflight(wire::DescStatePacked& entry, bool value) noexcept {
    std::atomic_ref(entry.inflight)
        .store(static_cast<std::uint8_t>(value), std::memory_order_release);
}

bool is_inflight(wire::DescStatePacked& entry) noexcept {
    return std::atomic_ref(entry.inflight).load(std::memory_order_relaxed) != 0;
}

void store_used(wire::QueueRegionPacked& header,
                PackedPosition used,
                PackedPosition old) noexcept {
    const wire::UsedPositions positions = {
        .used_idx = static_cast<std::uint16_t>(used.slot),
        .old_used_idx = static_cast<std::uint16_t>(old.slot),
        .used_wrap_counter = static_cast<std::uint8_t>(used.wrap),
        .old_used_wrap_counter = static_cast<std::uint8_t>(old.wrap),
        .padding = {},
    };
    std::atomic_ref(header.used).store(positions, std::memory_order_release);
}

void store_descriptor(wire::DescStatePacked& entry, const PackedDescriptor& value) noexcept {
    store_relaxed(entry.addr, value.addr);
    store_relaxed(entry.len, value.len);
    store_relaxed(entry.id, value.id);
    store_relaxed(entry.flags, value.flags);
}

PackedDescriptor load_descriptor(wire::DescStatePacked& entry) noexcept {
    return {.addr = load_relaxed(entry.addr),
            .len = load_relaxed(entry.len),
            .id = load_relaxed(entry.id),
            .flags = load_relaxed(entry.flags)};
}

/// A copy of a region's header, all of whose numbers may be used.
struct Header {
    std::uint16_t entry_count = 0;
    std::uint16_t free_head = 0;
    std::uint16_t old_free_head = 0;
    PackedPosition used;
    PackedPosition old_used;
};

/// Errors: EPROTO.
Result<Header> read_header(const InflightRegion& region, std::uint32_t ring_size) {
    wire::QueueRegionPacked& shared = *header_of(region);
    const wire::UsedPositions used =
        std::atomic_ref(shared.used).load(std::memory_order_relaxed);
    const Header header = {
        .entry_count = load_relaxed(shared.desc_num),
        .free_head = load_relaxed(shared.free_head),
        .old_free_head = load_relaxed(shared.old_free_head),
        .used = {.slot = used.used_idx, .wrap = used.used_wrap_counter != 0},
        .old_used = {.slot = used.old_used_idx, .wrap = used.old_used_wrap_counter != 0},
    };
    const bool known = load_relaxed(shared.version) == wire::inflight_version &&
                       load_relaxed(shared.features) == 0;
    const bool fits = header.entry_count >= ring_size &&
                      header.entry_count <= region.queue_size && header.used.slot < ring_size &&
                      header.old_used.slot < ring_size;
    const bool wraps = used.used_wrap_counter <= 1 && used.old_used_wrap_counter <= 1;
    if (!known || !fits || !wraps) return fail(Errno::protocol);
    return header;
}

/// Finishes or drops the batch that was being given back: it counts from the moment on at which
/// the ring's descriptor at old_used_idx was used.
void settle(Header& header, PackedDescriptor* ring) noexcept {
    const std::uint16_t flags = virtio::load_acquire(ring[header.old_used.slot].flags);
    // Position and lap: a batch as long as the ring ends in the slot in which it began.
    if (header.used != header.old_used && !virtio::is_available(flags, header.old_used.wrap)) {
        header.old_free_head = header.free_head;
        header.old_used = header.used;
    } else {
        header.free_head = header.old_free_head;
        header.used = header.old_used;
    }
}

/// Takes stock of a region's entries: each is in the free list or in one chain, once.
class EntryReader {
  public:
    EntryReader(const InflightRegion& region, const Header& header, std::uint32_t ring_size)
        : shared_(entries_of(region)), ring_size_(ring_size), seen_(header.entry_count) {
        ours_.chains.resize(header.entry_count);
        ours_.next.resize(header.entry_count);
        ours_.free_head = std::min(header.free_head, header.entry_count);
        for (std::uint16_t entry = 0; entry < ours_.size(); ++entry) {
            ours_.next[entry] = std::min(load_relaxed(shared_[entry].next), ours_.size());
        }
    }

    struct Lost {
        std::uint64_t counter = 0;
        LostRequest request;
    };

    /// Errors: EPROTO, and the region is as it was.
    Result<std::vector<Lost>> read() {
        for (std::uint16_t entry = ours_.free_head; entry < ours_.size();) {
            if (!see(entry)) return fail(Errno::protocol);
            entry = ours_.next[entry];
        }
        const std::vector<bool> free = seen_;
        std::vector<Lost> found;
        for (std::uint16_t entry = 0; entry < ours_.size(); ++entry) {
            if (free[entry] || !is_inflight(shared_[entry])) continue;
            auto request = read_chain(entry);
            if (!request) return fail(request.error());
            found.push_back({.counter = load_relaxed(shared_[entry].counter),
                             .request = std::move(*request)});
        }
        if (slots_ > ring_size_ || std::ranges::count(seen_, false) != 0) {
            return fail(Errno::protocol);
        }
        // Chains given back, or half taken, when their process died.
        for (std::uint16_t entry = 0; entry < ours_.size(); ++entry) {
            if (free[entry]) set_inflight(shared_[entry], false);
        }
        std::ranges::sort(found, {}, &Lost::counter);
        return found;
    }

    [[nodiscard]] std::uint32_t slots() const noexcept { return slots_; }
    [[nodiscard]] PackedEntries take_entries() noexcept { return std::move(ours_); }

  private:
    bool see(std::uint16_t entry) {
        if (seen_[entry]) return false;
        seen_[entry] = true;
        return true;
    }

    Result<LostRequest> read_chain(std::uint16_t first) {
        const std::uint16_t slots = load_relaxed(shared_[first].num);
        const std::uint16_t last = load_relaxed(shared_[first].last);
        if (slots == 0 || slots > ring_size_) return fail(Errno::protocol);
        LostRequest request = {.entry = first, .chain = {}};
        std::uint16_t entry = first;
        for (std::uint16_t slot = 0; slot < slots; ++slot) {
            if (slot > 0) entry = ours_.next[entry];
            if (entry >= ours_.size() || !see(entry)) return fail(Errno::protocol);
            const PackedDescriptor descriptor = load_descriptor(shared_[entry]);
            const bool continues = (descriptor.flags & virtio::descriptor_next) != 0;
            if (continues != (slot + 1 < slots)) return fail(Errno::protocol);
            request.chain.descriptors.push_back(descriptor);
        }
        if (entry != last) return fail(Errno::protocol);
        request.chain.head = {.id = request.chain.descriptors.back().id, .slots = slots};
        ours_.chains[first] = {.last = last, .slots = slots};
        slots_ += slots;
        return request;
    }

    wire::DescStatePacked* shared_;
    std::uint32_t ring_size_;
    PackedEntries ours_;
    std::vector<bool> seen_;
    std::uint32_t slots_ = 0;  // of the chains read
};

/// A region as nobody has used it.
PackedInflight::Start begin(const InflightRegion& region, PackedPosition used) {
    wire::QueueRegionPacked& header = *header_of(region);
    PackedInflight::Start start = {.entries = {}, .used = used};
    start.entries.chains.resize(region.queue_size);
    start.entries.next.resize(region.queue_size);
    for (std::uint16_t entry = 0; entry < region.queue_size; ++entry) {
        start.entries.next[entry] = static_cast<std::uint16_t>(entry + 1);
        store_relaxed(entries_of(region)[entry].next, start.entries.next[entry]);
        set_inflight(entries_of(region)[entry], false);
    }
    store_relaxed(header.features, 0);
    store_relaxed(header.desc_num, region.queue_size);
    store_relaxed(header.free_head, 0);
    store_relaxed(header.old_free_head, 0);
    store_used(header, used, used);
    store_release(header.version, wire::inflight_version);
    return start;
}

}  // namespace

PackedInflight::PackedInflight(InflightRegion region,
                               virtio::RingPart ring,
                               std::uint32_t ring_size,
                               Start start) noexcept
    : region_(std::move(region)),
      ring_(std::move(ring)),
      header_(header_of(region_)),
      entries_(entries_of(region_)),
      descriptors_(shared_array<PackedDescriptor>(ring_.bytes.get())),
      ring_size_(ring_size),
      ours_(std::move(start.entries)),
      used_(start.used),
      old_used_(start.used),
      next_counter_(start.next_counter) {
    batch_.reserve(ring_size);
}

std::uint16_t PackedInflight::taken(const virtio::RingState& before,
                                    virtio::ChainHead head) noexcept {
    const std::uint16_t first = ours_.free_head;
    std::uint16_t entry = first;
    std::uint16_t last = first;
    PackedPosition at = {.slot = before.next_available, .wrap = before.available_wrap};
    for (std::uint16_t slot = 0; slot < head.slots; ++slot) {
        // The ring has no more slots in use than there are entries.
        DPFS_ASSERT(entry < ours_.size());
        PackedDescriptor descriptor = virtio::load_once(descriptors_[at.slot]);
        // A driver that changes it now deceives itself; the list's form is ours.
        const unsigned rest = descriptor.flags & ~unsigned{virtio::descriptor_next};
        const unsigned next = slot + 1 < head.slots ? virtio::descriptor_next : 0;
        descriptor.flags = static_cast<std::uint16_t>(rest | next);
        store_descriptor(entries_[entry], descriptor);
        last = std::exchange(entry, ours_.next[entry]);
        at.advance(1, ring_size_);
    }
    ours_.chains[first] = {.last = last, .slots = head.slots};
    ours_.free_head = entry;
    store_relaxed(entries_[first].last, last);
    store_relaxed(entries_[first].num, head.slots);
    store_relaxed(entries_[first].counter, next_counter_++);
    set_inflight(entries_[first], true);
    store_release(header_->free_head, entry);
    store_release(header_->old_free_head, entry);
    return first;
}

void PackedInflight::pushing(std::uint16_t entry) noexcept {
    batch_.push_back(entry);
}

void PackedInflight::flushing() noexcept {
    std::uint32_t slots = 0;
    for (const std::uint16_t entry : batch_) {
        const PackedEntries::Chain chain = ours_.chains[entry];
        ours_.next[chain.last] = ours_.free_head;
        store_release(entries_[chain.last].next, ours_.free_head);
        ours_.free_head = entry;
        slots += chain.slots;
    }
    store_release(header_->free_head, ours_.free_head);
    old_used_ = used_;
    used_.advance(slots, ring_size_);
    store_used(*header_, used_, old_used_);
}

void PackedInflight::flushed(const virtio::RingState& now) noexcept {
    DPFS_ASSERT(now.next_used == used_.slot && now.used_wrap == used_.wrap);
    for (const std::uint16_t entry : batch_) set_inflight(entries_[entry], false);
    batch_.clear();
    store_release(header_->old_free_head, ours_.free_head);
    store_used(*header_, used_, used_);
}

Result<OpenedInflight> open_packed_inflight(InflightRegion region,
                                            const virtio::RingConfig& config,
                                            const virtio::GuestMemory& memory) {
    const auto ring = memory.ring_part(config.addresses.space,
                                       config.addresses.descriptors,
                                       config.size * sizeof(PackedDescriptor),
                                       virtio::descriptor_alignment);
    if (!ring) return fail(ring.error());

    OpenedInflight opened;
    PackedInflight::Start start;
    if (load_relaxed(header_of(region)->version) == 0) {
        start = begin(region, {config.state.next_used, config.state.used_wrap});
    } else {
        auto header = read_header(region, config.size);
        if (!header) return fail(header.error());
        settle(*header, shared_array<PackedDescriptor>(ring->bytes.get()));
        EntryReader reader(region, *header, config.size);
        auto found = reader.read();
        if (!found) return fail(found.error());
        // In this order: a crash between them is settled in the same way.
        store_release(header_of(region)->free_head, header->free_head);
        store_release(header_of(region)->old_free_head, header->old_free_head);
        store_used(*header_of(region), header->used, header->used);

        if (!found->empty()) start.next_counter = found->back().counter + 1;
        for (auto& lost : *found) opened.lost.requests.push_back(std::move(lost.request));
        start.used = header->used;
        // What was taken is what was given back and what is listed.
        PackedPosition available = header->used;
        available.advance(reader.slots(), config.size);
        start.entries = reader.take_entries();
        opened.lost.resumed = true;  // only the region knows
        opened.lost.state = {
            .next_available = static_cast<std::uint16_t>(available.slot),
            .next_used = static_cast<std::uint16_t>(header->used.slot),
            .available_wrap = available.wrap,
            .used_wrap = header->used.wrap,
            .resumed = true,
        };
    }
    opened.tracker = std::make_unique<PackedInflight>(
        std::move(region), *ring, config.size, std::move(start));
    return opened;
}

}  // namespace dpfs::hal::vhost_user
