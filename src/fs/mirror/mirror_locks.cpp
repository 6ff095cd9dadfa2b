// SPDX-License-Identifier: Apache-2.0
#include "base/or_return.hpp"
#include "fs/mirror/mirror_fs.hpp"
#include "fs/mirror/proc_fd.hpp"

#include <algorithm>
#include <limits>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/file.h>

namespace dpfs::mirror {
namespace {

constexpr std::uint64_t offset_max = std::numeric_limits<std::int64_t>::max();

/// The kernel's form of a byte range. Errors: EINVAL, EOVERFLOW.
Result<struct flock> range_of(const fuse::Lock& lock) noexcept {
    if (lock.start > lock.end) return fail(Errno::invalid);
    if (lock.start > offset_max) return fail(Errno::overflow);
    if (lock.type != F_RDLCK && lock.type != F_WRLCK && lock.type != F_UNLCK) {
        return fail(Errno::invalid);
    }
    struct flock range = {};
    range.l_type = static_cast<short>(lock.type);
    range.l_whence = SEEK_SET;
    range.l_start = static_cast<off_t>(lock.start);
    // 0: to the end, wherever that will be.
    const bool to_end = lock.end >= offset_max;
    range.l_len = to_end ? 0 : static_cast<off_t>(lock.end - lock.start + 1);
    return range;
}

Result<int> flock_operation(std::uint32_t type) noexcept {
    if (type == F_RDLCK) return LOCK_SH | LOCK_NB;
    if (type == F_WRLCK) return LOCK_EX | LOCK_NB;
    if (type == F_UNLCK) return LOCK_UN | LOCK_NB;
    return fail(Errno::invalid);
}

}  // namespace

Task<Result<fuse::Lock>> MirrorFs::getlk(fuse::Context& context,
                                         fuse::NodeId node,
                                         fuse::FileHandle handle,
                                         fuse::LockRequest request) {
    OpenFilePin file = co_await or_return(file_of(node, handle));
    struct flock range = co_await or_return(range_of(request.lock));
    // The owner's own locks are no obstacle to it, so its description asks; a description that
    // holds none asks for an owner that has none.
    LockDescription mine;
    if (InodeLocks* const locks = file->inode->locks_if_any())
        mine = locks->find(request.owner);
    const int fd = mine ? mine->fd.get() : file->descriptor.get();
    std::uint32_t holder = 0;
    auto ask = [&]() -> Result<void> {
        if (::fcntl(fd, F_OFD_GETLK, &range) != 0) return fail_errno();
        InodeLocks* const known = file->inode->locks_if_any();
        if (range.l_type != F_UNLCK && known != nullptr) holder = known->holder_of(range);
        return {};
    };
    co_await or_return(co_await look(context, file->inode->mount(), CallKind::look, ask));

    fuse::Lock answer = request.lock;
    answer.type = static_cast<std::uint32_t>(range.l_type);
    answer.pid = holder;  // a process of the host, or of another tenant, is nobody here
    if (range.l_type != F_UNLCK) {
        answer.start = static_cast<std::uint64_t>(range.l_start);
        answer.end = range.l_len == 0
                         ? offset_max
                         : answer.start + static_cast<std::uint64_t>(range.l_len) - 1;
    }
    co_return answer;
}

Task<Result<void>> MirrorFs::setlk(fuse::Context& context,
                                   fuse::NodeId node,
                                   fuse::FileHandle handle,
                                   fuse::LockRequest request) {
    OpenFilePin file = co_await or_return(file_of(node, handle));
    LockAttempt attempt;
    attempt.kind = request.kind;
    if (request.kind == fuse::LockKind::flock) {
        attempt.fd = file->descriptor.get();
        attempt.operation = co_await or_return(flock_operation(request.lock.type));
        file->flocked.store(true, std::memory_order_relaxed);
        co_return co_await set_lock(context, *file, std::move(attempt), request.wait);
    }

    attempt.range = co_await or_return(range_of(request.lock));
    if (attempt.unlocks()) {
        InodeLocks* const locks = file->inode->locks_if_any();
        if (locks != nullptr) attempt.description = locks->find(request.owner);
        if (!attempt.description) co_return Result<void>();
    } else {
        attempt.description = co_await or_return(
            co_await lock_description(context, *file, handle, request.owner));
    }
    file->inode->locks().use_through(*attempt.description, handle);
    attempt.description->pid.store(request.lock.pid, std::memory_order_relaxed);
    attempt.fd = attempt.description->fd.get();
    co_return co_await set_lock(context, *file, std::move(attempt), request.wait);
}

Task<Result<LockDescription>> MirrorFs::lock_description(fuse::Context& context,
                                                         OpenFile& file,
                                                         fuse::FileHandle handle,
                                                         fuse::LockOwner owner) {
    InodeLocks& locks = file.inode->locks();
    if (LockDescription known = locks.find(owner)) co_return known;

    LockBudget::Share share = co_await or_return(lock_budget_.take());
    // Reopened from the descriptor in hand, so it is the same inode whatever its name is now.
    // Write locks need a description for writing, which the file may not allow.
    auto open_again = [&]() -> Result<UniqueFd> {
        const int wanted = options_.read_only ? O_RDONLY : O_RDWR;
        auto opened = reopen(proc_fd_.get(), file.descriptor.get(), wanted | O_NONBLOCK);
        if (opened || wanted == O_RDONLY) return opened;
        return reopen(proc_fd_.get(), file.descriptor.get(), O_RDONLY | O_NONBLOCK);
    };
    auto opened = co_await look(context, file.inode->mount(), CallKind::look, open_again);
    UniqueFd fd = co_await or_return(std::move(opened));
    auto made = std::make_shared<LockDescriptionState>(std::move(fd), handle, std::move(share));
    co_return locks.add(owner, std::move(made));
}

Task<Result<void>> MirrorFs::set_lock(fuse::Context& context,
                                      OpenFile& file,
                                      LockAttempt attempt,
                                      bool wait) {
    Mount& mount = file.inode->mount();
    auto try_it = [&]() -> Result<void> { return attempt.make(); };
    const auto made = co_await look(context, mount, CallKind::look, try_it);
    if (made) {
        // Also a lock that replaces one may let others in: a write lock turned read lock.
        InodeLocks* const locks = file.inode->locks_if_any();
        if (locks != nullptr) locks->serve(mount.answers_at_once());
        co_return made;
    }
    if (made.error() != Errno::again || !wait) co_return made;
    co_return co_await wait_for_lock(context, file, std::move(attempt));
}

Task<Result<void>> MirrorFs::wait_for_lock(fuse::Context& context,
                                           OpenFile& file,
                                           LockAttempt attempt) {
    // No thread waits: a release by this daemon serves the waiters at once, a release by
    // somebody else is found by asking now and then.
    constexpr Duration pause_min = milliseconds(1);
    constexpr Duration pause_max = milliseconds(20);

    const LockBudget::Share share = co_await or_return(lock_budget_.take());
    InodeLocks& locks = file.inode->locks();
    Mount& mount = file.inode->mount();
    const bool in_place = mount.answers_at_once();
    LockWaiter waiter;
    waiter.attempt = std::move(attempt);
    waiter.event.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!waiter.event) co_return fail(Errno::no_locks);
    locks.enqueue(waiter);

