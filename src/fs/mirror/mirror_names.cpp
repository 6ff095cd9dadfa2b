// SPDX-License-Identifier: Apache-2.0
#include "base/or_return.hpp"
#include "fs/mirror/mirror_fs.hpp"
#include "fs/mirror/proc_fd.hpp"

#include <cstdio>
#include <fcntl.h>

namespace dpfs::mirror {

Task<Result<fuse::Entry>> MirrorFs::link(fuse::Context& context,
                                         fuse::NodeId node,
                                         fuse::NodeId new_parent,
                                         fuse::Name new_name) {
    if (options_.read_only) co_return fail(Errno::read_only);
    InodePin inode = co_await or_return(co_await reach(context, node));
    InodePin dir = co_await or_return(co_await reach(context, new_parent));
    reactor::Credentials mapped;
    const auto* const who = host_caller(context, mapped);

    // Through /proc: AT_EMPTY_PATH would need a capability that not every daemon has. The
    // kernel follows the link to the inode itself, also where that is a symlink.
    const FdName path(inode->descriptor());
    PacedCall paced = dir->mount().call(CallKind::change);
    Result<void> made;
    if (paced.in_place()) {
        made = reactor::act_as(who);
        if (made && ::linkat(proc_fd_.get(),
                             path.c_str(),
                             dir->descriptor(),
                             new_name.c_str(),
                             AT_SYMLINK_FOLLOW) != 0) {
            made = fail_errno();
        }
    } else {
        made = co_await context.reactor
                   .linkat(proc_fd_.get(),
                           path.c_str(),
                           dir->descriptor(),
                           new_name.c_str(),
                           AT_SYMLINK_FOLLOW)
                   .as(who);
    }
    paced.end();
    co_await or_return(made);
    co_return co_await enter_made(context, dir, new_name, {});
}

Task<Result<void>> MirrorFs::unlink(fuse::Context& context,
                                    fuse::NodeId parent,
                                    fuse::Name name) {
    return remove(context, parent, name, 0);
}

Task<Result<void>> MirrorFs::rmdir(fuse::Context& context,
                                   fuse::NodeId parent,
                                   fuse::Name name) {
    return remove(context, parent, name, AT_REMOVEDIR);
}

Task<Result<void>> MirrorFs::remove(fuse::Context& context,
                                    fuse::NodeId parent,
                                    fuse::Name name,
                                    std::uint32_t at_flags) {
    if (options_.read_only) co_return fail(Errno::read_only);
    InodePin dir = co_await or_return(co_await reach(context, parent));
    reactor::Credentials mapped;
    const auto* const who = host_caller(context, mapped);
    co_await keep_reachable(context, dir, name);

    PacedCall paced = dir->mount().call(CallKind::change);
    Result<void> removed;
    if (paced.in_place()) {
        removed = reactor::act_as(who);
        const int flags = static_cast<int>(at_flags);
        if (removed && ::unlinkat(dir->descriptor(), name.c_str(), flags) != 0) {
            removed = fail_errno();
        }
    } else {
        removed = co_await context.reactor.unlinkat(dir->descriptor(), name.c_str(), at_flags)
                      .as(who);
    }
    paced.end();
    co_return removed;
}

Task<Result<void>> MirrorFs::rename(fuse::Context& context,
                                    fuse::NodeId parent,
                                    fuse::Name name,
                                    fuse::NodeId new_parent,
                                    fuse::Name new_name,
                                    std::uint32_t flags) {
    if (options_.read_only) co_return fail(Errno::read_only);
    InodePin from = co_await or_return(co_await reach(context, parent));
    InodePin to = co_await or_return(co_await reach(context, new_parent));
    reactor::Credentials mapped;
    const auto* const who = host_caller(context, mapped);
    co_await keep_reachable(context, from, name);
    co_await keep_reachable(context, to, new_name);

    PacedCall paced = from->mount().call(CallKind::change);
    Result<void> renamed;
    if (paced.in_place()) {
        renamed = reactor::act_as(who);
        if (renamed &&
            ::renameat2(
                from->descriptor(), name.c_str(), to->descriptor(), new_name.c_str(), flags) !=
                0) {
            renamed = fail_errno();
        }
    } else {
        renamed =
            co_await context.reactor
                .renameat2(
                    from->descriptor(), name.c_str(), to->descriptor(), new_name.c_str(), flags)
                .as(who);
    }
    paced.end();
    co_return renamed;
}

}  // namespace dpfs::mirror
