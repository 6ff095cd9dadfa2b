// SPDX-License-Identifier: Apache-2.0
#include "base/or_return.hpp"
#include "fs/mirror/mirror_fs.hpp"
#include "fs/mirror/proc_fd.hpp"

#include <cstring>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>

namespace dpfs::mirror {

Task<Result<fuse::FileSystemStatus>> MirrorFs::statfs(fuse::Context& context,
                                                      fuse::NodeId node) {
    const InodePin inode = co_await or_return(co_await reach(context, node));
    struct statfs found = {};
    auto ask = [&]() -> Result<void> {
        if (::fstatfs(inode->descriptor(), &found) != 0) return fail_errno();
        return {};
    };
    co_await or_return(co_await look(context, inode->mount(), CallKind::look, ask));
    co_return fuse::FileSystemStatus{
        .blocks = found.f_blocks,
        .blocks_free = found.f_bfree,
        .blocks_available = found.f_bavail,
        .files = found.f_files,
        .files_free = found.f_ffree,
        .block_size = static_cast<std::uint32_t>(found.f_bsize),
        .fragment_size = static_cast<std::uint32_t>(found.f_frsize),
        .name_size_max = static_cast<std::uint32_t>(found.f_namelen)};
}

Task<Result<void>> MirrorFs::syncfs(fuse::Context& context, fuse::NodeId node) {
    InodePin inode = co_await or_return(co_await reach(context, node));
    if (!inode->is(S_IFDIR) && !inode->is(S_IFREG)) co_return fail(Errno::invalid);
    auto sync_all = [&]() -> Result<void> {
        const auto fd = reopen(proc_fd_.get(), inode->descriptor(), O_RDONLY | O_NONBLOCK);
        if (!fd) return fail(fd.error());
        if (::syncfs(fd->get()) != 0) return fail_errno();
        return {};
    };
    co_return co_await context.reactor.blocking(sync_all);
}

Task<Result<std::size_t>> MirrorFs::ioctl(fuse::Context& context,
                                          fuse::NodeId node,
                                          fuse::FileHandle handle,
                                          std::uint32_t command,
                                          std::uint64_t argument,
                                          std::span<const std::byte> in,
                                          std::span<std::byte> out,
                                          std::int32_t& value) {
    static_cast<void>(argument);
    static_cast<void>(in);
    OpenFilePin file = co_await or_return(handle_of(node, handle));
    // What lsattr(1) asks for. Setting is refused: flags such as "immutable" would bind the
    // host's own administrator. Everything else an ioctl could mean stays on the host.
    if (command == FS_IOC_SETFLAGS || command == FS_IOC_FSSETXATTR) {
        co_return fail(Errno::not_supported);
    }
    if (command != FS_IOC_GETFLAGS && command != FS_IOC_FSGETXATTR) {
        co_return fail(Errno::not_a_terminal);
    }
    // FS_IOC_GETFLAGS says "long" in its number, and means int.
    union {
        int flags;
        struct fsxattr attributes;
    } answer = {};
    const bool flags_only = command == FS_IOC_GETFLAGS;
    const std::size_t size = flags_only ? sizeof answer.flags : sizeof answer.attributes;
    if (out.size() < size) co_return fail(Errno::invalid);
    auto ask = [&]() -> Result<void> {
        if (::ioctl(file->descriptor.get(), command, &answer) != 0) return fail_errno();
        return {};
    };
    co_await or_return(co_await look(context, file->inode->mount(), CallKind::look, ask));
    std::memcpy(out.data(), &answer, size);
    value = 0;
    co_return size;
}

}  // namespace dpfs::mirror
