// SPDX-License-Identifier: Apache-2.0
#include "base/or_return.hpp"
#include "fs/nfs/nfs_fs.hpp"
#include "fs/nfs/run_unattended.hpp"
#include "fuse/wire_file.hpp"

#include <fcntl.h>

namespace dpfs::nfs {

using nfs4::Op;

Task<Result<fuse::OpenReply>> NfsFs::open(fuse::Context& context,
                                          fuse::NodeId node,
                                          fuse::OpenRequest request) {
    const auto work = std::make_shared<Unattended<fuse::OpenReply>>(context);
    return run_unattended(context, work, open_unattended(work, node, request));
}

Task<void> NfsFs::open_unattended(std::shared_ptr<Unattended<fuse::OpenReply>> work,
                                  fuse::NodeId node,
                                  fuse::OpenRequest request) {
    const auto outcome = co_await open_file(work->context, node, request, work->given_up());
    if (work->abandoned() && outcome) {
        co_await close_abandoned(work->context, outcome->handle);
    }
    work->end(outcome);
}

Task<Result<fuse::OpenReply>> NfsFs::open_file(fuse::Context& context,
                                               fuse::NodeId node,
                                               fuse::OpenRequest request,
                                               reactor::CancelSource& given_up) {
    const bool truncates = (request.flags & O_TRUNC) != 0;
    const std::uint32_t access =
        access_of(request.flags) | (truncates ? nfs4::share::access_write : 0);
    if (options_.read_only && (access & nfs4::share::access_write) != 0) {
        co_return fail(Errno::read_only);
    }
    InodePin inode = co_await or_return(inodes_.pin(node));
    if (inode->type() == nfs4::FileType::directory) co_return fail(Errno::is_directory);
    const bool writes = (access & nfs4::share::access_write) != 0;
    if (writes) {
        end_delegation(context, *inode);
    } else if (auto idle = reopen_idle(context, *inode)) {
        co_return *idle;
    }
    const Delegations::Expected expected(delegations_);
    // First the place for it: what is open at the server has one.
    OpenFilePin file = co_await or_return(new_file(context, inode.share(), access));
    const std::uint64_t incarnation = client_->incarnation();
    const std::uint64_t name_change_count = delegations_.name_change_count();
    const StateOwners::Open owner = owners_.of_open(file->owner);
    nfs4::NewAttributes empty;
    empty.size = 0;
    if (truncates) co_await or_return(co_await commit_before(context, *inode));

    Lane& lane = this->lane(context);
    const auto made = lane.request(as(context.caller));
    made->put_file(inode->handle());
    made->must_be_cached();
    made->call.must_be_answered = true;
    made->put_open({.access = access,
                    .owner = {client_->client_id(), owner.bytes},
                    .wants_delegation = wants_delegation(access)});
    // The state that OPEN has just made is the compound's current one.
    if (truncates) made->put_setattr({.sequence = 1}, empty);
    made->put_getattr(file_attributes);
    co_await or_return(co_await lane.run(*made, &given_up));
    co_await or_return(made->take(Op::putfh));
    co_await or_return(made->take(Op::open));
    const nfs4::Opened opened = nfs4::take_opened(made->reader());
    co_await or_return(made->taken());
    inode->outlives_its_name.store(opened.preserves_unlinked);
    co_await enlist(context, file.share(), opened.state, incarnation);
    if (writes) end_delegation(context, *inode);
    auto granted = take_delegation(context, *file, opened, made->incarnation());
    granted.name_change_count = name_change_count;

    auto seen = take_seen(*made, *inode, truncates);
    if (seen) note_seen(*inode, *seen, granted);
    // What came after OPEN had to wait, or did not go: it is asked for alone.
    if (!seen && truncates) {
        const Actor actor = {.state = file->current_state(), .who = context.caller};
        seen = co_await set_and_see(context, *inode, actor, empty);
    } else if (!seen) {
        seen = co_await see(context, *inode);
    }
    if (!seen) {
        co_await close_abandoned(context, fuse::FileHandle{file.id()});
        co_return fail(seen.error());
    }
    if (truncates && request.kill_suid_gid) co_await clear_set_id(context, *inode, *seen);
    co_return reply_for(*file, seen->change);
}

Result<OpenFilePin> NfsFs::new_file(const fuse::Context& context,
                                    InodePin inode,
                                    std::uint32_t access) {
    auto made = open_files_.make();
    if (!made) return made;
    OpenFile& file = **made;
    file.id = made->id();
    file.opener = context.caller;
    file.access = access;
    file.owner = owners_.next_number();
    file.inode = std::move(inode);
    return made;
}

Task<void> NfsFs::enlist(fuse::Context& context,
                         OpenFilePin file,
                         nfs4::StateId state,
                         std::uint64_t incarnation) {
    file->set_state(state, incarnation);
    {
        const std::lock_guard guard(file->inode->mutex);
        ++file->inode->open_count;
        if ((file->access & nfs4::share::access_write) != 0) ++file->inode->writer_count;
    }
    open_files_.publish(file);
    if (client_->incarnation() == incarnation) co_return;
    // The server was started anew since, and reclaim() has not seen the file: it must be open
    // there again before the tenant removes it.
    const auto opened = co_await open_again(context, *file, state);
    static_cast<void>(opened);  // who uses it meets the error again
}

fuse::OpenReply NfsFs::reply_for(OpenFile& file, std::uint64_t change) const {
    // Close to open: what the tenant has cached holds if nobody has changed the file since.
    const bool unchanged = file.inode->cached_change.exchange(change) == change && change != 0;
    fuse::OpenReply reply = {.handle = fuse::FileHandle{file.id}};
    if (options_.cache == CachePolicy::never) {
        reply.open_flags =
            fuse::wire::fopen::direct_io | fuse::wire::fopen::parallel_direct_writes;
    } else if (options_.cache == CachePolicy::always || unchanged) {
        reply.open_flags = fuse::wire::fopen::keep_cache;
    }
    return reply;
}

Task<Result<void>> NfsFs::flush(fuse::Context& context,
                                fuse::NodeId node,
                                fuse::FileHandle handle,
                                fuse::LockOwner owner) {
    OpenFilePin file = co_await or_return(file_of(node, handle));
    const auto work = std::make_shared<Unattended<void>>(context);
    co_return co_await run_unattended(
        context, work, flush_unattended(work, std::move(file), owner));
}

Task<void> NfsFs::flush_unattended(std::shared_ptr<Unattended<void>> work,
                                   OpenFilePin file,
                                   fuse::LockOwner owner) {
    // close(2) is the last place where a program asks whether its data have arrived.
    Result<void> committed;
    if ((file->access & nfs4::share::access_write) != 0) {
        committed = co_await commit_kept(work->context, *file);
    }
    const Dropped which = {.posix_owner = static_cast<std::uint64_t>(owner)};
    const auto dropped =
        co_await drop_locks(work->context, file->inode.share(), file->opener, which);
    work->end(committed ? dropped : committed);
}

Task<Result<void>> NfsFs::release(fuse::Context& context,
                                  fuse::NodeId node,
                                  fuse::FileHandle handle,
                                  fuse::ReleaseRequest request) {
    static_cast<void>(request);  // whatever was locked through the handle ends with it
    OpenFilePin file = co_await or_return(file_of(node, handle));
    if (file->released.exchange(true)) co_return fail(Errno::bad_descriptor);
    if (keep_idle(*file)) co_return Result<void>();
    const auto work = std::make_shared<Unattended<void>>(context);
    co_return co_await run_unattended(context, work, close_unattended(work, std::move(file)));
}

Task<void> NfsFs::close_unattended(std::shared_ptr<Unattended<void>> work, OpenFilePin file) {
    work->end(co_await close_file(work->context, std::move(file)));
}

Task<Result<void>> NfsFs::fsync(fuse::Context& context,
                                fuse::NodeId node,
                                fuse::FileHandle handle,
                                bool data_only) {
    static_cast<void>(data_only);
    const OpenFilePin file = co_await or_return(file_of(node, handle));
    if ((file->access & nfs4::share::access_write) == 0) co_return Result<void>();
    co_return co_await commit(context, *file->inode, &*file);
}

}  // namespace dpfs::nfs
