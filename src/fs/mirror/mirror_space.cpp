// SPDX-License-Identifier: Apache-2.0
#include "base/or_return.hpp"
#include "fs/mirror/mirror_fs.hpp"
#include "fs/mirror/set_id.hpp"

#include <algorithm>
#include <fcntl.h>
#include <unistd.h>

namespace dpfs::mirror {

Task<Result<void>> MirrorFs::fallocate(fuse::Context& context,
                                       fuse::NodeId node,
                                       fuse::FileHandle handle,
                                       std::uint32_t mode,
                                       std::uint64_t offset,
                                       std::uint64_t length) {
    OpenFilePin file = co_await or_return(file_of(node, handle));
    reactor::Credentials mapped;
    const auto* const who = host_caller(context, mapped);
    file->inode->note_size(offset + length);
    const int fd = file->descriptor.get();
    if (context.caller.uid == 0 && file->inode->may_have_set_id()) {
        // The request does not say whether the bits may stay; the tenant's root keeps them.
        auto allocate = [&]() -> Result<void> {
            const KeepSetIdBits keep(true);
            const auto start = static_cast<off_t>(offset);
            const auto size = static_cast<off_t>(length);
            if (::fallocate(fd, static_cast<int>(mode), start, size) != 0) return fail_errno();
            return {};
        };
        co_return co_await context.reactor.blocking(allocate, who);
    }
    // Never in place: it may have to clear any amount of memory, or of disk.
    co_return co_await context.reactor.fallocate(fd, mode, offset, length).as(who);
}

Task<Result<std::uint64_t>> MirrorFs::lseek(fuse::Context& context,
                                            fuse::NodeId node,
                                            fuse::FileHandle handle,
                                            std::uint64_t offset,
                                            std::uint32_t whence) {
    OpenFilePin file = co_await or_return(file_of(node, handle));
    if (whence != SEEK_DATA && whence != SEEK_HOLE) co_return fail(Errno::invalid);
    // Moves a position that nothing else uses: data calls name their offsets.
    auto seek = [&]() -> Result<std::uint64_t> {
        const off_t found = ::lseek(
            file->descriptor.get(), static_cast<off_t>(offset), static_cast<int>(whence));
        if (found < 0) return fail_errno();
        return static_cast<std::uint64_t>(found);
    };
    co_return co_await look(context, file->inode->mount(), CallKind::look, seek);
}

Task<Result<std::size_t>> MirrorFs::copy_file_range(fuse::Context& context,
                                                    fuse::CopyRequest request) {
    OpenFilePin from = co_await or_return(file_of(request.from, request.from_handle));
    OpenFilePin to = co_await or_return(file_of(request.to, request.to_handle));
    reactor::Credentials mapped;
    const auto* const who = host_caller(context, mapped);
    // One request must not keep a pool thread for ever; a short copy is asked to go on.
    constexpr std::uint64_t size_max = 64 << 20;
    const std::size_t size = std::min(request.size, size_max);
    const bool keeps_set_id = context.caller.uid == 0 && to->inode->may_have_set_id();
    to->inode->note_size(request.to_offset + size);

    auto copy = [&]() -> Result<std::size_t> {
        const KeepSetIdBits keep(keeps_set_id);
        auto from_offset = static_cast<off_t>(request.from_offset);
        auto to_offset = static_cast<off_t>(request.to_offset);
        const ssize_t copied = ::copy_file_range(
            from->descriptor.get(), &from_offset, to->descriptor.get(), &to_offset, size, 0);
        if (copied < 0) return fail_errno();
        return static_cast<std::size_t>(copied);
    };
    co_return co_await context.reactor.blocking(copy, who);
}

}  // namespace dpfs::mirror
