// SPDX-License-Identifier: Apache-2.0
#include "base/or_return.hpp"
#include "fs/nfs/nfs_fs.hpp"

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

Task<Result<fuse::TimedAttributes>> NfsFs::getattr(fuse::Context& context,
                                                   fuse::NodeId node,
                                                   std::optional<fuse::FileHandle> handle) {
    static_cast<void>(handle);  // what is asked is the file, and that is the inode
    const InodePin inode = co_await or_return(inodes_.pin(node));
    Lane& lane = this->lane(context);
    const auto request = lane.request(as(context.caller));
    request->put_file(inode->handle());
    request->put_getattr(file_attributes);
    co_await or_return(co_await lane.run(*request, &context.cancel));
    co_await or_return(request->take(Op::putfh));
    const auto found = co_await or_return(request->take_attributes(file_attributes));
    co_return fuse::TimedAttributes{.attributes = attributes_of(found),
                                    .valid = attributes_valid_};
}

Task<Result<fuse::TimedAttributes>> NfsFs::setattr(fuse::Context& context,
                                                   fuse::NodeId node,
                                                   fuse::SetAttributes change) {
    if (options_.read_only) co_return fail(Errno::read_only);
    const InodePin inode = co_await or_return(inodes_.pin(node));
    nfs4::StateId state = nfs4::anonymous_state;
    reactor::Credentials who = context.caller;
    if (change.size && change.handle) {
        // ftruncate(2): allowed by how the file was opened, whatever its mode says now.
        const OpenFilePin file = co_await or_return(file_of(node, *change.handle));
        state = file->current_state();
        state.sequence = 0;
        who = file->opener;
    }
    nfs4::NewAttributes wanted;
    wanted.size = change.size;
    wanted.owner = change.uid;
    wanted.owner_group = change.gid;
    if (change.mode) wanted.mode = *change.mode & 07777;
    wanted.access = to_set_time(change.atime);
    wanted.modify = to_set_time(change.mtime);

    Lane& lane = this->lane(context);
    const auto request = lane.request(as(who));
    request->put_file(inode->handle());
    request->must_be_cached();
    request->put_setattr(state, wanted);
    request->put_getattr(file_attributes);
    co_await or_return(co_await lane.run(*request, &context.cancel));
    co_await or_return(request->take(Op::putfh));
    co_await or_return(request->take(Op::setattr));
    nfs4::AttributeSet::take(request->reader());
    const auto found = co_await or_return(request->take_attributes(file_attributes));
    co_return fuse::TimedAttributes{.attributes = attributes_of(found),
                                    .valid = attributes_valid_};
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
