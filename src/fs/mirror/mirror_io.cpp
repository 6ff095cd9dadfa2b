// SPDX-License-Identifier: Apache-2.0
#include "base/iovec_cursor.hpp"
#include "base/or_return.hpp"
#include "fs/mirror/mirror_fs.hpp"
#include "fs/mirror/set_id.hpp"

#include <climits>

#include <algorithm>
#include <fcntl.h>
#include <sys/uio.h>

namespace dpfs::mirror {
namespace {

using Answer = Task<Result<std::size_t>>;

/// What one call may take of `buffers` after the first `done` bytes. `space` holds it where it
/// is no part of `buffers` as they are.
std::span<const iovec> rest_of(std::span<const iovec> buffers,
                               std::size_t done,
                               std::vector<iovec>& space) {
    if (done == 0) return buffers.first(std::min<std::size_t>(buffers.size(), IOV_MAX));
    IovecCursor cursor(buffers);
    space.clear();
    // In range: `done` bytes of them have been transferred.
    const auto skipped = cursor.skip(done);
    const auto taken = cursor.take_iovecs(cursor.left(), space);
    DPFS_ASSERT(skipped && taken);
    return std::span<const iovec>(space).first(std::min<std::size_t>(space.size(), IOV_MAX));
}

/// Whether O_DIRECT can take the request as it is.
bool is_aligned(std::span<const iovec> buffers,
                std::uint64_t offset,
                std::uint32_t alignment) noexcept {
    std::uint64_t all = offset;
    for (const iovec& buffer : buffers) {
        all |= std::bit_cast<std::uintptr_t>(buffer.iov_base) | buffer.iov_len;
    }
    return (all & (alignment - 1)) == 0;
}

int data_descriptor(const OpenFile& file,
                    std::span<const iovec> buffers,
                    std::uint64_t offset) noexcept {
    const bool direct = file.direct && is_aligned(buffers, offset, file.alignment);
    return direct ? file.direct.get() : file.descriptor.get();
}

/// Whether a data call may be tried in place at all.
bool may_be_in_place(DataPath path,
                     const OpenFile& file,
                     std::span<const iovec> buffers) noexcept {
    if (buffers.size() > IOV_MAX || path == DataPath::async) return false;
    if (path == DataPath::in_place) return !file.direct;
    const Mount& mount = file.inode->mount();
    if (mount.never_in_place()) return false;
    return mount.always_in_place() || (!file.direct && !file.waits_for_device);
}

off_t as_off(std::uint64_t offset) noexcept {
    return static_cast<off_t>(offset);
}

/// Whether a read in place may wait, because nothing has to be waited for or the operator says
/// so: it then gives all there is.
bool reads_to_the_end(DataPath path, const Mount& mount) noexcept {
    return path == DataPath::in_place || mount.always_in_place();
}

/// What a call in place gives; unless it may wait, that is what preadv2(RWF_NOWAIT) gives at
/// once. Errors: EAGAIN (a device has to be asked, or the file system cannot tell), others.
Result<std::size_t> read_in_place(DataPath path,
                                  const OpenFile& file,
                                  std::span<const iovec> to,
                                  std::uint64_t offset) noexcept {
    Mount& mount = file.inode->mount();
    int flags = 0;
    if (!reads_to_the_end(path, mount)) {
        if (!mount.reads_without_waiting()) return fail(Errno::again);
        flags = RWF_NOWAIT;
    }
    const ssize_t size = ::preadv2(
        file.descriptor.get(), to.data(), static_cast<int>(to.size()), as_off(offset), flags);
    if (size >= 0) return static_cast<std::size_t>(size);
    if (errno == EOPNOTSUPP) {
        mount.cannot_read_without_waiting();
        return fail(Errno::again);
    }
    return fail_errno();
}

}  // namespace

Task<Result<std::size_t>> MirrorFs::read(fuse::Context& context,
                                         fuse::NodeId node,
                                         fuse::FileHandle handle,
                                         fuse::ReadRequest request,
                                         std::span<const iovec> to) {
    auto file = file_of(node, handle);
    if (!file) return Answer::ready(fail(file.error()));
    std::size_t done = 0;
    const DataPath path = options_.data_path;
    if (may_be_in_place(path, **file, to)) {
        const auto size = read_in_place(path, **file, to, request.offset);
        if (!size && size.error() != Errno::again) return Answer::ready(size);
        // With RWF_NOWAIT, fewer bytes may mean that the rest is not in memory.
        const bool to_the_end = reads_to_the_end(path, (*file)->inode->mount());
        if (size && (*size == request.size || to_the_end)) return Answer::ready(size);
        done = size.value_or(0);
    }
    return read_slowly(context, std::move(*file), request, to, done);
}

Task<Result<std::size_t>> MirrorFs::read_slowly(fuse::Context& context,
                                                OpenFilePin file,
                                                fuse::ReadRequest request,
                                                std::span<const iovec> to,
                                                std::size_t done) {
    std::vector<iovec> space;
    int fd = data_descriptor(*file, to, request.offset);
    while (done < request.size) {
        const auto part = rest_of(to, done, space);
        const std::uint64_t offset = request.offset + done;
        if (done != 0 && may_be_in_place(options_.data_path, *file, part)) {
            // Mostly this is the end of the file, which is known without asking a device.
            const auto size = read_in_place(options_.data_path, *file, part, offset);
            if (size && *size == 0) break;
            if (size) {
                done += *size;
                continue;
            }
        }
        file->registrations.used(context.reactor, fd);
        const auto size = co_await context.reactor.readv(fd, part, offset);
        if (!size && size.error() == Errno::invalid && fd == file->direct.get()) {
            fd = file->descriptor.get();  // stricter than it says: the page cache serves
            continue;
        }
        // O_DIRECT cannot go on from the end of a file that is no multiple of its blocks.
        if (!size && size.error() == Errno::invalid && done != 0) break;
        // Also after some bytes: fewer than asked, without an error, mean the end of the file.
        if (!size) co_return fail(size.error());
        if (*size == 0) break;
        done += *size;
    }
    co_return done;
}

std::uint32_t MirrorFs::write_flags(const fuse::WriteRequest& request) const noexcept {
    // A tenant knows the end of the file as of some time ago; several of them append without
    // overwriting each other only if the host says where the end is. Not for pages that the
    // tenant's kernel writes back: these have their place, whatever the description that they
    // come through was opened for.
    const bool appends = (request.flags & O_APPEND) != 0 && !request.from_page_cache &&
                         !writeback_.load(std::memory_order_relaxed);
    return appends ? RWF_APPEND : 0;
}

Task<Result<std::size_t>> MirrorFs::write(fuse::Context& context,
                                          fuse::NodeId node,
                                          fuse::FileHandle handle,
                                          fuse::WriteRequest request,
                                          std::span<const iovec> from) {
    auto file = file_of(node, handle);
    if (!file) return Answer::ready(fail(file.error()));
    Inode& inode = *(*file)->inode;
    inode.note_size(request.offset + request.size);
    if (!request.kill_suid_gid && inode.may_have_set_id()) {
        return write_keeping_set_id(context, std::move(*file), request, from);
    }
    const DataPath path = options_.data_path;
    if (!may_be_in_place(path, **file, from)) {
        return write_slowly(context, std::move(*file), request, from, 0);
    }
    PacedCall paced = inode.mount().call(CallKind::write);
    if (!paced.in_place() && path != DataPath::in_place) {
        return write_slowly(context, std::move(*file), request, from, 0);
    }

    reactor::Credentials mapped;
    const auto* const who = host_caller(context, mapped);
    if (const auto acting = reactor::act_as(who); !acting) {
        return Answer::ready(fail(acting.error()));
    }
    const ssize_t size = ::pwritev2((*file)->descriptor.get(),
                                    from.data(),
                                    static_cast<int>(from.size()),
                                    as_off(request.offset),
                                    static_cast<int>(write_flags(request)));
    if (size < 0) return Answer::ready(fail_errno());
    const auto done = static_cast<std::size_t>(size);
    paced.end(done);
    if (done == request.size || done == 0) return Answer::ready(done);
    return write_slowly(context, std::move(*file), request, from, done);
}

Task<Result<std::size_t>> MirrorFs::write_slowly(fuse::Context& context,
                                                 OpenFilePin file,
                                                 fuse::WriteRequest request,
                                                 std::span<const iovec> from,
                                                 std::size_t done) {
    reactor::Credentials mapped;
    const auto* const who = host_caller(context, mapped);
    std::vector<iovec> space;
    int fd = data_descriptor(*file, from, request.offset);
    while (done < request.size) {
        const auto part = rest_of(from, done, space);
        PacedCall paced = file->inode->mount().call(CallKind::write);
        auto& reactor = context.reactor;
        file->registrations.used(reactor, fd);
        const auto size =
            co_await reactor.writev(fd, part, request.offset + done, write_flags(request))
                .as(who);
        // Here because the pace said so, not for another reason: then it learns from it.
        if (!paced.in_place() && !file->waits_for_device) paced.end(request.size);
        if (!size && size.error() == Errno::invalid && fd == file->direct.get()) {
            fd = file->descriptor.get();
            continue;
        }
        if (!size && done == 0) co_return fail(size.error());
        if (!size || *size == 0) break;
        done += *size;
    }
    co_return done;
}

Task<Result<std::size_t>> MirrorFs::write_keeping_set_id(fuse::Context& context,
                                                         OpenFilePin file,
                                                         fuse::WriteRequest request,
                                                         std::span<const iovec> from) {
    reactor::Credentials mapped;
    const auto* const who = host_caller(context, mapped);
    auto write_all = [&]() -> Result<std::size_t> {
        const KeepSetIdBits keep(true);
        std::vector<iovec> space;
        std::size_t done = 0;
        while (done < request.size) {
            const auto part = rest_of(from, done, space);
            const ssize_t size = ::pwritev2(file->descriptor.get(),
                                            part.data(),
                                            static_cast<int>(part.size()),
                                            as_off(request.offset + done),
                                            static_cast<int>(write_flags(request)));
            if (size < 0 && done == 0) return fail_errno();
            if (size <= 0) break;
            done += static_cast<std::size_t>(size);
        }
        return done;
    };
    co_return co_await context.reactor.blocking(write_all, who);
}

}  // namespace dpfs::mirror
