// SPDX-License-Identifier: Apache-2.0
#include "hal/vhost_user/fixed_memory.hpp"

#include <algorithm>
#include <sys/mman.h>
#include <utility>

namespace dpfs::hal::vhost_user {
namespace {

using reactor::PinnedMemory;
using reactor::Reactor;

/// Brought in by one call of the pool: other calls want a turn, and a guest that leaves is not
/// to be waited for.
constexpr std::uint64_t step_size = std::uint64_t{32} << 20;

}  // namespace

FixedMemory::FixedMemory(Reactor& control, std::vector<Reactor*> reactors, const Logger& log)
    : control_(control),
      reactors_(std::move(reactors)),
      log_(log),
      wanted_(std::make_shared<const virtio::GuestMemory>()) {}

void FixedMemory::follow(MemorySnapshot memory) {
    wanted_ = std::move(memory);
    if (!std::exchange(catching_up_, true)) background_.spawn(catch_up());
}

Task<void> FixedMemory::end() {
    follow(std::make_shared<const virtio::GuestMemory>());
    co_await background_.close();
    background_.reopen();
}

Task<void> FixedMemory::catch_up() {
    while (true) {
        if (auto unwanted = take_unwanted()) {
            co_await remove(std::move(unwanted));
            log_.debug("guest memory went; {} regions are registered", pinned_.size());
            continue;
        }
        const virtio::MemoryRegion* const missing = next_missing();
        if (missing == nullptr) break;
        const bool added = co_await add(*missing);
        if (added && next_missing() == nullptr) {
            log_.info("{} regions of guest memory are registered", pinned_.size());
        }
    }
    catching_up_ = false;
}

Task<bool> FixedMemory::add(virtio::MemoryRegion region) {
    const bool populated = co_await populate(region);
    if (!populated) co_return false;
    auto pin = [&region]() { return PinnedMemory::make(region.host, region.size); };
    auto pinned = co_await control_.blocking(pin);
    if (!pinned) {
        give_up(pinned.error());
        co_return false;
    }
    Result<void> used;
    for (Reactor* const reactor : reactors_) {
        co_await Reactor::switch_to(*reactor);
        used = reactor->use_buffers(*pinned);
        if (!used) break;
    }
    co_await Reactor::switch_to(control_);
    if (!used) {
        co_await remove(*pinned);
        give_up(used.error());
        co_return false;
    }
    pinned_.push_back(std::move(*pinned));
    co_return true;
}

Task<bool> FixedMemory::populate(virtio::MemoryRegion region) {
    for (std::uint64_t at = 0; at < region.size; at += step_size) {
        if (!is_wanted(region.host.get(), region.size)) co_return false;
        std::byte* const start = region.host.get() + at;
        const std::uint64_t size = std::min(region.size - at, step_size);
        // It may fail, for lack of memory or of kernel: then pinning tells.
        auto bring_in = [start, size]() { ::madvise(start, size, MADV_POPULATE_WRITE); };
        co_await control_.blocking(bring_in);
    }
    co_return is_wanted(region.host.get(), region.size);
}

Task<void> FixedMemory::remove(std::shared_ptr<const PinnedMemory> pinned) {
    for (Reactor* const reactor : reactors_) {
        co_await Reactor::switch_to(*reactor);
        reactor->drop_buffers(*pinned);
    }
    co_await Reactor::switch_to(control_);
}

bool FixedMemory::is_wanted(const std::byte* memory, std::uint64_t size) const noexcept {
    return std::ranges::any_of(wanted_->regions(), [&](const virtio::MemoryRegion& region) {
        return region.host.get() == memory && region.size == size;
    });
}

bool FixedMemory::is_pinned(const virtio::MemoryRegion& region) const noexcept {
    return std::ranges::any_of(pinned_, [&](const auto& pinned) {
        return pinned->begin() == region.host.get() && pinned->size() == region.size;
    });
}

std::shared_ptr<const PinnedMemory> FixedMemory::take_unwanted() noexcept {
    const auto found = std::ranges::find_if(pinned_, [this](const auto& pinned) {
        return !is_wanted(pinned->begin(), pinned->size());
    });
    if (found == pinned_.end()) return nullptr;
    auto taken = std::move(*found);
    pinned_.erase(found);
    return taken;
}

const virtio::MemoryRegion* FixedMemory::next_missing() const noexcept {
    if (gave_up_) return nullptr;
    const auto regions = wanted_->regions();
    const auto found = std::ranges::find_if(
        regions, [this](const virtio::MemoryRegion& region) { return !is_pinned(region); });
    return found == regions.end() ? nullptr : &*found;
}

void FixedMemory::give_up(Errno error) {
    gave_up_ = true;
    if (error == Errno::no_memory) {
        log_.warning(
            "fixed_buffers: guest memory cannot be locked (ENOMEM): raise RLIMIT_MEMLOCK above "
            "its size, or grant CAP_IPC_LOCK; goes on without");
    } else if (error == Errno::not_supported) {
        log_.warning(
            "fixed_buffers: not with this memory or kernel (EOPNOTSUPP; Linux 6.13 is needed); "
            "goes on without");
    } else {
        log_.warning("fixed_buffers: guest memory cannot be registered ({}); goes on without",
                     errno_name(error));
    }
}

}  // namespace dpfs::hal::vhost_user
