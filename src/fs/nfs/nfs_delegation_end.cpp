// SPDX-License-Identifier: Apache-2.0
// How delegations end: recalled by the server, returned for changes of our own, reclaimed or
// lost in the server's restart.
#include "fs/nfs/nfs_fs.hpp"
#include "fs/nfs/place.hpp"

namespace dpfs::nfs {

using nfs4::Op;

/// The opens that nobody uses first: with the delegation gone, they would be in the way of
/// nobody, but would stay for nothing.
Task<void> NfsFs::give_up_delegation(reactor::Reactor& reactor,
                                     InodePin inode,
                                     std::unique_ptr<Delegation> ended) {
    reactor::CancelSource never;
    fuse::Context context{.reactor = reactor, .cancel = never, .caller = ended->holder()};
    if (reactor.now() < ended->promised_until()) {
        const auto slept = co_await reactor.sleep_until(ended->promised_until());
        static_cast<void>(slept);
    }
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
    const auto returned = co_await lane.run(*request);  // the server recalls what it misses
    const bool is_revoked = returned && nfs4::is_state_revoked(request->status());
    if (is_revoked) co_await free_state(reactor, delegation, who);
}

void NfsFs::end_at_home(InodePin inode, std::unique_ptr<Delegation> ended) {
    Place& home = home_place();
    home.background.spawn(give_up_delegation(home.reactor, std::move(inode), std::move(ended)));
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
        if (ended) end_at_home(inode.share(), std::move(ended));
        return nfs4::Status::ok;
    }
    const bool is_early = delegations_.recall_early(delegation);
    return is_early ? nfs4::Status::ok : nfs4::Status::bad_stateid;
}

void NfsFs::recall_any(std::uint64_t kept_count_max) {
    // Those first that the tenant has forgotten, the oldest of them first.
    while (delegations_.held_count.load() > kept_count_max) {
        const auto oldest = delegations_.oldest_forgotten();
        const auto inode = oldest ? inodes_.pin(fuse::NodeId{*oldest}) : fail(Errno::stale);
        auto ended = inode ? take_away_delegation(**inode) : nullptr;
        if (!ended) break;
        delegations_.recalled_count.fetch_add(1);
        end_at_home(inode->share(), std::move(ended));
    }
    if (delegations_.held_count.load() <= kept_count_max) return;
    inodes_.for_each([&](InodePin& inode) {
        if (delegations_.held_count.load() <= kept_count_max) return;
        if (auto ended = take_away_delegation(*inode)) {
            delegations_.recalled_count.fetch_add(1);
            end_at_home(inode.share(), std::move(ended));
        }
    });
}

Task<void> NfsFs::end_all_delegations(fuse::Context& context) {
    std::vector<std::pair<InodePin, std::unique_ptr<Delegation>>> all;
    inodes_.for_each([&](InodePin& inode) {
        if (auto ended = take_away_delegation(*inode)) {
            ended->promise_no_more();  // the tenant is gone
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
    bool is_ours = false;
    std::unique_ptr<Delegation> ended;
    {
        const std::lock_guard guard(file.inode->mutex);
        Delegation* const held = file.inode->delegation.get();
        is_ours = held != nullptr && !opened.is_write_delegation &&
                  (held->incarnation() != incarnation ||
                   held->state().other == opened.delegation.other);
        if (is_ours) held->reclaimed(opened.delegation, incarnation);
        if (is_ours && opened.is_wanted_back) ended = take_away_locked(*file.inode);
    }
    Place& home = home_place();
    if (ended) {
        end_at_home(file.inode.share(), std::move(ended));
    } else if (!is_ours) {
        home.background.spawn(return_delegation(
            home.reactor, file.inode->handle(), opened.delegation, file.opener));
    }
}

void NfsFs::end_lost_delegations(std::uint64_t incarnation) {
    inodes_.for_each([&](InodePin& inode) {
        if (!inode->delegated.load()) return;
        {
            const std::lock_guard guard(inode->mutex);
            if (!inode->delegation || inode->delegation->incarnation() == incarnation) return;
        }
        if (auto ended = take_away_delegation(*inode)) {
            end_at_home(inode.share(), std::move(ended));
        }
    });
}

}  // namespace dpfs::nfs