    const bool bounded = options_.lock_wait_max > Duration{};
    const Instant end =
        bounded ? context.reactor.now() + options_.lock_wait_max : Instant::never();
    Duration pause = pause_min;
    for (;;) {
        const Instant next = std::min(context.reactor.now() + pause, end);
        const auto woken = co_await context.reactor.poll(
            waiter.event.get(), POLLIN, {.deadline = next, .cancel = &context.cancel});
        const bool given_up = context.cancel.canceled() || context.reactor.now() >= end ||
                              (!woken && woken.error() != Errno::timed_out);
        if (given_up || locks.is_done(waiter)) break;

        pause = std::min(Duration{pause.ns * 2}, pause_max);
        if (in_place) {
            locks.serve(true);
            continue;  // with the event signalled, if this one was served
        }
        eventfd_t count = 0;
        ::eventfd_read(waiter.event.get(), &count);
        auto try_it = [&]() -> Result<void> { return waiter.attempt.make(); };
        const auto made = co_await look(context, mount, CallKind::look, try_it);
        if (made || made.error() != Errno::again) {
            locks.leave(waiter);
            co_return made;
        }
    }
    // A lock that was granted in the last moment is a lock.
    const auto result = locks.leave(waiter);
    if (result) co_return *result;
    co_return fail(context.cancel.canceled() ? Errno::interrupted : Errno::deadlock);
}

void MirrorFs::drop_posix_locks(Inode& inode, fuse::LockOwner owner) {
    InodeLocks* const locks = inode.locks_if_any();
    if (locks != nullptr && locks->drop(owner)) locks->serve(inode.mount().answers_at_once());
}

}  // namespace dpfs::mirror
