// SPDX-License-Identifier: Apache-2.0
#include "base/or_return.hpp"
#include "fs/mirror/mirror_fs.hpp"
#include "fs/mirror/proc_fd.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

namespace dpfs::mirror {
namespace {

/// The reverse of the kernel's new_encode_dev().
dev_t decode_device(std::uint32_t device) noexcept {
    const std::uint32_t major = (device >> 8) & 0xfff;
    const std::uint32_t minor = (device & 0xff) | ((device >> 12) & 0xfff00);
    return makedev(major, minor);
}

/// Opens a name that must not exist yet (or, for O_TMPFILE, a directory).
Result<UniqueFd> open_new(int dir, const char* name, int flags, std::uint32_t mode) noexcept {
    open_how how = {};
    how.flags = static_cast<std::uint64_t>(flags) | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY;
    how.mode = mode;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    const long fd = ::syscall(SYS_openat2, dir, name, &how, sizeof how);
    if (fd < 0) return fail_errno();
    return UniqueFd(static_cast<int>(fd));
}

}  // namespace

Task<Result<std::uint32_t>> MirrorFs::creation_mode(fuse::Context& context,
                                                    InodePin& dir,
                                                    std::uint32_t mode,
                                                    std::uint32_t umask) {
    // Without FUSE_POSIX_ACL (which brings FUSE_DONT_MASK) the tenant's kernel has applied its
    // umask already. With it, the umask counts only where the parent has no default ACL.
    if (umask == 0) co_return mode;
    if (posix_acl_.load(std::memory_order_relaxed)) {
        auto ask = [&]() -> Result<bool> {
            const FdName name(dir->descriptor());
            return ::getxattr(name.path(), "system.posix_acl_default", nullptr, 0) > 0;
        };
        const auto has_acl = co_await look(context, dir->mount(), CallKind::look, ask);
        if (has_acl.value_or(false)) co_return mode;
    }
    co_return mode & ~umask;
}

Task<Result<void>> MirrorFs::set_security(fuse::Context& context,
                                          Mount& mount,
                                          int fd,
                                          fuse::SecurityContext security) {
    if (security.name.empty() || !options_.xattr) co_return Result<void>();
    const auto name = xattr_names_.to_host(security.name);
    if (!name) co_return fail(Errno::not_permitted);
    auto set = [&]() -> Result<void> {
        const auto& value = security.value;
        const FdName path(fd);
        if (::setxattr(path.path(), name->c_str(), value.data(), value.size(), 0) == 0) {
            return {};
        }
        // A host without labels serves tenants that use them, as every other server does.
        if (errno == EOPNOTSUPP) return {};
        return fail_errno();
    };
    // The tenant's kernel chose the label; its caller need not be allowed to.
    co_return co_await change(context, mount, nullptr, set);
}

Task<Result<fuse::Entry>> MirrorFs::enter_made(fuse::Context& context,
                                               InodePin& dir,
                                               fuse::Name name,
                                               fuse::SecurityContext security) {
    Found found = co_await or_return(co_await find_name(context, dir, name.c_str()));
    co_await or_return(co_await set_security(context, dir->mount(), found.fd.get(), security));
    co_return co_await enter(context, dir, std::move(found));
}

Task<Result<fuse::Entry>> MirrorFs::mknod(fuse::Context& context,
                                          fuse::NodeId parent,
                                          fuse::Name name,
                                          fuse::MakeRequest request) {
    if (options_.read_only) co_return fail(Errno::read_only);
    InodePin dir = co_await or_return(co_await reach(context, parent));
    reactor::Credentials mapped;
    const auto* const who = co_await or_return(host_creator(context, mapped));
    const std::uint32_t mode =
        co_await or_return(co_await creation_mode(context, dir, request.mode, request.umask));
    auto make = [&]() -> Result<void> {
        const dev_t device = decode_device(request.rdev);
        if (::mknodat(dir->descriptor(), name.c_str(), mode, device) != 0) return fail_errno();
        return {};
    };
    co_await or_return(co_await change(context, dir->mount(), who, make));
    co_return co_await enter_made(context, dir, name, request.security);
}

Task<Result<fuse::Entry>> MirrorFs::mkdir(fuse::Context& context,
                                          fuse::NodeId parent,
                                          fuse::Name name,
                                          fuse::MakeRequest request) {
    if (options_.read_only) co_return fail(Errno::read_only);
    InodePin dir = co_await or_return(co_await reach(context, parent));
    reactor::Credentials mapped;
    const auto* const who = co_await or_return(host_creator(context, mapped));
    const std::uint32_t mode =
        co_await or_return(co_await creation_mode(context, dir, request.mode, request.umask));

    PacedCall paced = dir->mount().call(CallKind::change);
    Result<void> made;
    if (paced.in_place()) {
        made = reactor::act_as(who);
        if (made && ::mkdirat(dir->descriptor(), name.c_str(), mode) != 0) made = fail_errno();
    } else {
        made = co_await context.reactor.mkdirat(dir->descriptor(), name.c_str(), mode).as(who);
    }
    paced.end();
    co_await or_return(made);
    co_return co_await enter_made(context, dir, name, request.security);
}

Task<Result<fuse::Entry>> MirrorFs::symlink(fuse::Context& context,
                                            fuse::NodeId parent,
                                            fuse::Name name,
                                            std::string_view target_with_nul,
                                            fuse::SecurityContext security) {
    if (options_.read_only) co_return fail(Errno::read_only);
    InodePin dir = co_await or_return(co_await reach(context, parent));
    reactor::Credentials mapped;
    const auto* const who = co_await or_return(host_creator(context, mapped));

    const char* const target = target_with_nul.data();
    PacedCall paced = dir->mount().call(CallKind::change);
    Result<void> made;
    if (paced.in_place()) {
        made = reactor::act_as(who);
        if (made && ::symlinkat(target, dir->descriptor(), name.c_str()) != 0) {
            made = fail_errno();
        }
    } else {
        made =
            co_await context.reactor.symlinkat(target, dir->descriptor(), name.c_str()).as(who);
    }
    paced.end();
    co_await or_return(made);
    co_return co_await enter_made(context, dir, name, security);
}

Task<Result<fuse::Created>> MirrorFs::create(fuse::Context& context,
                                             fuse::NodeId parent,
                                             fuse::Name name,
                                             fuse::CreateRequest request) {
    if (options_.read_only) co_return fail(Errno::read_only);
    InodePin dir = co_await or_return(co_await reach(context, parent));
    reactor::Credentials mapped;
    const auto* const who = co_await or_return(host_creator(context, mapped));
    const std::uint32_t mode =
        co_await or_return(co_await creation_mode(context, dir, request.mode, request.umask));
    // Exclusive, so that nothing that exists is ever opened by its name. O_DIRECT comes later:
    // a file system that refuses it would do so after it has made the file.
    const int flags =
        (host_open_flags(request.flags) & ~(O_DIRECT | O_TRUNC)) | O_CREAT | O_EXCL;
    auto make = [&]() {
        return open_new(dir->descriptor(), name.c_str(), flags, mode & 07777);
    };
    auto made = co_await change(context, dir->mount(), who, make);
    if (!made && made.error() == Errno::exists && (request.flags & O_EXCL) == 0) {
        co_return co_await open_existing(context, dir, name, request);
    }
    UniqueFd fd = co_await or_return(std::move(made));
    co_return co_await open_made(context, dir, std::move(fd), request);
}

Task<Result<fuse::Created>> MirrorFs::tmpfile(fuse::Context& context,
                                              fuse::NodeId parent,
                                              fuse::CreateRequest request) {
    if (options_.read_only) co_return fail(Errno::read_only);
    InodePin dir = co_await or_return(co_await reach(context, parent));
    reactor::Credentials mapped;
    const auto* const who = co_await or_return(host_creator(context, mapped));
    const std::uint32_t mode =
        co_await or_return(co_await creation_mode(context, dir, request.mode, request.umask));
    const int kept = host_open_flags(request.flags) & ~(O_DIRECT | O_TRUNC);
    const int flags = kept | O_TMPFILE | static_cast<int>(request.flags & O_EXCL);
    auto make = [&]() {
        return open_new(dir->descriptor(), ".", flags & ~O_NOFOLLOW, mode & 07777);
    };
    UniqueFd fd = co_await or_return(co_await change(context, dir->mount(), who, make));
    co_return co_await open_made(context, dir, std::move(fd), request);
}

Task<Result<fuse::Created>> MirrorFs::open_made(fuse::Context& context,
                                                InodePin& dir,
                                                UniqueFd fd,
                                                fuse::CreateRequest request) {
    co_await or_return(
        co_await set_security(context, dir->mount(), fd.get(), request.security));
    // The inode's own descriptor comes from the open one: it is the file that was made,
    // whatever its name stands for now.
    auto again = [&]() { return reopen(proc_fd_.get(), fd.get(), O_PATH); };
    Found found;
    found.fd = co_await or_return(co_await look(context, dir->mount(), CallKind::look, again));
    found.attributes =
        co_await or_return(co_await attributes_through(context, dir->mount(), found.fd.get()));
    const struct statx attributes = found.attributes;

    InodePin inode = co_await or_return(co_await reference(context, dir, std::move(found)));
    const fuse::Entry entry = entry_of(inode, dir->mount(), attributes);
    auto opened = publish_open(inode.share(), std::move(fd), request.flags);
    if (!opened) {
        inodes_.forget(inode, 1);
        co_return fail(opened.error());
    }
    co_return fuse::Created{.entry = entry, .open = *opened};
}

Task<Result<fuse::Created>> MirrorFs::open_existing(fuse::Context& context,
                                                    InodePin& dir,
                                                    fuse::Name name,
                                                    fuse::CreateRequest request) {
    Found found = co_await or_return(co_await find_name(context, dir, name.c_str()));
    const struct statx attributes = found.attributes;
    InodePin inode = co_await or_return(co_await reference(context, dir, std::move(found)));
    const fuse::Entry entry = entry_of(inode, dir->mount(), attributes);

    const fuse::OpenRequest open = {.flags = request.flags,
                                    .kill_suid_gid = request.kill_suid_gid};
    auto fd = co_await open_regular(context, inode, open);
    Result<fuse::OpenReply> opened = fail(Errno::io_error);
    if (fd) {
        opened = publish_open(inode.share(), std::move(*fd), request.flags);
    } else {
        opened = fail(fd.error());
    }
    if (!opened) {
        inodes_.forget(inode, 1);
        co_return fail(opened.error());
    }
    co_return fuse::Created{.entry = entry, .open = *opened};
}

}  // namespace dpfs::mirror
