// SPDX-License-Identifier: Apache-2.0
// Files that nobody else changes while we say so (RFC 8881, 10.4): what is asked about them,
// and opens for reading, need no request, and the tenant need not look up their names each
// time. Only read delegations are kept: data are written to the server at once in any case.
#include "fs/nfs/nfs_fs.hpp"
#include "fs/nfs/place.hpp"
#include "fuse/wire_file.hpp"

namespace dpfs::nfs {

using nfs4::Op;

namespace {

/// Between our answer and when the tenant's kernel begins to count.
constexpr Duration vouched_slack = milliseconds(100);

}  // namespace

bool NfsFs::wants_delegation(std::uint32_t access) const noexcept {
    // Of a shared client's devices one would change what another has a delegation for, and the
    // server, to which they are one, would recall nothing.
    return options_.delegations && options_.shared_client.empty() &&
           options_.cache != CachePolicy::never && access == nfs4::share::access_read &&
           delegations_.held_count.load() < Delegations::held_count_max;
}

Delegation::Moment NfsFs::take_delegation(fuse::Context& context,
                                          OpenFile& file,
                                          const nfs4::Opened& opened,
                                          std::uint64_t incarnation) {
    Delegation::Moment none = {};
    if (!opened.delegated) return none;
    Inode& inode = *file.inode;
    if (!opened.is_write_delegation && wants_delegation(file.access)) {
        const std::lock_guard guard(inode.mutex);
        // Looked at under the lock under which recall() looks for it.
        const bool is_good = !opened.is_wanted_back &&
                             !delegations_.was_recalled(opened.delegation) &&
                             !inode.delegation && inode.writer_count == 0 &&
                             client_->incarnation() == incarnation && inodes_.hold(inode);
        if (is_good) {
            const std::uint64_t grant = delegations_.next_grant();
            inode.delegation = std::make_unique<Delegation>(
                opened.delegation, incarnation, file.opener, grant);
            inode.delegated.store(true);
            delegations_.held_count.fetch_add(1);
            return {.grant_count = grant};
        }
        if (inode.delegation && inode.delegation->state().other == opened.delegation.other) {
            return none;  // the one that is held
        }
    }
    place(context).background.spawn(
        return_delegation(context.reactor, inode.handle(), opened.delegation, file.opener));
    return none;
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
    if (!inode.delegated.load()) return;
    const std::lock_guard guard(inode.mutex);
    if (inode.delegation) inode.delegation->see(seen, asked);
}

void NfsFs::vouch_for(const fuse::Context& context,
                      fuse::Entry& entry,
                      std::uint64_t change,
                      Delegation::Moment asked) {
    if (delegations_.held_count.load() == 0) return;
    const auto inode = inodes_.pin(entry.node);
    if (!inode || !(*inode)->delegated.load()) return;
    const std::lock_guard guard((*inode)->mutex);
    Delegation* const held = (*inode)->delegation.get();
    if (held == nullptr || (*inode)->hidden) return;
    delegations_.remember(*held);
    if (held->incarnation() != client_->incarnation()) return;
    if (!held->see({.attributes = entry.attributes, .change = change}, asked)) return;
    if (vouched_time_ <= entry.entry_valid) return;
    held->promise(context.reactor.now() + vouched_time_ + vouched_slack);
    entry.entry_valid = vouched_time_;
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
    delegations_.idle_count.fetch_sub(1);
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
    // The tenant must not run out of open files for want of those that it does not have open.
    if (delegations_.idle_count.load() >= options_.open_file_count_max / 4) return false;
    if (!inode.delegation->keep_idle(file.id)) return false;
    delegations_.idle_count.fetch_add(1);
    file.is_idle.store(true);
    return true;
}

std::unique_ptr<Delegation> NfsFs::take_away_delegation(Inode& inode) {
    if (!inode.delegated.load()) return nullptr;
    const std::lock_guard guard(inode.mutex);
    return take_away_locked(inode);
}

std::unique_ptr<Delegation> NfsFs::take_away_locked(Inode& inode) {
    if (!inode.delegation) return nullptr;
    inode.delegated.store(false);
    delegations_.held_count.fetch_sub(1);
    delegations_.idle_count.fetch_sub(inode.delegation->idle().size());
    delegations_.remember(*inode.delegation);
    inodes_.let_go(inode);
    return std::move(inode.delegation);
}

void NfsFs::end_delegation(fuse::Context& context, Inode& inode) {
    auto ended = take_away_delegation(inode);
    if (!ended) return;
    place(context).background.spawn(
        give_up_delegation(context.reactor, inodes_.share(inode), std::move(ended)));
}

void NfsFs::forget(fuse::Context& context, const InodePin& inode, std::uint64_t count) {
    if (!inodes_.forget(inode, count) || !inode->delegated.load()) return;
    std::optional<std::uint64_t> oldest;
    {
        const std::lock_guard guard(inode->mutex);
        if (!inode->delegation) return;
        inode->delegation->promise_no_more();  // nobody remembers that it was given one
        // A name of ours that has gone since may have been its last: then it must be closed.
        const bool has_names =
            inode->delegation->seen(delegations_.name_change_count()).has_value();
        oldest = has_names ? delegations_.forgot(inode.id(), *inode->delegation) : inode.id();
    }
    if (!oldest) return;
    const auto ended = inodes_.pin(fuse::NodeId{*oldest});
    if (ended) end_delegation(context, **ended);
}

}  // namespace dpfs::nfs
