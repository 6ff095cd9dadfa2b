// SPDX-License-Identifier: Apache-2.0
// States that the server has taken from us, and says so with each answer (SEQUENCE's status
// flags; RFC 8881, 8.5 and 18.46.3): which they are is asked, they are given up here, and the
// server is told that we know (FREE_STATEID), which ends the flags.
#include "base/or_return.hpp"
#include "fs/nfs/nfs_fs.hpp"
#include "fs/nfs/place.hpp"

#include <algorithm>

namespace dpfs::nfs {

using nfs4::Op;

/// A state of ours, as the server knows it, and what it is of.
struct NfsFs::HeldState {
    enum class Kind { open, lock, delegation };
    Kind kind = Kind::open;
    nfs4::StateId state;
    InodePin inode;
    reactor::Credentials who;
    std::uint64_t made_through = 0;  ///< of a lock: the open file's id
};

void NfsFs::states_revoked() {
    // Each connection says so, and each new answer may: one look at a time.
    if (revocation_count_.fetch_add(1) > 0) return;
    home_place().background.spawn(find_revoked());
}

Task<void> NfsFs::find_revoked() {
    std::uint64_t heeded = 0;
    do {
        heeded = revocation_count_.load();
        co_await give_up_revoked();
    } while (!revocation_count_.compare_exchange_strong(heeded, 0));
}

Task<void> NfsFs::give_up_revoked() {
    constexpr std::size_t asked_at_once = 128;
    const std::uint64_t incarnation = client_->incarnation();
    std::vector<HeldState> held = held_states(incarnation);
    std::size_t revoked_count = 0;
    for (std::size_t first = 0; first < held.size(); first += asked_at_once) {
        const auto batch =
            std::span(held).subspan(first, std::min(asked_at_once, held.size() - first));
        const auto statuses = co_await test_states(batch);
        if (!statuses) {
            log_.warning(
                "which states were revoked, the server does not say ({}); files are "
                "opened again when they are used",
                errno_name(statuses.error()));
            co_return;
        }
        for (std::size_t i = 0; i < batch.size(); ++i) {
            if (client_->incarnation() != incarnation) co_return;  // all are new
            if (!nfs4::is_state_revoked((*statuses)[i])) continue;
            ++revoked_count;
            co_await give_up_revoked(batch[i]);
        }
    }
    log_.warning(
        "{} of {} opens, locks and delegations were revoked", revoked_count, held.size());
}

std::vector<NfsFs::HeldState> NfsFs::held_states(std::uint64_t incarnation) {
    std::vector<HeldState> held;
    open_files_.for_each([&](OpenFilePin& file) {
        if (file->is_directory || file->closed.load()) return;
        if (file->state_incarnation() != incarnation) return;
        held.push_back({.kind = HeldState::Kind::open,
                        .state = file->current_state(),
                        .inode = file->inode.share(),
                        .who = file->opener});
        const std::lock_guard guard(file->inode->mutex);
        for (const LockState& lock : file->inode->locks) {
            if (lock.made_through != file->id) continue;
            held.push_back({.kind = HeldState::Kind::lock,
                            .state = lock.state,
                            .inode = file->inode.share(),
                            .who = file->opener,
                            .made_through = file->id});
        }
    });
    inodes_.for_each([&](InodePin& inode) {
        if (!inode->delegated.load()) return;
        const std::lock_guard guard(inode->mutex);
        if (!inode->delegation || inode->delegation->incarnation() != incarnation) return;
        held.push_back({.kind = HeldState::Kind::delegation,
                        .state = inode->delegation->state(),
                        .inode = inode.share(),
                        .who = inode->delegation->holder()});
    });
    return held;
}

Task<Result<std::vector<nfs4::Status>>> NfsFs::test_states(std::span<const HeldState> batch) {
    Lane& lane = client_->lane(home_place().reactor);
    const auto request = lane.request(as({}));
    std::vector<nfs4::StateId> states;
    states.reserve(batch.size());
    // Sequence 0: the state as it is now (RFC 8881, 8.2.2).
    for (const HeldState& each : batch) states.push_back({.other = each.state.other});
    request->put_test_states(states);
    co_await or_return(co_await lane.run(*request));
    co_await or_return(request->take(Op::test_stateid));
    rpc::XdrReader& in = request->reader();
    std::vector<nfs4::Status> statuses(in.count(sizeof(std::uint32_t)));
    for (nfs4::Status& each : statuses) each = nfs4::Status{in.u32()};
    co_await or_return(request->taken());
    if (statuses.size() != batch.size()) co_return fail(Errno::io_error);
    co_return statuses;
}

Task<void> NfsFs::give_up_revoked(HeldState& revoked) {
    reactor::Reactor& reactor = home_place().reactor;
    switch (revoked.kind) {
        case HeldState::Kind::open:
            break;  // it is opened again by whoever uses it next
        case HeldState::Kind::lock:
            lose_lock(revoked);
            break;
        case HeldState::Kind::delegation: {
            std::unique_ptr<Delegation> ended;
            {
                const std::lock_guard guard(revoked.inode->mutex);
                const Delegation* const held = revoked.inode->delegation.get();
                const bool is_it = held && held->state().other == revoked.state.other;
                if (is_it) ended = take_away_locked(*revoked.inode);
            }
            if (!ended) co_return;  // whoever has taken it returns it
            ended->promise_no_more();
            co_await give_up_delegation(reactor, revoked.inode.share(), std::move(ended));
            co_return;
        }
    }
    co_await free_state(reactor, revoked.state, revoked.who);
}

void NfsFs::lose_lock(const HeldState& lost) {
    const auto file = open_files_.pin(lost.made_through);
    const std::lock_guard guard(lost.inode->mutex);
    auto& locks = lost.inode->locks;
    const auto found = std::ranges::find_if(
        locks, [&](const LockState& each) { return each.state.other == lost.state.other; });
    if (found == locks.end()) return;
    if (file && !found->held.empty()) give_up(**file);
    locks.erase(found);
}

Task<void> NfsFs::free_state(reactor::Reactor& reactor,
                             nfs4::StateId state,
                             reactor::Credentials who) {
    Lane& lane = client_->lane(reactor);
    const auto request = lane.request(as(who));
    request->must_be_cached();
    request->put_state(Op::free_stateid, {.other = state.other});
    const auto freed = co_await lane.run(*request);
    static_cast<void>(freed);  // the server says again that it is there
}

}  // namespace dpfs::nfs
