// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "hal/vhost_user/bus_error.hpp"
#include "hal/vhost_user/wire.hpp"
#include "virtio/guest_memory.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <sys/types.h>
#include <vector>

namespace dpfs::hal::vhost_user {

/// The guest's memory as it was at one moment; whoever uses it holds it.
using MemorySnapshot = std::shared_ptr<const virtio::GuestMemory>;

/// The memory regions that a front end has shared. A value: a change is made to a copy, tried
/// out, and then kept or dropped.
///
/// A region that is fully backed by its file when it is added may still lose its pages later,
/// if the front end truncates the file: see bus_error.hpp for what happens then.
///
/// Thread    the control reactor's.
class MemoryTable {
  public:
    /// Answer to GET_MAX_MEM_SLOTS: what the kernel's own vhost devices allow by default.
    static constexpr std::size_t slot_count_max = 509;

    MemoryTable() : snapshot_(std::make_shared<const virtio::GuestMemory>()) {}

    /// Maps `region` of `fd`, which may be closed afterwards. Where `old` has mapped the same
    /// piece of the same file, that mapping is used again: its page tables are warm, and rings
    /// that lie in it stay where they are.
    /// Errors: EINVAL (empty, wraps around, not within the file), EEXIST (overlaps another),
    /// ENOSPC (too many), others from fstat and mmap.
    Result<void> add(const wire::MemoryRegion& region,
                     int fd,
                     const MemoryTable& old,
                     const MemoryLost& lost);

    /// The region is identified by both of its addresses and its size. Errors: ENOENT.
    Result<void> remove(const wire::MemoryRegion& region);

    [[nodiscard]] const MemorySnapshot& snapshot() const noexcept { return snapshot_; }
    [[nodiscard]] std::size_t count() const noexcept { return entries_.size(); }

  private:
    struct Entry {
        wire::MemoryRegion region;
        dev_t device = 0;  // which file
        ino_t inode = 0;
        virtio::Mapping host;
    };

    std::vector<Entry> entries_;
    MemorySnapshot snapshot_;
};

}  // namespace dpfs::hal::vhost_user
