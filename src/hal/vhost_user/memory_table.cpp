// SPDX-License-Identifier: Apache-2.0
#include "hal/vhost_user/memory_table.hpp"

#include <algorithm>
#include <sys/stat.h>

namespace dpfs::hal::vhost_user {
namespace {

bool wraps_around(std::uint64_t start, std::uint64_t size) noexcept {
    return start + size < start;
}

}  // namespace

Result<void> MemoryTable::add(const wire::MemoryRegion& region,
                              int fd,
                              const MemoryTable& old,
                              const MemoryLost& lost) {
    if (entries_.size() >= slot_count_max) return fail(Errno::no_space);
    if (region.size == 0 || wraps_around(region.guest_address, region.size) ||
        wraps_around(region.user_address, region.size) ||
        wraps_around(region.mmap_offset, region.size)) {
        return fail(Errno::invalid);
    }
    struct stat file = {};
    if (::fstat(fd, &file) != 0) return fail_errno();

    Entry entry = {.region = region, .device = file.st_dev, .inode = file.st_ino, .host = {}};
    const auto same = std::ranges::find_if(old.entries_, [&](const Entry& known) {
        return known.device == entry.device && known.inode == entry.inode &&
               known.region.mmap_offset == region.mmap_offset &&
               known.region.size == region.size;
    });
    if (same != old.entries_.end()) {
        entry.host = same->host;
    } else {
        auto mapped = virtio::map_shared(fd, region.size, region.mmap_offset);
        if (!mapped) return fail(mapped.error());
        entry.host = guard(std::move(*mapped), region.size, lost);
    }

    auto memory = snapshot_->with({
        .guest_address = region.guest_address,
        .user_address = region.user_address,
        .size = region.size,
        .host = entry.host,
    });
    if (!memory) return fail(memory.error());
    snapshot_ = std::make_shared<const virtio::GuestMemory>(std::move(*memory));
    entries_.push_back(std::move(entry));
    return {};
}

Result<void> MemoryTable::remove(const wire::MemoryRegion& region) {
    const auto found = std::ranges::find_if(entries_, [&](const Entry& known) {
        return known.region.guest_address == region.guest_address &&
               known.region.user_address == region.user_address &&
               known.region.size == region.size;
    });
    if (found == entries_.end()) return fail(Errno::no_entry);
    auto memory = snapshot_->without(region.guest_address, region.size);
    if (!memory) return fail(memory.error());
    snapshot_ = std::make_shared<const virtio::GuestMemory>(std::move(*memory));
    entries_.erase(found);
    return {};
}

}  // namespace dpfs::hal::vhost_user
