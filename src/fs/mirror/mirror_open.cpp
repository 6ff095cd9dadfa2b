// SPDX-License-Identifier: Apache-2.0
#include "base/or_return.hpp"
#include "fs/mirror/mirror_fs.hpp"
#include "fs/mirror/proc_fd.hpp"
#include "fs/mirror/set_id.hpp"
#include "fuse/wire_file.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/file.h>

namespace dpfs::mirror {
namespace {

/// The flags that mean something to the host's file. O_APPEND is not among them: each write
/// says whether it appends (write_flags()), so that one description serves the tenant's writes
/// and its kernel's write-back of mapped pages alike.
constexpr std::uint32_t passed_flags = O_ACCMODE | O_TRUNC | O_SYNC | O_DSYNC | O_NOATIME;

bool wants_write(std::uint32_t flags) noexcept {
    return (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC) != 0;
}

Errno not_regular(const Inode& inode) noexcept {
    if (inode.is(S_IFDIR)) return Errno::is_directory;
    if (inode.is(S_IFLNK)) return Errno::loop;
    return Errno::no_device;  // devices, FIFOs and sockets are the tenant's kernel's own
}

/// The alignment that O_DIRECT asks of `fd`'s file, in bytes.
std::uint32_t direct_alignment(int fd) noexcept {
    constexpr std::uint32_t usual = 4096;
#ifdef STATX_DIOALIGN
    struct statx found = {};
    if (::statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &found) == 0 &&
        (found.stx_mask & STATX_DIOALIGN) != 0 && found.stx_dio_offset_align != 0) {
        return std::max(found.stx_dio_offset_align, found.stx_dio_mem_align);
    }
#else
    static_cast<void>(fd);
#endif
    return usual;
}

}  // namespace

int MirrorFs::host_open_flags(std::uint32_t guest_flags) const noexcept {
    std::uint32_t flags = guest_flags & passed_flags;
    // A tenant that collects writes reads the rest of a page that it writes a part of.
    const bool writeback = writeback_.load(std::memory_order_relaxed);
    if (writeback && (flags & O_ACCMODE) == O_WRONLY) {
        flags = (flags & ~std::uint32_t{O_ACCMODE}) | O_RDWR;
    }
    if (options_.direct == DirectPolicy::passthrough) flags |= guest_flags & O_DIRECT;
    return static_cast<int>(flags);
}

Task<Result<fuse::OpenReply>> MirrorFs::open(fuse::Context& context,
                                             fuse::NodeId node,
                                             fuse::OpenRequest request) {
    InodePin inode = co_await or_return(co_await reach(context, node));
    UniqueFd fd = co_await or_return(co_await open_regular(context, inode, request));
    co_return publish_open(std::move(inode), std::move(fd), request.flags);
}

Task<Result<UniqueFd>> MirrorFs::open_regular(fuse::Context& context,
                                              InodePin& inode,
                                              fuse::OpenRequest request) {
    // The type is that of the inode behind the descriptor, which no race can change.
    if (!inode->is(S_IFREG)) co_return fail(not_regular(*inode));
    if (options_.read_only && wants_write(request.flags)) co_return fail(Errno::read_only);
    reactor::Credentials mapped;
    const auto* const who = host_caller(context, mapped);
    const int flags = host_open_flags(request.flags);
    const bool truncates = (flags & O_TRUNC) != 0;
    const bool keep_set_id = truncates && !request.kill_suid_gid && inode->may_have_set_id();

    Mount& mount = inode->mount();
    const int fd = inode->descriptor();
    PacedCall paced = mount.call(truncates ? CallKind::change : CallKind::look);
    if (!paced.in_place() || (truncates && inode->is_large()) || keep_set_id) {
        auto open_it = [&]() {
            const KeepSetIdBits keep(keep_set_id);
            return reopen(proc_fd_.get(), fd, flags);
        };
        if (keep_set_id) co_return co_await on_pool(context, paced, who, open_it);
        co_return co_await open_waiting(context, who, fd, flags, paced);
    }

    co_await or_return(reactor::act_as(who));
    // Somebody's lease on the file could make the call wait for 45 s.
    int kept_flags = flags & (O_DIRECT | O_NOATIME);
    auto opened = reopen(proc_fd_.get(), fd, flags | O_NONBLOCK);
    if (!opened && opened.error() == Errno::again) {
        co_return co_await open_waiting(context, who, fd, flags, paced);
    }
    if (!opened && opened.error() == Errno::not_permitted && (request.flags & O_APPEND) != 0) {
        // An append-only file (chattr +a) can be opened for appending only.
        opened = reopen(proc_fd_.get(), fd, flags | O_APPEND | O_NONBLOCK);
        kept_flags |= O_APPEND;
    }
    paced.end();
    // io_uring takes it for "never wait", also for data that is on disk.
    if (opened) ::fcntl(opened->get(), F_SETFL, kept_flags);
    co_return opened;
}

Task<Result<UniqueFd>> MirrorFs::open_waiting(fuse::Context& context,
                                              const reactor::Credentials* who,
                                              int fd,
                                              int flags,
                                              PacedCall paced) {
    const FdName name(fd);
    open_how how = {};
    how.flags = static_cast<std::uint64_t>(flags) | O_CLOEXEC | O_NOCTTY;
    auto opened = co_await context.reactor.openat2(proc_fd_.get(), name.c_str(), how).as(who);
    paced.end();
    co_return opened;
}

