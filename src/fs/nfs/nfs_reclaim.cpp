// SPDX-License-Identifier: Apache-2.0
#include "base/or_return.hpp"
#include "fs/nfs/nfs_fs.hpp"
#include "fs/nfs/place.hpp"

#include <vector>

namespace dpfs::nfs {

using nfs4::Op;

/// After a server's restart: everything that was open and locked is claimed again, before
/// anybody else can take it (RFC 8881, 8.4.2.1). What cannot be had back is logged, and tried
/// anew as a plain OPEN when it is used. It may be called again for the same client id, where a
/// connection was lost in between: what has been reclaimed under it is left out.
Task<Result<void>> NfsFs::reclaim(Lane& lane) {
    file_systems_.forget();
    const std::uint64_t incarnation = client_->incarnation();
    all_fall_behind(incarnation);
    std::vector<OpenFilePin> files;
    open_files_.for_each([&](OpenFilePin& file) {
        if (file->is_directory || file->state_incarnation() == incarnation) return;
        files.push_back(file.share());
    });
    std::size_t count = 0;
    for (OpenFilePin& file : files) {
        const auto done = co_await reclaim_file(lane, file.share(), incarnation);
        if (done) {
            ++count;
        } else if (done.error() == Errno::connection_reset ||
                   done.error() == Errno::shut_down) {
            co_return done;  // the rest of it again, over the next connection
        }
    }
    end_lost_delegations(incarnation);
    if (!files.empty()) log_.info("{} of {} open files reclaimed", count, files.size());
    co_return co_await send_all_again(lane);
}

/// A server that has restarted has lost what was in its memory: it gets that back before
/// anybody reads.
Task<Result<void>> NfsFs::send_all_again(Lane& lane) {
    const std::uint64_t incarnation = client_->incarnation();
    std::vector<OpenFilePin> files;
    open_files_.for_each([&](OpenFilePin& file) {
        if (file->is_directory || file->state_incarnation() != incarnation) return;
        if ((file->access & nfs4::share::access_write) == 0) return;
        if (file->inode->behind.load()) files.push_back(file.share());
    });
    for (OpenFilePin& file : files) {
        if (!file->inode->behind.load()) continue;  // sent through another one
        const auto sent = co_await send_again(lane, *file, true);
        if (sent) continue;
        if (sent.error() == Errno::connection_reset || sent.error() == Errno::shut_down) {
            co_return sent;  // all of it again, over the next connection
        }
        // It stays behind: the next use tries again.
        if (!may_log(lane.reactor())) continue;
        log_.error("data could not be sent again ({})", errno_name(sent.error()));
    }
    co_return Result<void>();
}

Task<Result<void>> NfsFs::reclaim_file(Lane& lane,
                                       OpenFilePin file,
                                       std::uint64_t incarnation) {
    const StateOwners::Open owner = owners_.of_open(file->owner);
    const bool was_asked_before = file->reclaim_asked_in == incarnation;
    file->reclaim_asked_in = incarnation;
    const bool reclaims_delegation = has_delegation_to_reclaim(*file, incarnation);
    nfs4::Opened again;
    {
        const auto request = lane.request(as(file->opener));
        request->call.early = true;
        request->put_file(file->inode->handle());
        request->must_be_cached();
        request->put_open({.access = file->access,
                           .owner = {client_->client_id(), owner.bytes},
                           .claim = nfs4::Claim::previous,
                           .wants_delegation = reclaims_delegation,
                           .reclaims_delegation = reclaims_delegation});
        co_await or_return(co_await lane.run(*request));
        co_await or_return(request->take(Op::putfh));
        const auto opened = request->take(Op::open);
        if (!opened) {
            // Not in grace: the lease was over, and what was locked may be another's by now.
            static_cast<void>(lose_locks(*file));  // the server has restarted: it knows none
            file->may_be_open.store(was_asked_before);
            if (may_log(lane.reactor())) {
                log_.warning("an open file could not be reclaimed ({}){}",
                             name_of(request->status()),
                             file->locks_lost.load() ? "; its locks are lost" : "");
            }
            co_return opened;
        }
        again = nfs4::take_opened(request->reader());
        co_await or_return(request->taken());
    }
    if (again.delegated) take_reclaimed_delegation(*file, again, incarnation);
    std::vector<LockState> locks;
    {
        const std::lock_guard guard(file->inode->mutex);
        locks = file->inode->locks;
    }
    for (const LockState& lock : locks) {
        if (lock.made_through != file->id) continue;
        co_await or_return(co_await reclaim_locks(lane, file.share(), again.state, lock));
    }
    // Last: only a file with all of its locks is done.
    file->set_state(again.state, incarnation);
    co_return Result<void>();
}

Task<Result<void>> NfsFs::reclaim_locks(Lane& lane,
                                        OpenFilePin file,
                                        nfs4::StateId state,
                                        LockState lock) {
    const StateOwners::Lock owner =
        owners_.of_lock(lock.owner, lock.is_flock, lock.made_through);
    bool first = true;
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
             .owner = {client_->client_id(), owner.bytes}});
        co_await or_return(co_await lane.run(*request));
        co_await or_return(request->take(Op::putfh));
        const auto locked = request->take(Op::lock);
        if (!locked) {
            if (may_log(lane.reactor())) {
                log_.warning("a lock could not be reclaimed ({})", name_of(request->status()));
            }
            const std::lock_guard guard(file->inode->mutex);
            give_up(*file);
            break;
        }
        state = nfs4::take_state_id(request->reader());
        co_await or_return(request->taken());
        first = false;
    }
    const std::lock_guard guard(file->inode->mutex);
    for (LockState& each : file->inode->locks) {
        if (each.owner == lock.owner && each.is_flock == lock.is_flock) each.state = state;
    }
    // Of which nothing is reclaimed has no state at the server.
    std::erase_if(file->inode->locks, [&](const LockState& each) {
        return first && each.owner == lock.owner && each.is_flock == lock.is_flock;
    });
    co_return Result<void>();
}

void NfsFs::lock_may_be_free(const nfs4::FileHandle& handle) {
    // Whoever waits tries again, for whatever file: to ask costs one round trip each.
    static_cast<void>(handle);
    home_place().background.spawn(wake_lock_waiters());
}

Task<void> NfsFs::wake_lock_waiters() {
    for (const auto& place : places_) {
        co_await reactor::Reactor::switch_to(place->reactor);
        const auto naps = place->naps;
        for (reactor::CancelSource* const nap : naps) nap->cancel();
    }
    co_await reactor::Reactor::switch_to(home_place().reactor);
}

}  // namespace dpfs::nfs
