// SPDX-License-Identifier: Apache-2.0
// Files that nobody else changes while we say so (RFC 8881, 10.4): what is asked about them,
// and opens for reading, need no request. Only read delegations are kept: data are written to
// the server at once in any case.
#include "fs/nfs/nfs_fs.hpp"
#include "fs/nfs/place.hpp"
#include "fuse/wire_file.hpp"

namespace dpfs::nfs {

using nfs4::Op;

bool NfsFs::wants_delegation(std::uint32_t access) const noexcept {
    return options_.delegations && options_.cache != CachePolicy::never &&
           access == nfs4::share::access_read &&
           delegations_.held_count.load() < Delegations::held_count_max;
}

void NfsFs::take_delegation(fuse::Context& context,
                            OpenFile& file,
                            const nfs4::Opened& opened,
                            std::uint64_t incarnation) {
    if (!opened.delegated) return;
    Inode& inode = *file.inode;
    if (!opened.is_write_delegation && wants_delegation(file.access)) {
        const std::lock_guard guard(inode.mutex);
        // Looked at under the lock under which recall() looks for it.
        const bool is_good = !delegations_.was_recalled(opened.delegation) &&
                             !inode.delegation && inode.writer_count == 0 &&
                             client_->incarnation() == incarnation;
        if (is_good) {
            inode.delegation = std::make_unique<Delegation>(
                opened.delegation, incarnation, file.opener, delegations_.next_epoch());
            inode.delegated.store(true);
            delegations_.held_count.fetch_add(1);
            return;
        }
        if (inode.delegation && inode.delegation->state().other == opened.delegation.other) {
            return;  // the one that is held
        }
    }
    place(context).background.spawn(
        return_delegation(context.reactor, inode.handle(), opened.delegation, file.opener));
}

Delegation::Moment NfsFs::moment_of(Inode& inode) {
    if (!inode.delegated.load()) return {};
    const std::lock_guard guard(inode.mutex);
    if (!inode.delegation) return {};
    return {.epoch = inode.delegation->epoch(),
            .name_change_count = delegations_.name_change_count()};
}

std::optional<Seen> NfsFs::seen_here(Inode& inode) {
    if (!inode.delegated.load()) return std::nullopt;
    const std::lock_guard guard(inode.mutex);
    if (!inode.delegation || inode.delegation->incarnation() != client_->incarnation()) {
        return std::nullopt;
    }
    auto seen = inode.delegation->seen(delegations_.name_change_count());
    if (seen) delegations_.used_count.fetch_add(1, std::memory_order_relaxed);
    return seen;
}

void NfsFs::note_seen(Inode& inode, const Seen& seen, Delegation::Moment asked) {
    if (asked.epoch == 0) return;
    const std::lock_guard guard(inode.mutex);
    if (inode.delegation) inode.delegation->see(seen, asked);
}

std::optional<fuse::OpenReply> NfsFs::reopen_idle(const fuse::Context& context, Inode& inode) {
    if (!inode.delegated.load()) return std::nullopt;
    const std::lock_guard guard(inode.mutex);
    Delegation* const held = inode.delegation.get();
    if (held == nullptr || held->incarnation() != client_->incarnation()) return std::nullopt;
    OpenFilePin idle;
    const auto id = held->take_idle([&](std::uint64_t each) {
        auto file = open_files_.pin(each);
        const bool fits = file && (*file)->opener == context.caller &&
                          !(*file)->locks_lost.load() && !(*file)->closed.load();
        if (fits) idle = std::move(*file);
        return fits;
    });
    if (!id) return std::nullopt;
    idle->is_idle.store(false);
    idle->released.store(false);
    delegations_.used_count.fetch_add(1, std::memory_order_relaxed);
    fuse::OpenReply reply = {.handle = fuse::FileHandle{*id}};
    // What was cached when it was opened before has not changed since.
    reply.open_flags = fuse::wire::fopen::keep_cache;
    return reply;
}

bool NfsFs::keep_idle(OpenFile& file) {
    Inode& inode = *file.inode;
    if (!inode.delegated.load() || file.access != nfs4::share::access_read) return false;
    const std::lock_guard guard(inode.mutex);
    if (!inode.delegation || inode.delegation->incarnation() != client_->incarnation()) {
        return false;
    }
    const bool has_locks = std::ranges::any_of(
        inode.locks, [&file](const LockState& lock) { return lock.made_through == file.id; });
    if (has_locks || file.locks_lost.load()) return false;
    if (!inode.delegation->keep_idle(file.id)) return false;
    file.is_idle.store(true);
    return true;
}

std::unique_ptr<Delegation> NfsFs::take_away_delegation(Inode& inode) {
    if (!inode.delegated.load()) return nullptr;
    const std::lock_guard guard(inode.mutex);
    return take_away_locked(inode);
}

std::unique_ptr<Delegation> NfsFs::take_away_locked(Inode& inode) {
    if (inode.delegation) delegations_.held_count.fetch_sub(1);
    inode.delegated.store(false);
    return std::move(inode.delegation);
}

void NfsFs::end_delegation(fuse::Context& context, Inode& inode) {
    auto ended = take_away_delegation(inode);
    if (!ended) return;
    place(context).background.spawn(
        give_up_delegation(context.reactor, inodes_.share(inode), std::move(ended)));
}

/// The opens that nobody uses first: with the delegation gone, they would be in the way of
/// nobody, but would stay for nothing.
Task<void> NfsFs::give_up_delegation(reactor::Reactor& reactor,
                                     InodePin inode,
                                     std::unique_ptr<Delegation> ended) {
    reactor::CancelSource never;
    fuse::Context context{.reactor = reactor, .cancel = never, .caller = ended->holder()};
    for (const std::uint64_t id : ended->idle()) {
        auto file = open_files_.pin(id);
        if (!file) continue;
        const auto closed = co_await close_file(context, std::move(*file));
        static_cast<void>(closed);  // the lease's end does it too
    }
    if (ended->incarnation() != client_->incarnation()) co_return;  // void already
    co_await return_delegation(reactor, inode->handle(), ended->state(), ended->holder());
}

Task<void> NfsFs::return_delegation(reactor::Reactor& reactor,
                                    nfs4::FileHandle handle,
                                    nfs4::StateId delegation,
                                    reactor::Credentials who) {
    Lane& lane = client_->lane(reactor);
    const auto request = lane.request(as(who));
    request->put_file(handle);
    request->must_be_cached();
    request->put_state(Op::delegreturn, delegation);
    const auto returned = co_await lane.run(*request);
    static_cast<void>(returned);  // the server recalls what it misses
}

nfs4::Status NfsFs::recall(const nfs4::FileHandle& handle, const nfs4::StateId& delegation) {
    const InodePin inode = inodes_.find(handle);
    if (inode) {
        std::unique_ptr<Delegation> ended;
        {
            const std::lock_guard guard(inode->mutex);
            Delegation* const held = inode->delegation.get();
            if (held != nullptr && held->state().other == delegation.other) {
                ended = take_away_locked(*inode);
            } else if (!delegations_.recall_early(delegation)) {
                return nfs4::Status::bad_stateid;
            }
        }
        delegations_.recalled_count.fetch_add(1);
        if (ended) {
            Place& home = home_place();
            home.background.spawn(
                give_up_delegation(home.reactor, inode.share(), std::move(ended)));
        }
        return nfs4::Status::ok;
    }
    const bool is_early = delegations_.recall_early(delegation);
    return is_early ? nfs4::Status::ok : nfs4::Status::bad_stateid;
}

Task<void> NfsFs::end_all_delegations(fuse::Context& context) {
    std::vector<std::pair<InodePin, std::unique_ptr<Delegation>>> all;
    inodes_.for_each([&](InodePin& inode) {
        if (auto ended = take_away_delegation(*inode)) {
            all.emplace_back(inode.share(), std::move(ended));
        }
    });
    for (auto& [inode, ended] : all) {
        co_await give_up_delegation(context.reactor, std::move(inode), std::move(ended));
    }
}

/// It is reclaimed with a file that is open for reading; each needs one (18.16.3).
bool NfsFs::has_delegation_to_reclaim(OpenFile& file, std::uint64_t incarnation) {
    if (file.access != nfs4::share::access_read) return false;
    const std::lock_guard guard(file.inode->mutex);
    const Delegation* const held = file.inode->delegation.get();
    return held != nullptr && held->incarnation() != incarnation;
}

void NfsFs::take_reclaimed_delegation(OpenFile& file,
                                      const nfs4::Opened& opened,
                                      std::uint64_t incarnation) {
    {
        const std::lock_guard guard(file.inode->mutex);
        Delegation* const held = file.inode->delegation.get();
        const bool is_ours = held != nullptr && !opened.is_write_delegation &&
                             (held->incarnation() != incarnation ||
                              held->state().other == opened.delegation.other);
        if (is_ours) {
            held->reclaimed(opened.delegation, incarnation);
            return;
        }
    }
    Place& home = home_place();
    home.background.spawn(
        return_delegation(home.reactor, file.inode->handle(), opened.delegation, file.opener));
}

void NfsFs::end_lost_delegations(std::uint64_t incarnation) {
    inodes_.for_each([&](InodePin& inode) {
        if (!inode->delegated.load()) return;
        {
            const std::lock_guard guard(inode->mutex);
            if (!inode->delegation || inode->delegation->incarnation() == incarnation) return;
        }
        auto ended = take_away_delegation(*inode);
        Place& home = home_place();
        if (ended) {
            home.background.spawn(
                give_up_delegation(home.reactor, inode.share(), std::move(ended)));
        }
    });
}

}  // namespace dpfs::nfs
