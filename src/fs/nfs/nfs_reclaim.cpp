// SPDX-License-Identifier: Apache-2.0
#include "base/or_return.hpp"
#include "fs/nfs/lock_waiters.hpp"
#include "fs/nfs/nfs_fs.hpp"

#include <algorithm>
#include <cstring>

namespace dpfs::nfs {

using nfs4::Op;

/// After a server's restart: everything that was open and locked is claimed again, before
/// anybody else can take it (RFC 8881, 8.4.2.1). What cannot be had back is logged, and tried
/// anew as a plain OPEN when it is used.
Task<Result<void>> NfsFs::reclaim(Lane& lane) {
    std::vector<OpenFilePin> files;
    open_files_.for_each([&](OpenFilePin& file) {
        if (!file->is_directory) files.push_back(file.share());
    });
    std::size_t count = 0;
    for (OpenFilePin& file : files) {
        const auto done = co_await reclaim_file(lane, file.share());
        if (done) {
            ++count;
        } else if (done.error() == Errno::connection_reset ||
                   done.error() == Errno::shut_down) {
            co_return done;  // all of it again, over the next connection
        }
    }
    if (!files.empty()) log_.info("{} of {} open files reclaimed", count, files.size());
    co_return Result<void>();
}

Task<Result<void>> NfsFs::reclaim_file(Lane& lane, OpenFilePin file) {
    const OwnerBytes owner = new_owner();
    {
        const auto request = lane.request(as(file->opener));
        request->call.early = true;
        request->put_file(file->inode->handle());
        request->must_be_cached();
        request->put_open({.access = file->access,
                           .owner = {client_->client_id(), owner.bytes},
                           .claim = nfs4::Claim::previous});
        co_await or_return(co_await lane.run(*request));
        co_await or_return(request->take(Op::putfh));
        const auto opened = request->take(Op::open);
        if (!opened) {
            // Not in grace: the lease was over, and what was locked may be another's by now.
            const std::lock_guard guard(file->inode->mutex);
            const std::uint64_t id = file.id();
            auto& locks = file->inode->locks;
            const auto gone = std::erase_if(
                locks, [id](const LockState& lock) { return lock.made_through == id; });
            if (gone > 0) file->locks_lost.store(true);
            log_.warning("an open file could not be reclaimed ({}){}",
                         name_of(request->status()),
                         gone > 0 ? "; its locks are lost" : "");
            co_return opened;
        }
        const nfs4::Opened again = nfs4::take_opened(request->reader());
        co_await or_return(request->taken());
        file->set_state(again.state);
    }
    std::vector<LockState> locks;
    {
        const std::lock_guard guard(file->inode->mutex);
        locks = file->inode->locks;
    }
    for (const LockState& lock : locks) {
        if (lock.made_through != file.id()) continue;
        co_await or_return(co_await reclaim_locks(lane, file.share(), lock));
    }
    co_return Result<void>();
}

Task<Result<void>> NfsFs::reclaim_locks(Lane& lane, OpenFilePin file, LockState lock) {
    std::array<std::byte, 17> owner = {};
    std::memcpy(owner.data(), &instance_, sizeof instance_);
    std::memcpy(owner.data() + 8, &lock.owner, sizeof lock.owner);
    owner[16] = lock.is_flock ? std::byte{2} : std::byte{1};
    bool first = true;
    nfs4::StateId state = file->current_state();
    for (const HeldRanges::Range& range : lock.held.list()) {
        const bool is_open_ended = range.end >= INT64_MAX;
        const auto request = lane.request(as(file->opener));
        request->call.early = true;
        request->put_file(file->inode->handle());
        request->must_be_cached();
        request->put_lock(
            {.type = range.exclusive ? nfs4::LockType::write : nfs4::LockType::read,
             .reclaim = true,
             .offset = range.start,
             .length = is_open_ended ? ~std::uint64_t{0} : range.end - range.start + 1,
             .first = first,
             .state = {.other = state.other},
             .owner = {client_->client_id(), owner}});
        co_await or_return(co_await lane.run(*request));
        co_await or_return(request->take(Op::putfh));
        const auto locked = request->take(Op::lock);
        if (!locked) {
            log_.warning("a lock could not be reclaimed ({})", name_of(request->status()));
            file->locks_lost.store(true);
            co_return Result<void>();
        }
        state = nfs4::take_state_id(request->reader());
        co_await or_return(request->taken());
        first = false;
    }
    const std::lock_guard guard(file->inode->mutex);
    for (LockState& each : file->inode->locks) {
        if (each.owner == lock.owner && each.is_flock == lock.is_flock) each.state = state;
    }
    co_return Result<void>();
}

void NfsFs::lock_may_be_free(const nfs4::FileHandle& handle) {
    // Whoever waits tries again, for whatever file: to ask costs one round trip each.
    static_cast<void>(handle);
    background_.spawn(wake_lock_waiters());
}

nfs4::Status NfsFs::recall(const nfs4::FileHandle& handle, const nfs4::StateId& delegation) {
    // Each delegation that comes is given back where it came: none is ours.
    static_cast<void>(handle);
    static_cast<void>(delegation);
    return nfs4::Status::bad_stateid;
}

void NfsFs::copy_ended(const nfs4::CopyOutcome& outcome) {
    static_cast<void>(outcome);  // no copy is asked for
}

Task<void> NfsFs::wake_lock_waiters() {
    for (const auto& waiters : lock_waiters_) {
        co_await reactor::Reactor::switch_to(waiters->reactor);
        const auto naps = waiters->naps;
        for (reactor::CancelSource* const nap : naps) nap->cancel();
    }
    co_await reactor::Reactor::switch_to(*reactors_.front());
}

}  // namespace dpfs::nfs
