// SPDX-License-Identifier: Apache-2.0
#include "virtio/split_ring.hpp"

#include "base/assert.hpp"
#include "virtio/shared_access.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace dpfs::virtio {
namespace {

/// A full round of the running index.
constexpr std::uint32_t unannounced_max = 1U << 16;

std::uint16_t distance(std::uint16_t from, std::uint16_t to) noexcept {
    return static_cast<std::uint16_t>(to - from);
}

}  // namespace

SplitRing::SplitRing(Parts parts, const RingConfig& config) noexcept
    : parts_(std::move(parts)),
      descriptors_(shared_array<Descriptor>(parts_.descriptors.bytes.get())),
      available_(shared_array<AvailableHeader>(parts_.available.bytes.get())),
      available_entries_(shared_array<le<std::uint16_t>>(parts_.available.bytes.get() +
                                                         sizeof(AvailableHeader))),
      used_event_(available_entries_ + config.size),
      used_(shared_array<UsedHeader>(parts_.used.bytes.get())),
      used_entries_(shared_array<UsedElement>(parts_.used.bytes.get() + sizeof(UsedHeader))),
      available_event_(shared_array<le<std::uint16_t>>(
          parts_.used.bytes.get() + sizeof(UsedHeader) + config.size * sizeof(UsedElement))),
      limits_(config.size, config.features),
      size_(config.size),
      mask_(static_cast<std::uint16_t>(config.size - 1)),
      next_available_(config.state.next_available),
      seen_available_(config.state.next_available),
      next_used_(config.state.used_from_ring ? load_acquire(used_->idx)
                                             : config.state.next_used),
      published_used_(next_used_),
      unannounced_(config.state.resumed ? unannounced_max : 0),
      event_idx_((config.features & feature_event_idx) != 0) {}

Result<SplitRing> make_split_ring(const GuestMemory& memory, const RingConfig& config) {
    if (!std::has_single_bit(config.size) || config.size > queue_size_max) {
        return fail(Errno::invalid);
    }
    const RingAddresses& at = config.addresses;
    auto descriptors = memory.ring_part(
        at.space, at.descriptors, config.size * sizeof(Descriptor), descriptor_alignment);
    if (!descriptors) return fail(descriptors.error());
    auto available = memory.ring_part(
        at.space,
        at.driver,
        sizeof(AvailableHeader) + (config.size + 1) * sizeof(le<std::uint16_t>),
        available_alignment);
    if (!available) return fail(available.error());
    auto used = memory.ring_part(at.space,
                                 at.device,
                                 sizeof(UsedHeader) + config.size * sizeof(UsedElement) + 2,
                                 used_alignment);
    if (!used) return fail(used.error());

    SplitRing ring({std::move(*descriptors), std::move(*available), std::move(*used)}, config);
    if (distance(ring.next_used_, ring.next_available_) > config.size) {
        return fail(Errno::invalid);
    }
    return ring;
}

Result<bool> SplitRing::broken(Violation violation) noexcept {
    violation_ = violation;
    return fail(to_errno(violation));
}

bool SplitRing::has_room() const noexcept {
    return in_flight_ + distance(published_used_, next_used_) < size_;
}

Result<bool> SplitRing::pop(const GuestMemory& memory, DescriptorChain& out) {
    if (violation_ != Violation::none) return broken(violation_);
    if (seen_available_ == next_available_) {
        // Acquire: entries and descriptors were written before the index (2.7.13.3.1).
        seen_available_ = load_acquire(available_->idx);
        const std::uint16_t count = distance(next_available_, seen_available_);
        if (count == 0) return false;
        if (count > size_) return broken(Violation::available_index_jumped);
    }
    if (!has_room()) return broken(Violation::too_many_in_flight);

    const std::uint16_t head = load_relaxed(available_entries_[next_available_ & mask_]);
    const Violation violation =
        ChainReader(memory, limits_, out).read_split(descriptors_, head);
    if (violation != Violation::none) return broken(violation);
    ++next_available_;
    ++in_flight_;
    return true;
}

Result<void> SplitRing::reread(const LostChain& chain,
                               const GuestMemory& memory,
                               DescriptorChain& out) {
    Violation violation = violation_;
    if (violation == Violation::none && !has_room()) {
        violation = Violation::too_many_in_flight;
    }
    if (violation == Violation::none) {
        violation = ChainReader(memory, limits_, out).read_split(descriptors_, chain.head.id);
    }
    if (violation != Violation::none) return fail(broken(violation).error());
    ++in_flight_;
    return {};
}

void SplitRing::push(ChainHead head, std::uint32_t written) {
    DPFS_ASSERT(in_flight_ > 0);
    --in_flight_;
    UsedElement& entry = used_entries_[next_used_ & mask_];
    store_relaxed(entry.id, head.id);
    store_relaxed(entry.len, written);
    ++next_used_;
    log_used_write(&entry, sizeof(entry));
}

void SplitRing::flush() {
    const std::uint16_t count = distance(published_used_, next_used_);
    if (count == 0) return;
    // Release: the entries, and the data they speak of, come before the index (2.7.8.2).
    store_release(used_->idx, next_used_);
    published_used_ = next_used_;
    unannounced_ = std::min(unannounced_ + count, unannounced_max);
    log_used_write(&used_->idx, sizeof(used_->idx));
}

bool SplitRing::needs_notification() {
    const std::uint32_t count = std::exchange(unannounced_, 0);
    if (count == 0) return false;
    full_barrier();  // the index must be out before we look whether the driver waits for it
    if (!event_idx_) return (load_relaxed(available_->flags) & available_no_interrupt) == 0;
    // 2.7.7.2: notify if the entry with the driver's event index is among those now published;
    // after a full round of the index every one is.
    const std::uint16_t event = load_relaxed(*used_event_);
    return distance(event, static_cast<std::uint16_t>(published_used_ - 1)) < count;
}

bool SplitRing::enable_notifications() {
    if (event_idx_) {
        store_relaxed(*available_event_, next_available_);
        log_used_write(available_event_, sizeof(*available_event_));
    } else {
        store_relaxed(used_->flags, 0);
        log_used_write(&used_->flags, sizeof(used_->flags));
    }
    full_barrier();  // the driver must see the wish, or we must see its chain (2.7.10)
    return has_work();
}

void SplitRing::disable_notifications() {
    // With EVENT_IDX flags stay 0 (2.7.10.2), and the event index is left behind: the driver
    // passes it once, and not again for 65536 chains.
    if (event_idx_) return;
    store_relaxed(used_->flags, used_no_notify);
    log_used_write(&used_->flags, sizeof(used_->flags));
}

bool SplitRing::has_work() const {
    return seen_available_ != next_available_ ||
           load_relaxed(available_->idx) != next_available_;
}

RingState SplitRing::state() const {
    return {.next_available = next_available_, .next_used = published_used_, .resumed = true};
}

void SplitRing::attach_log(std::shared_ptr<const DirtyLog> log) {
    log_ = std::move(log);
}

void SplitRing::log_used_write(const void* written, std::uint64_t length) const noexcept {
    if (!log_) [[likely]]
        return;
    const auto offset = static_cast<const std::byte*>(written) - parts_.used.bytes.get();
    log_->mark(parts_.used.guest_address + static_cast<std::uint64_t>(offset), length);
}

}  // namespace dpfs::virtio
