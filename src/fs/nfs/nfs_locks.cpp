// SPDX-License-Identifier: Apache-2.0
#include "base/or_return.hpp"
#include "fs/nfs/nfs_fs.hpp"
#include "fs/nfs/passed_on.hpp"
#include "fs/nfs/place.hpp"
#include "fs/nfs/run_unattended.hpp"
#include "fs/nfs/state_attempts.hpp"

#include <algorithm>
#include <fcntl.h>

namespace dpfs::nfs {
namespace {

using nfs4::LockType;
using nfs4::Op;
using nfs4::Status;

constexpr std::uint64_t offset_max = INT64_MAX;
constexpr std::uint64_t to_the_end = ~std::uint64_t{0};
constexpr std::uint64_t no_open_file = 0;

std::uint64_t length_of(const fuse::Lock& lock) noexcept {
    return lock.end >= offset_max ? to_the_end : lock.end - lock.start + 1;
}

LockType type_of(const fuse::LockRequest& request) noexcept {
    const bool exclusive = request.lock.type == F_WRLCK;
    if (request.wait) return exclusive ? LockType::write_wait : LockType::read_wait;
    return exclusive ? LockType::write : LockType::read;
}

LockState* find(std::vector<LockState>& locks, const fuse::LockRequest& request) noexcept {
    const auto owner = static_cast<std::uint64_t>(request.owner);
    const bool is_flock = request.kind == fuse::LockKind::flock;
    const auto found = std::ranges::find_if(locks, [&](const LockState& lock) {
        return lock.owner == owner && lock.is_flock == is_flock;
    });
    return found == locks.end() ? nullptr : &*found;
}

LockTurns::Owner owner_of(const fuse::LockRequest& request) noexcept {
    return {.number = static_cast<std::uint64_t>(request.owner),
            .is_flock = request.kind == fuse::LockKind::flock};
}

}  // namespace

struct NfsFs::LockAnswer {
    bool granted = false;
    fuse::Lock other = {};  ///< what is in the way
};

Task<Result<fuse::Lock>> NfsFs::getlk(fuse::Context& context,
                                      fuse::NodeId node,
                                      fuse::FileHandle handle,
                                      fuse::LockRequest request) {
    const OpenFilePin file = co_await or_return(file_of(node, handle));
    Lane& lane = this->lane(context);
    std::uint64_t made_through = file->id;
    {
        const std::lock_guard guard(file->inode->mutex);
        const LockState* const own = find(file->inode->locks, request);
        if (own != nullptr) made_through = own->made_through;  // not in its own way
    }
    const StateOwners::Lock owner = owners_.of_lock(static_cast<std::uint64_t>(request.owner),
                                                    request.kind == fuse::LockKind::flock,
                                                    made_through);
    const auto test = lane.request(as(file->opener));
    test->put_file(file->inode->handle());
    test->put_lock_test(request.lock.type == F_WRLCK ? LockType::write : LockType::read,
                        request.lock.start,
                        length_of(request.lock),
                        {client_->client_id(), owner.bytes});
    co_await or_return(co_await lane.run(*test, &context.cancel));
    co_await or_return(test->take(Op::putfh));
    fuse::Lock lock = request.lock;
    if (test->status() == Status::ok) {
        lock.type = F_UNLCK;
        co_return lock;
    }
    if (test->status() != Status::denied) co_return fail(to_errno(test->status()));
    const auto denied = test->take(Op::lockt);
    static_cast<void>(denied);  // its status is what brings the data
    rpc::XdrReader& in = test->reader();
    lock.start = in.u64();
    const std::uint64_t length = in.u64();
    // nfs-ganesha says 0 for a lock to the end of the file, which RFC 8881 has no length for.
    const bool is_open_ended =
        length == 0 || length > offset_max - std::min(lock.start, offset_max);
    lock.end = is_open_ended ? offset_max : lock.start + length - 1;
    lock.type = LockType{in.u32()} == LockType::write ? F_WRLCK : F_RDLCK;
    lock.pid = 0;  // another client's, or another owner's: no process that the tenant knows
    co_await or_return(test->taken());
    co_return lock;
}

Task<Result<void>> NfsFs::setlk(fuse::Context& context,
                                fuse::NodeId node,
                                fuse::FileHandle handle,
                                fuse::LockRequest request) {
    const OpenFilePin file = co_await or_return(file_of(node, handle));
    if (request.kind == fuse::LockKind::flock) {
        request.lock.start = 0;
        request.lock.end = offset_max;
    }
    Duration nap = milliseconds(10);
    for (;;) {
        const auto work = std::make_shared<Unattended<LockAnswer>>(context);
        const auto answer = co_await or_return(co_await run_unattended(
            context, work, lock_unattended(work, file.share(), request)));
        if (answer.granted) co_return Result<void>();
        if (!request.wait) co_return fail(Errno::again);
        // No slot is held while it waits: the tenant's other requests go on.
        co_await or_return(co_await wait_for_lock(context, nap));
        nap = std::min(Duration{nap.ns * 2}, milliseconds(500));
    }
}

Task<void> NfsFs::lock_unattended(std::shared_ptr<Unattended<LockAnswer>> work,
                                  OpenFilePin file,
                                  fuse::LockRequest request) {
    // What is unlocked is unlocked whether the tenant waits for it or not.
    const bool unlocks = request.lock.type == F_UNLCK;
    reactor::CancelSource* const given_up = unlocks ? nullptr : &work->given_up();
    const auto turn = co_await file->inode->lock_turns.take(
        work->context.reactor, owner_of(request), file->id, given_up);
    if (!turn) {
        work->end(fail(turn.error()));
        co_return;
    }
    Result<LockAnswer> answer = LockAnswer{.granted = true};
    if (unlocks) {
        const auto unlocked = co_await unlock(work->context, *file, request);
        if (!unlocked) answer = fail(unlocked.error());
    } else {
        answer = co_await try_lock(work->context, *file, request, given_up);
        if (work->abandoned() && answer && answer->granted) {
            co_await undo_lock(work->context, *file, request);
        }
    }
    work->end(answer);
}

Task<Result<void>> NfsFs::wait_for_lock(fuse::Context& context, Duration time) {
    reactor::CancelSource nap;
    auto& naps = place(context).naps;
    naps.push_back(&nap);
    Result<void> slept;
    {
        const PassedOn passed_on(context.cancel, nap);
        slept = co_await context.reactor.sleep(time, &nap);
    }
    std::erase(naps, &nap);
    if (context.cancel.canceled()) co_return fail(Errno::interrupted);
    co_return Result<void>();
}

/// `given_up` is fired when the tenant does not wait any more: it is not taken to hold what is
/// granted then. nullptr: it never did, this undoes a lock.
Task<Result<NfsFs::LockAnswer>> NfsFs::try_lock(fuse::Context& context,
                                                OpenFile& file,
                                                fuse::LockRequest request,
                                                reactor::CancelSource* given_up) {
    Lane& lane = this->lane(context);
    Inode& inode = *file.inode;
    const StateOwners::Lock owner = owners_.of_lock(static_cast<std::uint64_t>(request.owner),
                                                    request.kind == fuse::LockKind::flock,
                                                    file.id);
    const Duration time_max = given_up == nullptr ? nfs4::for_ever : Duration{};
    for (StateAttempts attempts(*client_);;) {
        const std::uint64_t incarnation = client_->incarnation();
        const nfs4::StateId open_state = file.current_state();
        nfs4::LockArguments lock{.type = type_of(request),
                                 .offset = request.lock.start,
                                 .length = length_of(request.lock),
                                 .first = true,
                                 .state = {.other = open_state.other},
                                 .owner = {client_->client_id(), owner.bytes}};
        {
            const std::lock_guard guard(inode.mutex);
            if (const LockState* const known = find(inode.locks, request)) {
                lock.first = false;
                lock.state = {.other = known->state.other};
            }
        }
        const auto tried = lane.request(as(file.opener));
        tried->put_file(inode.handle());
        tried->must_be_cached();
        tried->call.must_be_answered = true;
        tried->put_lock(lock);
        co_await or_return(co_await lane.run(*tried, given_up, time_max));
        if (is_state_lost(tried->status()) && attempts.again()) {
            if (lock.first) {
                co_await or_return(co_await open_again(context, file, open_state));
            } else {
                lose_lock(context, file, request, lock.state);
            }
            continue;
        }
        co_await or_return(tried->take(Op::putfh));
        if (tried->status() == Status::denied) co_return LockAnswer{};
        co_await or_return(tried->take(Op::lock));
        const nfs4::StateId state = nfs4::take_state_id(tried->reader());
        co_await or_return(tried->taken());
        const std::lock_guard guard(inode.mutex);
        // Granted by a server that has forgotten since: it was no part of what was reclaimed.
        if (client_->incarnation() != incarnation) continue;
        LockState* known = find(inode.locks, request);
        if (known == nullptr) {
            known = &inode.locks.emplace_back();
            known->owner = static_cast<std::uint64_t>(request.owner);
            known->is_flock = request.kind == fuse::LockKind::flock;
            known->made_through = file.id;
        }
        known->state = state;
        if (given_up != nullptr && !given_up->canceled()) {
            known->held.lock({.start = request.lock.start,
                              .end = request.lock.end,
                              .exclusive = request.lock.type == F_WRLCK});
        }
        co_return LockAnswer{.granted = true};
    }
}

/// The server does not know `used` of the owner any more. If the owner has another one by now,
/// because locks were reclaimed meanwhile, nothing is lost.
void NfsFs::lose_lock(const fuse::Context& context,
                      OpenFile& file,
                      const fuse::LockRequest& request,
                      const nfs4::StateId& used) {
    bool held = false;
    std::uint64_t made_through = 0;
    {
        const std::lock_guard guard(file.inode->mutex);
        auto& locks = file.inode->locks;
        const LockState* const known = find(locks, request);
        if (known == nullptr || known->state.other != used.other) return;
        held = !known->held.empty();
        made_through = known->made_through;
        locks.erase(locks.begin() + (known - locks.data()));
    }
    if (!held) return;
    if (may_log(context.reactor)) {
        log_.warning("the server has forgotten locks that a tenant holds");
    }
    const auto holder = open_files_.pin(made_through);
    if (!holder) return;
    const std::lock_guard guard(file.inode->mutex);
    give_up(**holder);
}

Task<Result<void>> NfsFs::unlock(fuse::Context& context,
                                 OpenFile& file,
                                 fuse::LockRequest request) {
    Inode& inode = *file.inode;
    Lane& lane = this->lane(context);
    // Who has the lock next must see what was written under it.
    if (inode.behind.load()) {
        const auto caught_up = co_await catch_up(context, inode);
        static_cast<void>(caught_up);  // fsync and close tell the error
    }
    for (StateAttempts attempts(*client_);;) {
        nfs4::StateId used;
        {
            const std::lock_guard guard(inode.mutex);
            LockState* const known = find(inode.locks, request);
            if (known == nullptr) co_return Result<void>();  // nothing is held: done
            used = known->state;
            // From here on it may be somebody else's: it must not be reclaimed.
            known->held.unlock(request.lock.start, request.lock.end);
        }
        const auto undone = lane.request(as(file.opener));
        undone->put_file(inode.handle());
        undone->must_be_cached();
        undone->put_unlock({.other = used.other}, request.lock.start, length_of(request.lock));
        co_await or_return(co_await lane.run(*undone, nullptr, nfs4::for_ever));
        const bool is_gone = is_state_lost(undone->status());
        nfs4::StateId state;
        if (!is_gone) {
            co_await or_return(undone->take(Op::putfh));
            co_await or_return(undone->take(Op::locku));
            state = nfs4::take_state_id(undone->reader());
            co_await or_return(undone->taken());
        }
        const std::lock_guard guard(inode.mutex);
        LockState* const known = find(inode.locks, request);
        if (known == nullptr) co_return Result<void>();
        if (known->state.other != used.other) {
            // Reclaimed meanwhile, under another state.
            if (attempts.again()) continue;
            co_return fail(Errno::io_error);
        }
        if (is_gone) {
            // What the server does not know it does not hold either.
            inode.locks.erase(inode.locks.begin() + (known - inode.locks.data()));
        } else {
            known->state = state;
        }
        co_return Result<void>();
    }
}

/// A lock was granted after the tenant had given it up: the server is told what the owner held
/// before, range by range, so that what it keeps is free at no moment.
Task<void> NfsFs::undo_lock(fuse::Context& context, OpenFile& file, fuse::LockRequest request) {
    const std::uint64_t start = request.lock.start;
    const std::uint64_t end = request.lock.end;
    std::vector<HeldRanges::Range> kept;
    HeldRanges gaps;
    gaps.lock({.start = start, .end = end, .exclusive = false});
    {
        const std::lock_guard guard(file.inode->mutex);
        const LockState* const known = find(file.inode->locks, request);
        if (known == nullptr) co_return;
        kept = known->held.within(start, end);
    }
    request.wait = false;
    for (const HeldRanges::Range& each : kept) {
        gaps.unlock(each.start, each.end);
        request.lock.start = each.start;
        request.lock.end = each.end;
        request.lock.type = each.exclusive ? F_WRLCK : F_RDLCK;
        const auto kept_lock = co_await try_lock(context, file, request, nullptr);
        static_cast<void>(kept_lock);  // it is held already: nobody can be in the way
    }
    for (const HeldRanges::Range& each : gaps.list()) {
        request.lock.start = each.start;
        request.lock.end = each.end;
        const auto unlocked = co_await unlock(context, file, request);
        static_cast<void>(unlocked);  // CLOSE does it too
    }
}

/// What was asked for before, and perhaps given up, comes to its end first.
Task<Result<void>> NfsFs::wait_for_turns(fuse::Context& context, Inode& inode, Dropped which) {
    LockTurns& turns = inode.lock_turns;
    std::optional<LockTurns::Owner> owner;
    if (which.posix_owner && !turns.idle()) owner = {.number = *which.posix_owner};
    if (!which.posix_owner) owner = turns.user_of(which.made_through);
    while (owner) {
        const auto turn =
            co_await or_return(co_await turns.take(context.reactor, *owner, no_open_file));
        owner.reset();
        if (!which.posix_owner) owner = turns.user_of(which.made_through);
    }
    co_return Result<void>();
}

Task<Result<void>> NfsFs::drop_locks(fuse::Context& context,
                                     InodePin inode,
                                     reactor::Credentials who,
                                     Dropped which) {
    co_await or_return(co_await wait_for_turns(context, *inode, which));
    const auto stays = [&which](const LockState& lock) {
        if (which.posix_owner) return lock.is_flock || lock.owner != *which.posix_owner;
        return lock.made_through != which.made_through;
    };
    std::vector<LockState> dropped;
    {
        const std::lock_guard guard(inode->mutex);
        auto& locks = inode->locks;
        if (locks.empty()) co_return Result<void>();
        const auto kept = std::partition(locks.begin(), locks.end(), stays);
        std::move(kept, locks.end(), std::back_inserter(dropped));
        locks.erase(kept, locks.end());
    }
    Lane& lane = this->lane(context);
    Result<void> outcome;
    for (const LockState& lock : dropped) {
        const auto request = lane.request(as(who));
        request->put_file(inode->handle());
        request->must_be_cached();
        if (!lock.held.empty()) {
            request->put_unlock({.other = lock.state.other}, 0, to_the_end);
        }
        request->put_state(Op::free_stateid, {.other = lock.state.other});
        const auto done = co_await lane.run(*request, nullptr, nfs4::for_ever);
        if (!done) outcome = done;
    }
    co_return outcome;
}

}  // namespace dpfs::nfs
