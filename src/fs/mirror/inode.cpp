// SPDX-License-Identifier: Apache-2.0
#include "fs/mirror/inode.hpp"

#include "fs/mirror/descriptor_cache.hpp"
#include "fs/mirror/inode_locks.hpp"

#include <fcntl.h>
#include <sys/syscall.h>
#include <utility>
#include <vector>

namespace dpfs::mirror {

namespace {

/// Since Linux 6.11, no path does what an empty one does, and saves the kernel copying the path
/// to see that it is empty.
bool takes_no_path(int fd) noexcept {
    struct statx found = {};
    const char* const none = nullptr;
    return ::syscall(SYS_statx, fd, none, AT_EMPTY_PATH, STATX_TYPE, &found) == 0;
}

}  // namespace

int stat_descriptor(int fd, int flags, std::uint32_t mask, struct statx& found) noexcept {
    static const char* const path = takes_no_path(fd) ? nullptr : "";
    // Not libc's function, which does not take it for granted that there is none.
    return static_cast<int>(
        ::syscall(SYS_statx, fd, path, flags | AT_EMPTY_PATH, mask, &found));
}

Identity Identity::of(const struct statx& found) noexcept {
    Identity identity;
    identity.device = std::uint64_t{found.stx_dev_major} << 32 | found.stx_dev_minor;
    identity.ino = found.stx_ino;
    identity.mount_id = found.stx_mnt_id;
    if ((found.stx_mask & STATX_BTIME) != 0) {
        identity.birth_ns =
            found.stx_btime.tv_sec * 1'000'000'000 + static_cast<int>(found.stx_btime.tv_nsec);
    }
    identity.type = found.stx_mode & S_IFMT;
    return identity;
}

bool frees_much(const Inode& inode, int fd) noexcept {
    if (!inode.is_large() || fd < 0) return false;
    struct statx found = {};
    const int failed = stat_descriptor(fd, AT_STATX_DONT_SYNC, STATX_NLINK, found);
    return failed != 0 || found.stx_nlink == 0;
}

Inode::Inode() = default;

Inode::~Inode() {
    recycle();
}

void Inode::note(const struct statx& found) noexcept {
    const bool set_id = S_ISREG(found.stx_mode) && (found.stx_mode & (S_ISUID | S_ISGID)) != 0;
    // Compared first: these are read by all reactors and nearly never change.
    if (set_id != may_have_set_id()) set_id_.store(set_id, std::memory_order_relaxed);
    const bool large = found.stx_size > large_size;
    if (large != is_large()) large_.store(large, std::memory_order_relaxed);
}

InodeLocks& Inode::locks() {
    InodeLocks* present = locks_.load(std::memory_order_acquire);
    if (present != nullptr) return *present;
    auto made = std::make_unique<InodeLocks>();
    if (locks_.compare_exchange_strong(present, made.get(), std::memory_order_acq_rel)) {
        return *made.release();
    }
    return *present;
}

void Inode::release_parent() noexcept {
    // The parent may go with this pin, then its parent, and so on: a tenant decides how deep
    // that is, so it must not be a recursion.
    thread_local std::vector<InodePin> waiting;
    thread_local bool releasing = false;
    if (!parent_) return;
    waiting.push_back(std::move(parent_));
    if (releasing) return;
    releasing = true;
    while (!waiting.empty()) {
        InodePin next = std::move(waiting.back());
        waiting.pop_back();
        next.release();
    }
    releasing = false;
}

void Inode::recycle() noexcept {
    if (cache_ != nullptr) std::exchange(cache_, nullptr)->forget(*this);
    const int fd = descriptor_.exchange(-1, std::memory_order_relaxed);
    if (fd >= 0) ::close(fd);
    delete locks_.exchange(nullptr, std::memory_order_relaxed);
    mount_.reset();
    release_parent();
    locator_ = Locator::none;
    handle_.bytes.clear();
    handle_.bytes.shrink_to_fit();
    recently_used_.store(false, std::memory_order_relaxed);
    set_id_.store(false, std::memory_order_relaxed);
    large_.store(false, std::memory_order_relaxed);
    reference_count_ = 0;
}

}  // namespace dpfs::mirror
