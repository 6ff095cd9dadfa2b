// SPDX-License-Identifier: Apache-2.0
#include "base/or_return.hpp"
#include "fs/mirror/mirror_fs.hpp"
#include "fs/mirror/proc_fd.hpp"
#include "fs/mirror/set_id.hpp"

#include <fcntl.h>

namespace dpfs::mirror {
namespace {

timespec time_of(const std::optional<fuse::SetAttributes::Time>& wanted) noexcept {
    if (!wanted) return {.tv_sec = 0, .tv_nsec = UTIME_OMIT};
    if (wanted->now) return {.tv_sec = 0, .tv_nsec = UTIME_NOW};
    return {.tv_sec = wanted->seconds, .tv_nsec = static_cast<long>(wanted->nanoseconds)};
}

}  // namespace

Task<Result<fuse::TimedAttributes>> MirrorFs::setattr(fuse::Context& context,
                                                      fuse::NodeId node,
                                                      fuse::SetAttributes change) {
    if (options_.read_only) co_return fail(Errno::read_only);
    Target target = co_await or_return(co_await target_of(context, node, change.handle));
    reactor::Credentials mapped;
    const auto* const who = host_caller(context, mapped);
    // As Linux, for an owner that the file system cannot express.
    if (change.uid) {
        change.uid = uid_map_.to_host(*change.uid).value_or(~0u);
        if (*change.uid == ~0u) co_return fail(Errno::invalid);
    }
    if (change.gid) {
        change.gid = gid_map_.to_host(*change.gid).value_or(~0u);
        if (*change.gid == ~0u) co_return fail(Errno::invalid);
    }

    Mount& mount = target.inode->mount();
    auto apply_all = [&]() { return apply(target, change); };
    if (change.size && target.inode->is_large()) {
        // Freeing many blocks takes its time, however fast small changes have been.
        co_await or_return(co_await context.reactor.blocking(apply_all, who));
    } else {
        co_await or_return(co_await this->change(context, mount, who, apply_all));
    }

    const auto found =
        co_await or_return(co_await attributes_through(context, mount, target.fd()));
    target.inode->note(found);
    co_return fuse::TimedAttributes{.attributes = attributes_of(found),
                                    .valid = attributes_valid_};
}

/// In the order in which one may take away what the next needs: the size first, because it is
/// what fails; the owner before the mode, because a change of owner clears set-id bits.
Result<void> MirrorFs::apply(const Target& target, const fuse::SetAttributes& wanted) const {
    if (wanted.size) {
        const auto resized = resize(target, *wanted.size, wanted.kill_suid_gid);
        if (!resized) return resized;
    }
    const int fd = target.fd();
    if (wanted.uid || wanted.gid) {
        constexpr std::uint32_t unchanged = ~0u;
        const uid_t uid = wanted.uid.value_or(unchanged);
        const gid_t gid = wanted.gid.value_or(unchanged);
        if (::fchownat(fd, "", uid, gid, AT_EMPTY_PATH) != 0) return fail_errno();
    }
    if (wanted.mode) {
        // The tenant's kernel has taken S_ISGID away where its caller may not set it.
        const KeepSetIdBits keep((*wanted.mode & (S_ISUID | S_ISGID)) != 0);
        const mode_t mode = *wanted.mode & 07777;
        if (::fchmodat(proc_fd_.get(), FdName(fd).c_str(), mode, 0) != 0) return fail_errno();
    }
    if (wanted.atime || wanted.mtime) {
        const timespec times[2] = {time_of(wanted.atime), time_of(wanted.mtime)};
        if (::utimensat(fd, "", times, AT_EMPTY_PATH) != 0) return fail_errno();
    }
    // A change of ctime alone (writeback tenants ask for it) is what any change brings about.
    return {};
}

Result<void> MirrorFs::resize(const Target& target,
                              std::uint64_t wanted,
                              bool kill_set_id) const {
    if (target.inode->is(S_IFDIR)) return fail(Errno::is_directory);
    if (!target.inode->is(S_IFREG)) return fail(Errno::invalid);
    if (wanted > static_cast<std::uint64_t>(INT64_MAX)) return fail(Errno::invalid);
    const auto size = static_cast<off_t>(wanted);
    const KeepSetIdBits keep(!kill_set_id && target.inode->may_have_set_id());
    if (target.file) {
        if (::ftruncate(target.file->descriptor.get(), size) == 0) return {};
        // A handle that is not open for writing says EINVAL: ftruncate(2) by the tenant's
        // kernel has been checked there, so the inode itself may be asked.
        if (errno != EINVAL) return fail_errno();
    }
    auto opened = reopen(proc_fd_.get(), target.fd(), O_WRONLY | O_NONBLOCK);
    if (!opened) return fail(opened.error());
    if (::ftruncate(opened->get(), size) != 0) return fail_errno();
    return {};
}

}  // namespace dpfs::mirror
