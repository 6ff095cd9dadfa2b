// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/slot_table.hpp"
#include "fs/mirror/mount.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

namespace dpfs::mirror {

class InodeLocks;
class Inode;
using InodePin = SlotTable<Inode>::Pin;

/// What tells one inode of the host from all others, as far as statx(2) says it.
struct Identity {
    std::uint64_t device = 0;  // major << 32 | minor
    std::uint64_t ino = 0;
    std::uint64_t mount_id = 0;
    std::int64_t birth_ns = 0;  // 0: the file system does not say
    std::uint32_t type = 0;     // S_IFMT bits

    static Identity of(const struct statx& found) noexcept;

    /// Whether both mean the same place in the host's inode space; an inode number may have
    /// been used again since.
    [[nodiscard]] bool same_place(const Identity& other) const noexcept {
        return ino == other.ino && device == other.device && mount_id == other.mount_id;
    }
    bool operator==(const Identity&) const = default;
};

/// What Identity needs, and what the tenant is told.
inline constexpr std::uint32_t statx_mask = STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID;

/// statx(2) of what `fd` stands for: 0, or -1 with errno. `flags`: AT_STATX_*.
int stat_descriptor(int fd, int flags, std::uint32_t mask, struct statx& found) noexcept;

/// An inode that the tenant knows: holds references to it, or has it open.
///
/// How it is reached: by an O_PATH descriptor, which also keeps the host from using its number
/// again; when that has been closed to make room, by its handle; and before anybody has used an
/// entry that a directory listing brought along, by its name in its directory.
///
/// Thread    any that has it pinned; fields that say so are the table's, under its locks.
class Inode {
  public:
    enum class Locator : std::uint8_t { none, handle, name };

    /// -1: none at the moment. It stays open while the inode is pinned.
    [[nodiscard]] int descriptor() const noexcept {
        return descriptor_.load(std::memory_order_acquire);
    }
    [[nodiscard]] const Identity& identity() const noexcept { return identity_; }
    [[nodiscard]] bool is(std::uint32_t type) const noexcept { return identity_.type == type; }
    [[nodiscard]] Mount& mount() const noexcept { return *mount_; }
    [[nodiscard]] const std::shared_ptr<Mount>& shared_mount() const noexcept { return mount_; }
    [[nodiscard]] Locator locator() const noexcept { return locator_; }
    [[nodiscard]] const HostHandle& handle() const noexcept { return handle_; }
    [[nodiscard]] const std::string& name() const noexcept { return handle_.bytes; }
    [[nodiscard]] const InodePin& parent() const noexcept { return parent_; }

    /// Notes what attributes have said last; see the two below.
    void note(const struct statx& found) noexcept;
    /// Whether set-id bits were seen: only then must a write take care to keep them.
    [[nodiscard]] bool may_have_set_id() const noexcept {
        return set_id_.load(std::memory_order_relaxed);
    }
    /// Whether it was seen to be large; see frees_much().
    [[nodiscard]] bool is_large() const noexcept {
        return large_.load(std::memory_order_relaxed);
    }
    void note_size(std::uint64_t size) noexcept {
        if (size > large_size) large_.store(true, std::memory_order_relaxed);
    }

    /// The inode's locks; made when the first is asked for. Thread: any that has it pinned.
    InodeLocks& locks();
    [[nodiscard]] InodeLocks* locks_if_any() const noexcept {
        return locks_.load(std::memory_order_acquire);
    }

    Inode();
    ~Inode();
    Inode(const Inode&) = delete;
    Inode& operator=(const Inode&) = delete;

    /// SlotTable's.
    void recycle() noexcept;

  private:
    friend class InodeTable;
    friend class DescriptorCache;
    static constexpr std::uint64_t large_size = 1 << 20;  // bytes

    void release_parent() noexcept;

    Identity identity_;
    std::shared_ptr<Mount> mount_;
    std::atomic<int> descriptor_ = -1;
    std::atomic<bool> recently_used_ = false;
    std::atomic<bool> set_id_ = false;
    std::atomic<bool> large_ = false;
    std::atomic<InodeLocks*> locks_ = nullptr;

    // Written before it is published, or while nobody else has it pinned.
    Locator locator_ = Locator::none;
    HostHandle handle_;  // bytes: the name, for Locator::name
    InodePin parent_;

    // InodeTable's, under its shard's lock.
    std::uint64_t reference_count_ = 0;
    bool indexed_ = false;
    Inode* next_in_bucket_ = nullptr;

    // DescriptorCache's, under its shard's lock.
    Inode* previous_ = nullptr;
    Inode* next_ = nullptr;
    bool listed_ = false;
    class DescriptorCache* cache_ = nullptr;
};

/// Whether closing `fd`, a descriptor of `inode`, may free so many blocks that a reactor must
/// not wait for it: it is large, and the host has no name for it any more.
[[nodiscard]] bool frees_much(const Inode& inode, int fd) noexcept;

}  // namespace dpfs::mirror
