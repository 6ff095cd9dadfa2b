// SPDX-License-Identifier: Apache-2.0
#include "base/or_return.hpp"
#include "fs/nfs/file_mode.hpp"
#include "fs/nfs/run_with_state.hpp"

#include <algorithm>

namespace dpfs::nfs {
namespace {

using nfs4::Attribute;
using nfs4::Op;

constexpr nfs4::AttributeSet space_attributes = {
    Attribute::files_available,
    Attribute::files_free,
    Attribute::files_total,
    Attribute::name_max,
    Attribute::space_available,
    Attribute::space_free,
    Attribute::space_total,
};
constexpr std::size_t link_size_max = 4096;  // PATH_MAX

std::optional<nfs4::NewAttributes::SetTime> to_set_time(
    const std::optional<fuse::SetAttributes::Time>& time) noexcept {
    if (!time) return std::nullopt;
    return nfs4::NewAttributes::SetTime{.now = time->now,
                                        .time = {time->seconds, time->nanoseconds}};
}

}  // namespace

Result<Seen> NfsFs::take_seen(Request& request, Inode& inode, bool was_set) {
    if (was_set) {
        if (const auto set = request.take(Op::setattr); !set) return fail(set.error());
        nfs4::AttributeSet::take(request.reader());
    }
    const auto found = request.take_attributes(file_attributes);
    if (!found) return fail(found.error());
    Seen seen = {.attributes = attributes_of(*found), .change = found->change};
    if (options_.silly_rename != SillyRename::never) {
        // The hidden name is none of the tenant's.
        const std::lock_guard guard(inode.mutex);
        if (inode.hidden && seen.attributes.nlink > 0) --seen.attributes.nlink;
    }
    inode.may_have_set_id.store(set_id_bits(seen.attributes.mode) != 0);
    return seen;
}

Task<Result<Seen>> NfsFs::see(fuse::Context& context, Inode& inode) {
    if (auto known = seen_here(inode)) co_return *known;
    for (;;) {
        if (inode.behind.load()) co_await or_return(co_await catch_up(context, inode));
        const Delegation::Moment asked = delegations_.moment();
        const auto seen = co_await see_once(context, inode);
        if (inode.behind.load()) continue;
        if (seen) note_seen(inode, *seen, asked);
        co_return seen;
    }
}

Task<Result<Seen>> NfsFs::see_once(fuse::Context& context, Inode& inode) {
    Lane& lane = this->lane(context);
    const auto request = lane.request(as(context.caller));
    request->put_file(inode.handle());
    request->put_getattr(file_attributes);
    co_await or_return(co_await lane.run(*request, &context.cancel));
    if (request->status() == nfs4::Status::moved) co_await tell_moved(context, inode);
    co_await or_return(request->take(Op::putfh));
    co_return take_seen(*request, inode, false);
}

Task<Result<Seen>> NfsFs::set_and_see(fuse::Context& context,
                                      Inode& inode,
                                      Actor actor,
                                      nfs4::NewAttributes wanted) {
    end_delegation(context, inode);
    for (;;) {
        if (inode.behind.load()) co_await or_return(co_await catch_up(context, inode));
        const auto seen = co_await set_once(context, inode, actor, wanted);
        end_delegation(context, inode);  // one that has come since
        // A truncation that came before data that are older must be made once more.
        if (!inode.behind.load()) co_return seen;
    }
}

Task<Result<Seen>> NfsFs::set_once(fuse::Context& context,
                                   Inode& inode,
                                   Actor actor,
                                   nfs4::NewAttributes wanted) {
    Lane& lane = this->lane(context);
    {
        const auto request = lane.request(as(actor.who));
        request->put_file(inode.handle());
        request->must_be_cached();
        request->put_setattr({.other = actor.state.other}, wanted);
        request->put_getattr(file_attributes);
        co_await or_return(co_await lane.run(*request, &context.cancel));
        co_await or_return(request->take(Op::putfh));
        const bool was_set = request->result_count() == request->op_count();
        const auto seen = take_seen(*request, inode, true);
        if (seen || !was_set) co_return seen;
    }
    // It is done; the look at it had to wait.
    co_return co_await see(context, inode);
}

Task<Result<Seen>> NfsFs::resize(fuse::Context& context,
                                 OpenFile& file,
                                 nfs4::NewAttributes wanted) {
    // ftruncate(2): allowed by how the file was opened, whatever its mode says now.
    const auto put = [&wanted](Request& request, const nfs4::StateId& state) {
        request.must_be_cached();
        request.put_setattr(state, wanted);
        request.put_getattr(file_attributes);
    };
    {
        const auto request = co_await or_return(co_await run_with_state(context, file, put));
        co_await or_return(request->take(Op::putfh));
        const bool was_set = request->result_count() == request->op_count();
        const auto seen = take_seen(*request, *file.inode, true);
        if (seen || !was_set) co_return seen;
    }
    co_return co_await see(context, *file.inode);
}

Task<void> NfsFs::clear_set_id(fuse::Context& context, Inode& inode, Seen& seen) {
    const std::uint32_t bits = set_id_bits(seen.attributes.mode);
    if (bits == 0) co_return;  // the server has done it
    nfs4::NewAttributes wanted;
    wanted.mode = seen.attributes.mode & permission_bits & ~bits;
    const Actor owner = {.state = {},
                         .who = {.uid = seen.attributes.uid, .gid = seen.attributes.gid}};
    const auto cleared = co_await set_and_see(context, inode, owner, wanted);
    if (cleared) {
        seen = *cleared;
    } else if (may_log(context.reactor)) {
        log_.warning("the server keeps set-id bits ({})", errno_name(cleared.error()));
    }
}

Task<Result<fuse::TimedAttributes>> NfsFs::getattr(fuse::Context& context,
                                                   fuse::NodeId node,
                                                   std::optional<fuse::FileHandle> handle) {
    static_cast<void>(handle);  // what is asked is the file, and that is the inode
    const InodePin inode = co_await or_return(inodes_.pin(node));
    const Seen seen = co_await or_return(co_await see(context, *inode));
    co_return fuse::TimedAttributes{.attributes = seen.attributes, .valid = attributes_valid_};
}

Task<Result<fuse::TimedAttributes>> NfsFs::setattr(fuse::Context& context,
                                                   fuse::NodeId node,
                                                   fuse::SetAttributes change) {
    if (options_.read_only) co_return fail(Errno::read_only);
    const InodePin inode = co_await or_return(inodes_.pin(node));
    nfs4::NewAttributes wanted;
    wanted.size = change.size;
    if (change.uid) wanted.owner = co_await or_return(identities_.sent_user(*change.uid));
    if (change.gid)
        wanted.owner_group = co_await or_return(identities_.sent_group(*change.gid));
    if (change.mode) wanted.mode = *change.mode & permission_bits;
    wanted.access = to_set_time(change.atime);
    wanted.modify = to_set_time(change.mtime);

    if (change.size) co_await or_return(co_await commit_before(context, *inode));
    Result<Seen> seen = fail(Errno::bad_descriptor);
    if (change.size && change.handle) {
        const OpenFilePin file = co_await or_return(file_of(node, *change.handle));
        seen = co_await resize(context, *file, wanted);
    } else {
        seen =
            co_await set_and_see(context, *inode, {.state = {}, .who = context.caller}, wanted);
    }
    co_await or_return(seen);
    const bool keeps = change.mode || inode->type() == nfs4::FileType::directory;
    if (change.kill_suid_gid && !keeps) co_await clear_set_id(context, *inode, *seen);
    co_return fuse::TimedAttributes{.attributes = seen->attributes, .valid = attributes_valid_};
}

Task<Result<std::size_t>> NfsFs::readlink(fuse::Context& context,
                                          fuse::NodeId node,
                                          std::span<char> target) {
    const InodePin inode = co_await or_return(inodes_.pin(node));
    Lane& lane = this->lane(context);
    const auto request = lane.request(as(context.caller));
    request->put_file(inode->handle());
    request->put(Op::readlink);
    co_await or_return(co_await lane.run(*request, &context.cancel));
    co_await or_return(request->take(Op::putfh));
    co_await or_return(request->take(Op::readlink));
    const std::string_view text = request->reader().string(link_size_max);
    co_await or_return(request->taken());
    if (text.size() > target.size()) co_return fail(Errno::name_too_long);
    std::ranges::copy(text, target.begin());
    co_return text.size();
}

Task<Result<fuse::FileSystemStatus>> NfsFs::statfs(fuse::Context& context, fuse::NodeId node) {
    const InodePin inode = co_await or_return(inodes_.pin(node));
    Lane& lane = this->lane(context);
    const auto request = lane.request(as(context.caller));
    request->put_file(inode->handle());
    request->put_getattr(space_attributes);
    co_await or_return(co_await lane.run(*request, &context.cancel));
    co_await or_return(request->take(Op::putfh));
    const auto found = co_await or_return(request->take_attributes(space_attributes));
    constexpr std::uint32_t block_size = 4096;
    co_return fuse::FileSystemStatus{
        .blocks = found.space_total / block_size,
        .blocks_free = found.space_free / block_size,
        .blocks_available = found.space_available / block_size,
        .files = found.files_total,
        .files_free = found.files_free,
        .block_size = block_size,
        .fragment_size = block_size,
        .name_size_max = found.name_max == 0 ? 255 : found.name_max};
}

}  // namespace dpfs::nfs
