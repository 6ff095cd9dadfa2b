// SPDX-License-Identifier: Apache-2.0
// Opens at the server: how they end, and what happens when the server has lost one.
#include "base/or_return.hpp"
#include "fs/nfs/nfs_fs.hpp"
#include "fs/nfs/run_unattended.hpp"

namespace dpfs::nfs {

using nfs4::Op;

Task<Result<void>> NfsFs::close_file(fuse::Context& context, OpenFilePin file) {
    const auto committed = co_await commit_at_close(context, *file);
    const Dropped mine = {.made_through = file->id};
    const auto unlocked = co_await drop_locks(context, file->inode.share(), file->opener, mine);
    static_cast<void>(unlocked);  // CLOSE does it too
    const auto closed = co_await close_state(context, *file);
    open_files_.retire(file);
    co_await let_go(context, file->inode.share());
    if (!committed) co_return committed;
    co_return closed;
}

Task<void> NfsFs::close_abandoned(fuse::Context& context, fuse::FileHandle handle) {
    auto file = open_files_.pin(static_cast<std::uint64_t>(handle));
    if (!file || (*file)->released.exchange(true)) co_return;
    const auto closed = co_await close_file(context, std::move(*file));
    static_cast<void>(closed);  // nobody waits; the lease's end does it too
}

Task<Result<void>> NfsFs::close_state(fuse::Context& context, OpenFile& file) {
    file.closed.store(true);
    for (;;) {
        const nfs4::StateId used = file.current_state();
        const auto closed =
            co_await close_state(context, file.inode->handle(), used, file.opener);
        // It may have been reclaimed while this was on its way.
        if (closed && file.current_state().other != used.other) continue;
        // To be told its name, for a CLOSE: the owner's open of a file is one.
        if (closed && file.may_be_open.exchange(false)) {
            const auto opened = co_await open_forgotten(context, file, used);
            static_cast<void>(opened);  // it is closed: that is an error
        }
        co_return closed;
    }
}

Task<Result<void>> NfsFs::close_state(fuse::Context& context,
                                      nfs4::FileHandle handle,
                                      nfs4::StateId state,
                                      reactor::Credentials who,
                                      std::string_view name) {
    Lane& lane = this->lane(context);
    const auto request = lane.request(as(who));
    request->put_file(handle);
    if (!name.empty()) request->put_name(Op::lookup, name);
    request->must_be_cached();
    request->put_close({.other = state.other});
    // Also when the tenant is gone: the server must not keep it.
    co_await or_return(co_await lane.run(*request, nullptr, nfs4::for_ever));
    // What the server does not know is closed.
    if (nfs4::is_state_lost(request->status())) co_return Result<void>();
    co_await or_return(request->take(Op::putfh));
    if (!name.empty()) co_await or_return(request->take(Op::lookup));
    co_return request->take(Op::close);
}

Task<Result<bool>> NfsFs::open_again(fuse::Context& context,
                                     OpenFile& file,
                                     nfs4::StateId used) {
    if (file.closed.load()) co_return fail(Errno::bad_descriptor);
    if (file.current_state().other != used.other) co_return false;
    OpenFilePin shared = co_await or_return(open_files_.pin(file.id));
    const auto work = std::make_shared<Unattended<bool>>(context);
    const Instant deadline =
        file.released.load() ? Instant::never() : deadline_from_now(context);
    co_return co_await run_unattended(
        context, work, open_again_unattended(work, std::move(shared), used), deadline);
}

Task<void> NfsFs::open_again_unattended(std::shared_ptr<Unattended<bool>> work,
                                        OpenFilePin file,
                                        nfs4::StateId used) {
    work->end(co_await open_forgotten(work->context, *file, used));
}

Task<Result<bool>> NfsFs::open_forgotten(fuse::Context& context,
                                         OpenFile& file,
                                         nfs4::StateId used) {
    const StateOwners::Open owner = owners_.of_open(file.owner);
    Lane& lane = this->lane(context);
    const auto request = lane.request(as(file.opener));
    request->put_file(file.inode->handle());
    request->must_be_cached();
    request->call.must_be_answered = true;
    request->put_open({.access = file.access, .owner = {client_->client_id(), owner.bytes}});
    co_await or_return(co_await lane.run(*request, nullptr, time_for(file)));
    co_await or_return(request->take(Op::putfh));
    co_await or_return(request->take(Op::open));
    const nfs4::Opened opened = nfs4::take_opened(request->reader());
    co_await or_return(request->taken());
    take_delegation(context, file, opened, request->incarnation());
    const bool was_of_now = file.state_incarnation() == request->incarnation();
    // Two who ask at once are one owner, and get one state: only one of them puts it in place.
    const bool is_mine = file.replace_state(used, opened.state, request->incarnation());
    if (is_mine) {
        if (may_log(context.reactor)) {
            log_.warning("the server had forgotten an open file; it is open again");
        }
        std::vector<nfs4::StateId> lost = lose_locks(file);
        lost.push_back(used);
        if (!was_of_now) lost.clear();
        // Where it had not forgotten but revoked them, it remembers that until it is told.
        for (const nfs4::StateId& each : lost) {
            co_await free_state(context.reactor, each, file.opener);
        }
    }
    if (!file.closed.load()) co_return is_mine;
    // It was closed meanwhile, perhaps by the name of the old state.
    const auto closed =
        co_await close_state(context, file.inode->handle(), opened.state, file.opener);
    static_cast<void>(closed);
    co_return fail(Errno::bad_descriptor);
}

std::vector<nfs4::StateId> NfsFs::lose_locks(OpenFile& file) {
    std::vector<nfs4::StateId> lost;
    const std::lock_guard guard(file.inode->mutex);
    std::erase_if(file.inode->locks, [&](const LockState& lock) {
        if (lock.made_through != file.id) return false;
        if (!lock.held.empty()) give_up(file);
        lost.push_back(lock.state);
        return true;
    });
    return lost;
}

/// Under the inode's lock.
void NfsFs::give_up(OpenFile& file) {
    file.locks_lost.store(true);
    // Others may have had the lock, and written: what is kept must not overwrite that.
    uncommitted_size_.fetch_sub(file.inode->uncommitted.drop_of(file.id));
    file.inode->update_behind();
}

}  // namespace dpfs::nfs
