// SPDX-License-Identifier: Apache-2.0
#include "base/or_return.hpp"
#include "fs/nfs/lock_waiters.hpp"
#include "fs/nfs/nfs_fs.hpp"

#include <algorithm>
#include <cstring>
#include <fcntl.h>

namespace dpfs::nfs {
namespace {

using nfs4::LockType;
using nfs4::Op;
using nfs4::Status;

constexpr std::uint64_t offset_max = INT64_MAX;
constexpr std::uint64_t to_the_end = ~std::uint64_t{0};

std::uint64_t length_of(const fuse::Lock& lock) noexcept {
    return lock.end >= offset_max ? to_the_end : lock.end - lock.start + 1;
}

LockType type_of(const fuse::LockRequest& request) noexcept {
    const bool exclusive = request.lock.type == F_WRLCK;
    if (request.wait) return exclusive ? LockType::write_wait : LockType::read_wait;
    return exclusive ? LockType::write : LockType::read;
}

/// A lock owner of the tenant in the server's eyes. flock(2) has owners of its own.
struct OwnerName {
    std::array<std::byte, 17> bytes;
};
OwnerName name_of(std::uint64_t instance, const fuse::LockRequest& request) noexcept {
    OwnerName name;
    const auto owner = static_cast<std::uint64_t>(request.owner);
    std::memcpy(name.bytes.data(), &instance, sizeof instance);
    std::memcpy(name.bytes.data() + 8, &owner, sizeof owner);
    name.bytes[16] = request.kind == fuse::LockKind::flock ? std::byte{2} : std::byte{1};
    return name;
}

LockState* find(std::vector<LockState>& locks, const fuse::LockRequest& request) noexcept {
    const auto owner = static_cast<std::uint64_t>(request.owner);
    const bool is_flock = request.kind == fuse::LockKind::flock;
    const auto found = std::ranges::find_if(locks, [&](const LockState& lock) {
        return lock.owner == owner && lock.is_flock == is_flock;
    });
    return found == locks.end() ? nullptr : &*found;
}

/// Passes the end of a tenant's request on to the nap that it is taking.
class PassedOn final : reactor::Cancelable {
  public:
    PassedOn(reactor::CancelSource& from, reactor::CancelSource& to) : to_(to) {
        if (from.canceled()) {
            to.cancel();
        } else {
            from.link(*this);
        }
    }
    ~PassedOn() override { unlink(); }

