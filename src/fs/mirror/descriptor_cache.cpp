// SPDX-License-Identifier: Apache-2.0
#include "fs/mirror/descriptor_cache.hpp"

#include <fcntl.h>

namespace dpfs::mirror {

int DescriptorCache::install(const InodePin& inode, UniqueFd fd, bool evictable) {
    int present = -1;
    if (!inode->descriptor_.compare_exchange_strong(
            present, fd.get(), std::memory_order_acq_rel)) {
        return present;
    }
    const int installed = fd.release();
    count_.fetch_add(1, std::memory_order_relaxed);
    {
        const std::lock_guard lock(mutex_);
        if (inode->cache_ != nullptr) unopened_count_.fetch_sub(1, std::memory_order_relaxed);
        inode->cache_ = this;
        if (evictable) push_back(*inode);
    }
    if (!evictable) kept_count_.fetch_add(1, std::memory_order_relaxed);
    if (count() > count_max_) evict_some();
    return installed;
}

void DescriptorCache::add_unopened(const InodePin& inode) noexcept {
    inode->cache_ = this;
    unopened_count_.fetch_add(1, std::memory_order_relaxed);
}

void DescriptorCache::forget(Inode& inode) noexcept {
    if (inode.descriptor() < 0) {
        unopened_count_.fetch_sub(1, std::memory_order_relaxed);
        return;
    }
    count_.fetch_sub(1, std::memory_order_relaxed);
    const std::lock_guard lock(mutex_);
    if (inode.listed_) {
        unlink(inode);
    } else {
        kept_count_.fetch_sub(1, std::memory_order_relaxed);
    }
}

void DescriptorCache::evict_some() {
    // One goes for each one that comes; the other tries make up for those that were busy or
    // have to stay.
    constexpr int try_count_max = 8;
    for (int i = 0; i < try_count_max && count() > count_max_; ++i) {
        InodePin victim = take_candidate();
        if (!victim) return;

        struct statx found = {};
        const int fd = victim->descriptor();
        const bool has_name =
            stat_descriptor(fd, AT_STATX_DONT_SYNC, STATX_NLINK, found) == 0 &&
            found.stx_nlink != 0;
        auto handle = host_handle(fd, "", AT_EMPTY_PATH);
        if (!has_name || !handle) {
            kept_count_.fetch_add(1, std::memory_order_relaxed);
            continue;  // stays open, and is not asked again
        }
        if (!inodes_.try_exclusive(victim)) {
            put_back(*victim);
            continue;
        }
        victim->handle_ = std::move(*handle);
        victim->locator_ = Inode::Locator::handle;
        victim->descriptor_.store(-1, std::memory_order_relaxed);
        const InodePin parent = std::move(victim->parent_);
        inodes_.end_exclusive(victim);

        count_.fetch_sub(1, std::memory_order_relaxed);
        unopened_count_.fetch_add(1, std::memory_order_relaxed);
        ::close(fd);
    }
}

InodePin DescriptorCache::take_candidate() {
    constexpr int try_count_max = 16;
    const std::lock_guard lock(mutex_);
    for (int i = 0; i < try_count_max && first_ != nullptr; ++i) {
        Inode& inode = *first_;
        unlink(inode);
        if (!inode.recently_used_.exchange(false, std::memory_order_relaxed)) {
            if (InodePin pin = inodes_.pin_idle(inode)) return pin;
        }
        push_back(inode);
    }
    return {};
}

void DescriptorCache::put_back(Inode& inode) {
    const std::lock_guard lock(mutex_);
    push_back(inode);
}

void DescriptorCache::push_back(Inode& inode) noexcept {
    inode.listed_ = true;
    inode.next_ = nullptr;
    inode.previous_ = last_;
    (last_ != nullptr ? last_->next_ : first_) = &inode;
    last_ = &inode;
}

void DescriptorCache::unlink(Inode& inode) noexcept {
    (inode.previous_ != nullptr ? inode.previous_->next_ : first_) = inode.next_;
    (inode.next_ != nullptr ? inode.next_->previous_ : last_) = inode.previous_;
    inode.listed_ = false;
    inode.previous_ = inode.next_ = nullptr;
}

}  // namespace dpfs::mirror
