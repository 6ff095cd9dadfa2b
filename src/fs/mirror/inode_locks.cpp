// SPDX-License-Identifier: Apache-2.0
#include "fs/mirror/inode_locks.hpp"

#include <algorithm>
#include <ranges>
#include <sys/eventfd.h>
#include <sys/file.h>

namespace dpfs::mirror {
namespace {

void signal(const LockWaiter& waiter) noexcept {
    ::eventfd_write(waiter.event.get(), 1);
}

}  // namespace

Result<void> LockAttempt::make() const noexcept {
    if (kind == fuse::LockKind::flock) {
        if (::flock(fd, operation) == 0) return {};
        return fail_errno();
    }
    struct flock wanted = range;
    if (::fcntl(fd, F_OFD_SETLK, &wanted) == 0) return {};
    // POSIX lets systems say either.
    if (errno == EACCES) return fail(Errno::again);
    return fail_errno();
}

bool LockAttempt::unlocks() const noexcept {
    if (kind == fuse::LockKind::flock) return (operation & LOCK_UN) != 0;
    return range.l_type == F_UNLCK;
}

LockDescription InodeLocks::find(fuse::LockOwner owner) {
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::find(owners_, owner, &Owner::owner);
    return found == owners_.end() ? nullptr : found->description;
}

LockDescription InodeLocks::add(fuse::LockOwner owner, LockDescription description) {
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::find(owners_, owner, &Owner::owner);
    if (found != owners_.end()) return found->description;
    owners_.push_back({owner, description});
    return description;
}

void InodeLocks::use_through(LockDescriptionState& description, fuse::FileHandle handle) {
    const std::lock_guard lock(mutex_);
    if (description.made_through != handle) description.made_through.reset();
}

void InodeLocks::unlock_all(const LockDescriptionState& description) noexcept {
    struct flock all = {};
    all.l_type = F_UNLCK;
    all.l_whence = SEEK_SET;
    ::fcntl(description.fd.get(), F_OFD_SETLK, &all);
}

bool InodeLocks::drop(fuse::LockOwner owner) {
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::find(owners_, owner, &Owner::owner);
    if (found == owners_.end()) return false;
    // Closing the description would do, but a thread of the owner may be waiting for another
    // lock with it, which must then last.
    unlock_all(*found->description);
    if (found->description.use_count() == 1) owners_.erase(found);
    return true;
}

bool InodeLocks::drop_made_through(fuse::FileHandle handle) {
    const std::lock_guard lock(mutex_);
    return std::erase_if(owners_, [&](const Owner& owner) {
               if (owner.description->made_through != handle) return false;
               unlock_all(*owner.description);
               return true;
           }) > 0;
}

std::uint32_t InodeLocks::holder_of(const struct flock& found) {
    constexpr std::size_t asked_count_max = 64;
    std::vector<LockDescription> asked;
    {
        const std::lock_guard lock(mutex_);
        for (const Owner& owner : owners_ | std::views::take(asked_count_max)) {
            asked.push_back(owner.description);
        }
    }
    for (const LockDescription& description : asked) {
        // Its own locks are in nobody's way: who sees no conflict there has the lock.
        struct flock test = found;
        test.l_type = F_WRLCK;
        test.l_pid = 0;
        const bool known = ::fcntl(description->fd.get(), F_OFD_GETLK, &test) == 0;
        const bool same = test.l_start == found.l_start && test.l_len == found.l_len;
        if (known && (test.l_type == F_UNLCK || !same)) return description->pid.load();
    }
    return 0;
}

void InodeLocks::enqueue(LockWaiter& waiter) {
    const std::lock_guard lock(mutex_);
    (last_ != nullptr ? last_->next : first_) = &waiter;
    last_ = &waiter;
}

std::optional<Result<void>> InodeLocks::leave(LockWaiter& waiter) {
    const std::lock_guard lock(mutex_);
    if (!waiter.result) unlink(waiter);
    return waiter.result;
}

bool InodeLocks::is_done(const LockWaiter& waiter) {
    const std::lock_guard lock(mutex_);
    return waiter.result.has_value();
}

void InodeLocks::serve(bool in_place) {
    const std::lock_guard lock(mutex_);
    LockWaiter* waiter = first_;
    while (waiter != nullptr) {
        LockWaiter& candidate = *waiter;
        waiter = waiter->next;
        if (!in_place) {
            signal(candidate);
            continue;
        }
        const Result<void> made = candidate.attempt.make();
        if (!made && made.error() == Errno::again) continue;
        unlink(candidate);
        candidate.result = made;
        signal(candidate);
    }
}

void InodeLocks::unlink(LockWaiter& waiter) noexcept {
    LockWaiter* before = nullptr;
    LockWaiter* at = first_;
    while (at != &waiter) {
        before = at;
        at = at->next;
    }
    (before != nullptr ? before->next : first_) = waiter.next;
    if (last_ == &waiter) last_ = before;
    waiter.next = nullptr;
}

}  // namespace dpfs::mirror
