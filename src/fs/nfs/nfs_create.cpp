// SPDX-License-Identifier: Apache-2.0
// Regular files are made by OPEN, so each of them is state at the server for a while at least.
#include "base/or_return.hpp"
#include "fs/nfs/file_mode.hpp"
#include "fs/nfs/nfs_fs.hpp"
#include "fs/nfs/run_unattended.hpp"

#include <fcntl.h>
#include <string>
#include <sys/stat.h>

namespace dpfs::nfs {
namespace {

using nfs4::Attribute;
using nfs4::Op;

/// Where a server keeps the verifier of an exclusive creation in a file's times, they are not
/// those of its creation. Servers do not say so as RFC 8881 asks: knfsd names time_access and
/// time_modify, nfs-ganesha nothing.
bool has_verifier_for_times(const fuse::Attributes& made) noexcept {
    const auto differs = [&made](std::uint64_t seconds, std::uint32_t nanoseconds) {
        return seconds != made.ctime || nanoseconds != made.ctimensec;
    };
    return differs(made.atime, made.atimensec) || differs(made.mtime, made.mtimensec);
}

}  // namespace

/// What is to be made. It has its own copy of the name: the work may outlive the request.
struct NfsFs::MakesFile {
    fuse::NodeId parent;
    std::string name;
    std::uint32_t access = 0;
    nfs4::CreateMode mode = nfs4::CreateMode::unchecked;
    nfs4::Verifier verifier = {};
    nfs4::NewAttributes attributes = {};
};

/// A file that is open at the server, and known to the tenant by one more reference.
struct NfsFs::MadeFile {
    nfs4::Opened opened;
    fuse::Entry entry;
    InodePin inode;
    std::uint64_t change = 0;
};

Task<Result<fuse::Created>> NfsFs::create(fuse::Context& context,
                                          fuse::NodeId parent,
                                          fuse::Name name,
                                          fuse::CreateRequest request) {
    MakesFile what{
        .parent = parent, .name = std::string(name.view()), .access = access_of(request.flags)};
    what.attributes.mode = request.mode & permission_bits & ~request.umask;
    if ((request.flags & O_EXCL) != 0) {
        what.mode = nfs4::CreateMode::exclusive4_1;
        what.verifier = owners_.next_verifier();
    } else if ((request.flags & O_TRUNC) != 0) {
        what.attributes.size = 0;
    }
    const auto work = std::make_shared<Unattended<fuse::Created>>(context);
    return run_unattended(context, work, create_unattended(work, std::move(what)));
}

Task<void> NfsFs::create_unattended(std::shared_ptr<Unattended<fuse::Created>> work,
                                    MakesFile what) {
    const auto outcome = co_await create_file(work->context, std::move(what), work->given_up());
    if (work->abandoned() && outcome) {
        co_await close_abandoned(work->context, outcome->open.handle);
        const auto inode = inodes_.pin(outcome->entry.node);
        if (inode) forget(work->context, *inode, 1);
    }
    work->end(outcome);
}

Task<Result<fuse::Created>> NfsFs::create_file(fuse::Context& context,
                                               MakesFile what,
                                               reactor::CancelSource& given_up) {
    if (options_.read_only) co_return fail(Errno::read_only);
    const InodePin dir = co_await or_return(inodes_.pin(what.parent));
    const OpenFilePin file = co_await or_return(new_file(context, {}, what.access));
    const std::uint64_t incarnation = client_->incarnation();
    MadeFile made =
        co_await or_return(co_await open_by_name(context, *dir, what, file->owner, given_up));
    file->inode = std::move(made.inode);
    file->inode->outlives_its_name.store(made.opened.preserves_unlinked);
    co_await enlist(context, file.share(), made.opened.state, incarnation);
    if ((what.access & nfs4::share::access_write) != 0) end_delegation(context, *file->inode);
    take_delegation(context, *file, made.opened, incarnation);
    made.opened.state = file->current_state();
    if (what.mode == nfs4::CreateMode::exclusive4_1) {
        co_await set_what_is_missing(context, what, *file->inode, made);
    }
    const fuse::OpenReply reply = reply_for(*file, made.change);
    co_return fuse::Created{.entry = made.entry, .open = reply};
}

/// A regular file that stays closed (mknod(2)): OPEN is the only way to make one.
Task<Result<fuse::Entry>> NfsFs::make_file(fuse::Context& context,
                                           fuse::NodeId parent,
                                           fuse::Name name,
                                           std::uint32_t mode) {
    MakesFile what{.parent = parent,
                   .name = std::string(name.view()),
                   .access = nfs4::share::access_read,
                   .mode = nfs4::CreateMode::guarded};
    what.attributes.mode = mode;
    const auto work = std::make_shared<Unattended<fuse::Entry>>(context);
    return run_unattended(context, work, make_file_unattended(work, std::move(what)));
}

Task<void> NfsFs::make_file_unattended(std::shared_ptr<Unattended<fuse::Entry>> work,
                                       MakesFile what) {
    const auto outcome = co_await create_file(work->context, std::move(what), work->given_up());
    if (!outcome) {
        work->end(fail(outcome.error()));
        co_return;
    }
    co_await close_abandoned(work->context, outcome->open.handle);
    const auto inode = inodes_.pin(outcome->entry.node);
    if (work->abandoned() && inode) forget(work->context, *inode, 1);
    work->end(outcome->entry);
}

Task<Result<NfsFs::MadeFile>> NfsFs::open_by_name(fuse::Context& context,
                                                  Inode& dir,
                                                  MakesFile& what,
                                                  std::uint64_t owner_number,
                                                  reactor::CancelSource& given_up) {
    const StateOwners::Open owner = owners_.of_open(owner_number);
    MadeFile made;
    Result<nfs4::FileHandle> handle = fail(Errno::io_error);
    Result<fuse::Entry> entry = fail(Errno::io_error);
    {
        Lane& lane = this->lane(context);
        const auto request = lane.request(as(context.caller));
        request->put_file(dir.handle());
        request->must_be_cached();
        request->call.must_be_answered = true;
        request->put_open({.access = what.access,
                           .owner = {client_->client_id(), owner.bytes},
                           .claim = nfs4::Claim::null,
                           .name = what.name,
                           .create = true,
                           .mode = what.mode,
                           .verifier = what.verifier,
                           .attributes = what.attributes});
        request->put(Op::getfh);
        request->put_getattr(file_attributes);
        co_await or_return(co_await lane.run(*request, &given_up));
        co_await or_return(request->take(Op::putfh));
        co_await or_return(request->take(Op::open));
        made.opened = nfs4::take_opened(request->reader());
        co_await or_return(request->taken());
        handle = request->take_file_handle();
        if (handle) {
            const auto found = request->take_attributes(file_attributes);
            if (found) {
                made.change = found->change;
                entry = enter(*handle, *found, dir.fsid());
            }
        }
    }
    if (entry && is_behind(entry->node)) entry = co_await refresh(context, *entry);
    // What came after OPEN had to wait, or did not go: the name is looked up.
    if (!entry) entry = co_await look_up(context, dir, what.name);
    if (entry) {
        auto inode = inodes_.pin(entry->node);
        if (inode && (!handle || (*inode)->handle() == *handle)) {
            made.entry = *entry;
            made.inode = std::move(*inode);
            co_return made;
        }
        // Somebody has put another file there meanwhile.
        if (inode) forget(context, *inode, 1);
        entry = fail(Errno::no_entry);
    }
    const nfs4::StateId& state = made.opened.state;
    Result<void> closed;
    if (handle) {
        closed = co_await close_state(context, *handle, state, context.caller);
    } else {
        closed = co_await close_state(context, dir.handle(), state, context.caller, what.name);
    }
    static_cast<void>(closed);  // the lease's end does it too
    co_return fail(entry.error());
}

/// EXCLUSIVE4_1: a server may keep the verifier in attributes, and sets of those that were
/// asked for what it can: the rest is the client's to set (RFC 8881, 18.16.3).
Task<void> NfsFs::set_what_is_missing(fuse::Context& context,
                                      MakesFile& what,
                                      Inode& inode,
                                      MadeFile& made) {
    const nfs4::AttributeSet& set = made.opened.attributes_set;
    nfs4::NewAttributes missing;
    if (!set.has(Attribute::mode)) missing.mode = what.attributes.mode;
    const nfs4::NewAttributes::SetTime now = {.now = true, .time = {}};
    if (has_verifier_for_times(made.entry.attributes)) missing.access = missing.modify = now;
    if (!missing.mode && !missing.access) co_return;
    const Actor actor = {.state = made.opened.state, .who = context.caller};
    const auto seen = co_await set_and_see(context, inode, actor, missing);
    if (seen) {
        made.entry.attributes = seen->attributes;
        made.change = seen->change;
    } else if (may_log(context.reactor)) {
        log_.warning("a new file's mode could not be set ({})", errno_name(seen.error()));
    }
}

}  // namespace dpfs::nfs