Result<fuse::OpenReply> MirrorFs::publish_open(InodePin inode,
                                               UniqueFd fd,
                                               std::uint32_t flags) {
    auto made = open_files_.make();
    if (!made) return fail(made.error());
    OpenFile& file = **made;
    const auto direct_wanted = (flags & O_DIRECT) != 0;
    const bool passes = options_.direct == DirectPolicy::passthrough && direct_wanted;
    file.waits_for_device = passes || (flags & (O_SYNC | O_DSYNC)) != 0;
    if (passes && (::fcntl(fd.get(), F_GETFL) & O_DIRECT) == 0) {
        const int now = ::fcntl(fd.get(), F_GETFL);
        if (::fcntl(fd.get(), F_SETFL, now | O_DIRECT) != 0) return fail_errno();
    }
    if (options_.direct == DirectPolicy::always) {
        const int again = static_cast<int>(flags & (O_ACCMODE | O_SYNC | O_DSYNC));
        auto direct = reopen(proc_fd_.get(), fd.get(), again | O_DIRECT);
        // Where the file system refuses, the page cache serves.
        if (direct) {
            file.direct = std::move(*direct);
            file.alignment = direct_alignment(fd.get());
        }
    }
    file.inode = std::move(inode);
    file.descriptor = std::move(fd);
    open_files_.publish(*made);

    fuse::OpenReply reply = {.handle = fuse::FileHandle{made->id()}};
    if (options_.cache == CachePolicy::never) {
        reply.open_flags =
            fuse::wire::fopen::direct_io | fuse::wire::fopen::parallel_direct_writes;
    } else if (options_.cache == CachePolicy::always) {
        reply.open_flags = fuse::wire::fopen::keep_cache;
    }
    return reply;
}

Task<Result<void>> MirrorFs::flush(fuse::Context& context,
                                   fuse::NodeId node,
                                   fuse::FileHandle handle,
                                   fuse::LockOwner owner) {
    OpenFilePin file = co_await or_return(file_of(node, handle));
    Mount& mount = file->inode->mount();
    // A remote file system says at close(2) what came of data that it took before.
    const bool reports_errors = mount.kind() == Mount::Kind::remote;
    if (file->inode->locks_if_any() == nullptr && !reports_errors) co_return Result<void>();
    auto flush_it = [&]() -> Result<void> {
        drop_posix_locks(*file->inode, owner);
        if (!reports_errors) return {};
        const int copy = ::fcntl(file->descriptor.get(), F_DUPFD_CLOEXEC, 0);
        if (copy < 0 || ::close(copy) != 0) return fail_errno();
        return {};
    };
    co_return co_await look(context, mount, CallKind::look, flush_it);
}

Task<Result<void>> MirrorFs::release(fuse::Context& context,
                                     fuse::NodeId node,
                                     fuse::FileHandle handle,
                                     fuse::ReleaseRequest request) {
    OpenFilePin file = co_await or_return(file_of(node, handle));
    if (!open_files_.retire(file)) co_return fail(Errno::bad_descriptor);
    const bool is_registered = file->registrations.stop();
    if (is_registered) co_await file->registrations.end(context.reactor);
    InodePin inode = file->inode.share();
    if (InodeLocks* const locks = inode->locks_if_any()) {
        auto drop = [&]() -> Result<void> {
            if (request.posix_owner) drop_posix_locks(*inode, *request.posix_owner);
            const bool flocked = file->flocked.load(std::memory_order_relaxed);
            // The description ends with the handle's last pin; others need not wait for it.
            if (flocked) ::flock(file->descriptor.get(), LOCK_UN);
            if (locks->drop_made_through(handle) || flocked) {
                locks->serve(inode->mount().answers_at_once());
            }
            return {};
        };
        static_cast<void>(co_await look(context, inode->mount(), CallKind::look, drop));
    }
    // A remote file system writes back when a file is closed.
    if (inode->mount().never_in_place() || frees_much(*inode, file->descriptor.get())) {
        co_await close_elsewhere(context.reactor, std::move(file));
    }
    co_return Result<void>();
}

Task<void> MirrorFs::close_elsewhere(reactor::Reactor& reactor, OpenFilePin file) {
    auto close = [&]() { file.release(); };
    co_await reactor.blocking(close);
}

Task<Result<void>> MirrorFs::fsync(fuse::Context& context,
                                   fuse::NodeId node,
                                   fuse::FileHandle handle,
                                   bool data_only) {
    OpenFilePin file = co_await or_return(file_of(node, handle));
    co_return co_await sync(context, std::move(file), data_only);
}

Task<Result<void>> MirrorFs::sync(fuse::Context& context, OpenFilePin file, bool data_only) {
    const int fd = file->descriptor.get();
    if (file->inode->mount().always_in_place() || !options_.async_fsync) {
        const int failed = data_only ? ::fdatasync(fd) : ::fsync(fd);
        if (failed != 0) co_return fail_errno();
        co_return Result<void>();
    }
    // A directory has no other calls that would gain.
    if (file->directory == nullptr) file->registrations.used(context.reactor, fd);
    co_return co_await context.reactor.fsync(fd, data_only);
}

}  // namespace dpfs::mirror
