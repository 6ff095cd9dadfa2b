// SPDX-License-Identifier: Apache-2.0
#include "base/or_return.hpp"
#include "fs/mirror/mirror_fs.hpp"
#include "fs/mirror/proc_fd.hpp"
#include "fs/mirror/set_id.hpp"

#include <algorithm>
#include <fcntl.h>

namespace dpfs::mirror {

Result<OpenFilePin> MirrorFs::handle_of(fuse::NodeId node, fuse::FileHandle handle) noexcept {
    auto file = open_files_.pin(static_cast<std::uint64_t>(handle));
    if (!file || InodeTable::node_of((*file)->inode) != node) {
        return fail(Errno::bad_descriptor);
    }
    return file;
}

Result<OpenFilePin> MirrorFs::file_of(fuse::NodeId node, fuse::FileHandle handle) noexcept {
    auto file = handle_of(node, handle);
    if (file && (*file)->directory) return fail(Errno::bad_descriptor);
    return file;
}

Task<Result<MirrorFs::Target>> MirrorFs::target_of(fuse::Context& context,
                                                   fuse::NodeId node,
                                                   std::optional<fuse::FileHandle> handle) {
    Target target;
    if (handle) {
        target.file = co_await or_return(handle_of(node, *handle));
        target.inode = target.file->inode.share();
    } else {
        target.inode = co_await or_return(co_await reach(context, node));
    }
    co_return std::move(target);
}

Task<Result<fuse::TimedAttributes>> MirrorFs::getattr(fuse::Context& context,
                                                      fuse::NodeId node,
                                                      std::optional<fuse::FileHandle> handle) {
    using Answer = Task<Result<fuse::TimedAttributes>>;
    const auto inode = inodes_.pin(node);
    if (handle && !handle_of(node, *handle)) return Answer::ready(fail(Errno::bad_descriptor));
    // A handle that outlived its inode's references, or an inode without a descriptor.
    if (!inode || (*inode)->descriptor() < 0 || options_.async_getattr ||
        !(*inode)->mount().answers_at_once()) {
        return getattr_slowly(context, node, handle);
    }
    InodeTable::touch(*inode);
    struct statx found;
    if (stat_descriptor((*inode)->descriptor(), 0, statx_mask, found) != 0) {
        return Answer::ready(fail_errno());
    }
    (*inode)->note(found);
    return Answer::ready(
        fuse::TimedAttributes{.attributes = attributes_of(found), .valid = attributes_valid_});
}

Task<Result<fuse::TimedAttributes>> MirrorFs::getattr_slowly(
    fuse::Context& context, fuse::NodeId node, std::optional<fuse::FileHandle> handle) {
    const Target target = co_await or_return(co_await target_of(context, node, handle));
    Mount& mount = target.inode->mount();
    const auto found =
        co_await or_return(co_await attributes_through(context, mount, target.fd()));
    target.inode->note(found);
    co_return fuse::TimedAttributes{.attributes = attributes_of(found),
                                    .valid = attributes_valid_};
}

Task<Result<void>> MirrorFs::statx(fuse::Context& context,
                                   fuse::NodeId node,
                                   std::optional<fuse::FileHandle> handle,
                                   std::uint32_t flags,
                                   std::uint32_t mask,
                                   struct ::statx& out,
                                   Duration& valid) {
    const Target target = co_await or_return(co_await target_of(context, node, handle));
    const std::uint32_t sync = flags & (AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC);
    auto ask = [&]() -> Result<void> {
        const auto all = static_cast<int>(sync) | AT_EMPTY_PATH;
        if (::statx(target.fd(), "", all, mask, &out) != 0) return fail_errno();
        return {};
    };
    co_await or_return(co_await look(context, target.inode->mount(), CallKind::look, ask));
    out.stx_uid = uid_map_.to_guest(out.stx_uid);
    out.stx_gid = gid_map_.to_guest(out.stx_gid);
    valid = attributes_valid_;
    co_return Result<void>();
}

Task<Result<void>> MirrorFs::access(fuse::Context& context,
                                    fuse::NodeId node,
                                    std::uint32_t mask) {
    // With default_permissions, which virtio-fs implies, no kernel asks. For others the mode
    // bits decide; the tenant's kernel would know ACLs, and this answer does not.
    const auto answer = co_await or_return(co_await getattr(context, node, std::nullopt));
    const fuse::Attributes& found = answer.attributes;
    const reactor::Credentials& caller = context.caller;
    if (caller.uid == 0) {
        const bool can_run = S_ISDIR(found.mode) || (found.mode & 0111) != 0;
        if ((mask & X_OK) != 0 && !can_run) co_return fail(Errno::access_denied);
        co_return Result<void>();
    }
    std::uint32_t granted = found.mode & 7;
    if (caller.uid == found.uid) {
        granted = (found.mode >> 6) & 7;
    } else if (caller.gid == found.gid ||
               std::ranges::find(caller.group_list(), found.gid) != caller.group_list().end()) {
        granted = (found.mode >> 3) & 7;
    }
    if ((mask & ~granted & 7) != 0) co_return fail(Errno::access_denied);
    co_return Result<void>();
}

Task<Result<std::size_t>> MirrorFs::readlink(fuse::Context& context,
                                             fuse::NodeId node,
                                             std::span<char> target) {
    const InodePin inode = co_await or_return(co_await reach(context, node));
    if (!inode->is(S_IFLNK)) co_return fail(Errno::invalid);
    auto ask = [&]() -> Result<std::size_t> {
        const ssize_t size =
            ::readlinkat(inode->descriptor(), "", target.data(), target.size());
        if (size < 0) return fail_errno();
        return static_cast<std::size_t>(size);
    };
    co_return co_await look(context, inode->mount(), CallKind::look, ask);
}

}  // namespace dpfs::mirror