  private:
    void on_cancel() noexcept override { to_.cancel(); }
    reactor::CancelSource& to_;
};

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
    const OwnerName owner = name_of(instance_, request);
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
    lock.end = length > offset_max - std::min(lock.start, offset_max) ? offset_max
                                                                      : lock.start + length - 1;
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
    if (request.lock.type == F_UNLCK) co_return co_await unlock(context, *file, request);
    Duration nap = milliseconds(10);
    for (;;) {
        const auto answer =
            co_await or_return(co_await try_lock(context, *file, file.id(), request));
        if (answer.granted) co_return Result<void>();
        if (!request.wait) co_return fail(Errno::again);
        // No slot is held while it waits: the tenant's other requests go on.
        co_await or_return(co_await wait_for_lock(context, *file->inode, nap));
        nap = std::min(Duration{nap.ns * 2}, milliseconds(500));
    }
}

Task<Result<void>> NfsFs::wait_for_lock(fuse::Context& context,
                                        const Inode& inode,
                                        Duration time) {
    static_cast<void>(inode);
    reactor::CancelSource nap;
    LockWaiters* waiters = nullptr;
    for (const auto& each : lock_waiters_) {
        if (&each->reactor == &context.reactor) waiters = each.get();
    }
    DPFS_ASSERT(waiters != nullptr);
    waiters->naps.push_back(&nap);
    Result<void> slept;
    {
        const PassedOn passed_on(context.cancel, nap);
        slept = co_await context.reactor.sleep(time, &nap);
    }
    std::erase(waiters->naps, &nap);
    if (context.cancel.canceled()) co_return fail(Errno::interrupted);
    co_return Result<void>();
}

Task<Result<NfsFs::LockAnswer>> NfsFs::try_lock(fuse::Context& context,
                                                OpenFile& file,
                                                std::uint64_t file_id,
                                                fuse::LockRequest request) {
    Lane& lane = this->lane(context);
    Inode& inode = *file.inode;
    const OwnerName owner = name_of(instance_, request);
    for (int attempt = 1;; ++attempt) {
        const nfs4::StateId open_state = file.current_state();
        nfs4::LockArguments lock{.type = type_of(request),
                                 .offset = request.lock.start,
                                 .length = length_of(request.lock),
                                 .first = true,
                                 .state = open_state,
                                 .owner = {client_->client_id(), owner.bytes}};
        {
            const std::lock_guard guard(inode.mutex);
            if (const LockState* const known = find(inode.locks, request)) {
                lock.first = false;
                lock.state = known->state;
            }
        }
        lock.state.sequence = 0;
        const auto tried = lane.request(as(file.opener));
        tried->put_file(inode.handle());
        tried->must_be_cached();
        tried->put_lock(lock);
        co_await or_return(co_await lane.run(*tried, &context.cancel));
        if (is_state_lost(tried->status()) && attempt < state_attempt_count_max) {
            if (lock.first) {
                co_await or_return(co_await open_again(context, file, open_state));
            } else {
                const std::lock_guard guard(inode.mutex);
                if (LockState* const known = find(inode.locks, request)) {
                    inode.locks.erase(inode.locks.begin() + (known - inode.locks.data()));
                }
            }
            continue;
        }
        co_await or_return(tried->take(Op::putfh));
        if (tried->status() == Status::denied) co_return LockAnswer{};
        co_await or_return(tried->take(Op::lock));
        const nfs4::StateId state = nfs4::take_state_id(tried->reader());
        co_await or_return(tried->taken());

        const std::lock_guard guard(inode.mutex);
        LockState* known = find(inode.locks, request);
        if (known == nullptr) {
            known = &inode.locks.emplace_back();
            known->owner = static_cast<std::uint64_t>(request.owner);
            known->is_flock = request.kind == fuse::LockKind::flock;
            known->made_through = file_id;
        }
        known->state = state;
        known->held.lock({.start = request.lock.start,
                          .end = request.lock.end,
                          .exclusive = request.lock.type == F_WRLCK});
        co_return LockAnswer{.granted = true};
    }
}

Task<Result<void>> NfsFs::unlock(fuse::Context& context,
                                 OpenFile& file,
                                 fuse::LockRequest request) {
    Inode& inode = *file.inode;
    nfs4::StateId state;
    {
        const std::lock_guard guard(inode.mutex);
        const LockState* const known = find(inode.locks, request);
        if (known == nullptr) co_return Result<void>();  // nothing is held: done
        state = known->state;
    }
    Lane& lane = this->lane(context);
    const auto undone = lane.request(as(file.opener));
    undone->put_file(inode.handle());
    undone->must_be_cached();
    undone->put_unlock({.other = state.other}, request.lock.start, length_of(request.lock));
    co_await or_return(co_await lane.run(*undone));
    // What the server does not know it does not hold either.
    const bool is_gone = is_state_lost(undone->status());
    if (!is_gone) {
        co_await or_return(undone->take(Op::putfh));
        co_await or_return(undone->take(Op::locku));
        state = nfs4::take_state_id(undone->reader());
        co_await or_return(undone->taken());
    }
    const std::lock_guard guard(inode.mutex);
    LockState* const known = find(inode.locks, request);
    if (known == nullptr) co_return Result<void>();
    if (is_gone) {
        inode.locks.erase(inode.locks.begin() + (known - inode.locks.data()));
    } else {
        known->state = state;
        known->held.unlock(request.lock.start, request.lock.end);
    }
    co_return Result<void>();
}

Task<Result<void>> NfsFs::drop_locks(fuse::Context& context,
                                     InodePin inode,
                                     reactor::Credentials who,
                                     Dropped which) {
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
        const auto done = co_await lane.run(*request);
        if (!done) outcome = done;
    }
    co_return outcome;
}

}  // namespace dpfs::nfs
