// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/unique_fd.hpp"
#include "fs/mirror/inode.hpp"

#include <atomic>
#include <cstddef>
#include <mutex>

namespace dpfs::mirror {

/// Keeps the O_PATH descriptors of known inodes within a bound: when there are too many, the
/// one that has not been used for longest (second chance) is replaced by its inode's handle.
/// What cannot be found by a handle keeps its descriptor: inodes of file systems without
/// handles, and inodes without a name, which the host would free with the last descriptor.
///
/// Thread    any. Lifetime: outlives the inodes in it.
class DescriptorCache {
  public:
    DescriptorCache(SlotTable<Inode>& inodes, std::size_t count_max) noexcept
        : inodes_(inodes), count_max_(count_max) {}

    /// Whether one more inode may be made reachable by a descriptor that may have to stay open.
    /// A tenant that keeps references to ever more unlinked files must end at its own limit,
    /// not at the process's. The root does not count.
    [[nodiscard]] bool has_room_to_keep() const noexcept {
        return kept_count_.load(std::memory_order_relaxed) <= count_max_;
    }

    /// Gives a descriptor to an inode that the caller has pinned, and its number: `fd`'s, or
    /// that of the one which somebody else was quicker to give. `evictable`: see above.
    /// May close another inode's; makes up to three system calls that do not wait for a device.
    int install(const InodePin& inode, UniqueFd fd, bool evictable);

    /// The inode is being recycled.
    void forget(Inode& inode) noexcept;

    /// Descriptors held.
    [[nodiscard]] std::size_t count() const noexcept {
        return count_.load(std::memory_order_relaxed);
    }
    /// Inodes in use that have no descriptor at the moment.
    [[nodiscard]] std::size_t unopened_count() const noexcept {
        return unopened_count_.load(std::memory_order_relaxed);
    }
    /// An inode was published without a descriptor.
    void add_unopened(const InodePin& inode) noexcept;

  private:
    void evict_some();
    InodePin take_candidate();
    void put_back(Inode& inode);
    void push_back(Inode& inode) noexcept;
    void unlink(Inode& inode) noexcept;

    SlotTable<Inode>& inodes_;
    const std::size_t count_max_;
    std::atomic<std::size_t> count_ = 0;
    std::atomic<std::size_t> kept_count_ = 0;  // not evictable
    std::atomic<std::size_t> unopened_count_ = 0;
    std::mutex mutex_;
    Inode* first_ = nullptr;  // evictable, longest in the list first
    Inode* last_ = nullptr;
};

}  // namespace dpfs::mirror
