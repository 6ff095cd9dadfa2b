// SPDX-License-Identifier: Apache-2.0
#include "base/or_return.hpp"
#include "fs/nfs/nfs_fs.hpp"
#include "fuse/wire_file.hpp"

#include <cstring>
#include <fcntl.h>

namespace dpfs::nfs {
namespace {

using nfs4::Op;

constexpr nfs4::AttributeSet change_attribute = {nfs4::Attribute::change};

}  // namespace

NfsFs::OwnerBytes NfsFs::new_owner() noexcept {
    OwnerBytes owner;
    const std::uint64_t number = owner_count_.fetch_add(1, std::memory_order_relaxed);
    std::memcpy(owner.bytes.data(), &instance_, sizeof instance_);
    std::memcpy(owner.bytes.data() + sizeof instance_, &number, sizeof number);
    return owner;
}

Task<Result<fuse::OpenReply>> NfsFs::open(fuse::Context& context,
                                          fuse::NodeId node,
                                          fuse::OpenRequest request) {
    const bool truncates = (request.flags & O_TRUNC) != 0;
    const std::uint32_t access =
        access_of(request.flags) | (truncates ? nfs4::share::access_write : 0);
    if (options_.read_only && (access & nfs4::share::access_write) != 0) {
        co_return fail(Errno::read_only);
    }
    InodePin inode = co_await or_return(inodes_.pin(node));
    if (inode->type() == nfs4::FileType::directory) co_return fail(Errno::is_directory);
    Lane& lane = this->lane(context);
    const OwnerBytes owner = new_owner();
    const auto made = lane.request(as(context.caller));
    made->put_file(inode->handle());
    made->must_be_cached();
    made->put_open({.access = access, .owner = {client_->client_id(), owner.bytes}});
    // The state that OPEN has just made is the compound's current one.
    if (truncates) {
        nfs4::NewAttributes empty;
        empty.size = 0;
        made->put_setattr({.sequence = 1}, empty);
    }
    made->put_getattr(change_attribute);
    co_await or_return(co_await lane.run(*made, &context.cancel));
    co_await or_return(made->take(Op::putfh));
    co_await or_return(made->take(Op::open));
    const nfs4::Opened opened = nfs4::take_opened(made->reader());
    co_await or_return(made->taken());
    Result<void> rest;
    std::uint64_t change = 0;
    if (truncates) {
        rest = made->take(Op::setattr);
        if (rest) nfs4::AttributeSet::take(made->reader());
    }
    if (rest) {
        const auto found = made->take_attributes(change_attribute);
        if (found) {
            change = found->change;
        } else {
            rest = fail(found.error());
        }
    }
    if (!rest) {
        const auto closed =
            co_await close_state(context, inode->handle(), opened.state, context.caller);
        static_cast<void>(closed);
        co_return fail(rest.error());
    }
    co_return co_await publish(context, std::move(inode), access, opened, change);
}

Task<Result<fuse::OpenReply>> NfsFs::publish(fuse::Context& context,
                                             InodePin inode,
                                             std::uint32_t access,
                                             nfs4::Opened opened,
                                             std::uint64_t change) {
    Lane& lane = this->lane(context);
    if (opened.delegated) {
        // It was not asked for, and is nothing that is answered from yet.
        const auto request = lane.request(as(context.caller));
        request->put_file(inode->handle());
        request->put_state(Op::delegreturn, opened.delegation);
        const auto returned = co_await lane.run(*request, &context.cancel);
        static_cast<void>(returned);
    }
    auto made = open_files_.make();
    if (!made) {
        const auto closed =
            co_await close_state(context, inode->handle(), opened.state, context.caller);
        static_cast<void>(closed);
        co_return fail(made.error());
    }
    OpenFile& file = **made;
    file.opener = context.caller;
    file.access = access;
    file.set_state(opened.state);
    // Close to open: what the tenant has cached holds if nobody has changed the file since.
    const bool unchanged = inode->cached_change.exchange(change) == change && change != 0;
    file.inode = std::move(inode);
    open_files_.publish(*made);
    fuse::OpenReply reply = {.handle = fuse::FileHandle{made->id()}};
    if (options_.cache == CachePolicy::never) {
        reply.open_flags =
            fuse::wire::fopen::direct_io | fuse::wire::fopen::parallel_direct_writes;
    } else if (options_.cache == CachePolicy::always || unchanged) {
        reply.open_flags = fuse::wire::fopen::keep_cache;
    }
    co_return reply;
}

Task<Result<void>> NfsFs::close_state(fuse::Context& context,
                                      nfs4::FileHandle handle,
                                      nfs4::StateId state,
                                      reactor::Credentials who) {
    Lane& lane = this->lane(context);
    const auto request = lane.request(as(who));
    request->put_file(handle);
    request->must_be_cached();
    request->put_close(state);
    // Also when the tenant is gone: the server must not keep it.
    co_await or_return(co_await lane.run(*request));
    co_await or_return(request->take(Op::putfh));
    co_return request->take(Op::close);
}

Task<Result<void>> NfsFs::open_again(fuse::Context& context,
                                     OpenFile& file,
                                     nfs4::StateId used) {
    if (file.current_state() != used) co_return Result<void>();
    Lane& lane = this->lane(context);
    const OwnerBytes owner = new_owner();
    const auto request = lane.request(as(file.opener));
    request->put_file(file.inode->handle());
    request->must_be_cached();
    request->put_open({.access = file.access, .owner = {client_->client_id(), owner.bytes}});
    co_await or_return(co_await lane.run(*request, &context.cancel));
    co_await or_return(request->take(Op::putfh));
    co_await or_return(request->take(Op::open));
    const nfs4::Opened opened = nfs4::take_opened(request->reader());
    co_await or_return(request->taken());
    log_.warning("the server had forgotten an open file; it is open again");
    file.set_state(opened.state);
    const std::lock_guard lock(file.inode->mutex);
    if (!file.inode->locks.empty()) file.locks_lost.store(true);
    co_return Result<void>();
}

Task<Result<void>> NfsFs::flush(fuse::Context& context,
                                fuse::NodeId node,
                                fuse::FileHandle handle,
                                fuse::LockOwner owner) {
    const OpenFilePin file = co_await or_return(file_of(node, handle));
    const Dropped which = {.posix_owner = static_cast<std::uint64_t>(owner)};
    co_return co_await drop_locks(context, file->inode.share(), file->opener, which);
}

Task<Result<void>> NfsFs::release(fuse::Context& context,
                                  fuse::NodeId node,
                                  fuse::FileHandle handle,
                                  fuse::ReleaseRequest request) {
    static_cast<void>(request);  // whatever was locked through the handle ends with it
    const OpenFilePin file = co_await or_return(file_of(node, handle));
    if (!open_files_.retire(file)) co_return fail(Errno::bad_descriptor);
    const Dropped mine = {.made_through = file.id()};
    const auto unlocked = co_await drop_locks(context, file->inode.share(), file->opener, mine);
    static_cast<void>(unlocked);  // CLOSE does it too
    co_return co_await close_state(
        context, file->inode->handle(), file->current_state(), file->opener);
}

Task<Result<void>> NfsFs::fsync(fuse::Context& context,
                                fuse::NodeId node,
                                fuse::FileHandle handle,
                                bool data_only) {
    static_cast<void>(data_only);
    const OpenFilePin file = co_await or_return(file_of(node, handle));
    if ((file->access & nfs4::share::access_write) == 0) co_return Result<void>();
    co_return co_await commit(context, *file);
}

}  // namespace dpfs::nfs
