// SPDX-License-Identifier: Apache-2.0
#include "base/or_return.hpp"
#include "fs/mirror/mirror_fs.hpp"

#include <fcntl.h>

namespace dpfs::mirror {

Task<Result<fuse::Entry>> MirrorFs::lookup(fuse::Context& context,
                                           fuse::NodeId parent,
                                           fuse::Name name) {
    using Answer = Task<Result<fuse::Entry>>;
    auto dir = inodes_.pin(parent);
    if (!dir) return Answer::ready(fail(dir.error()));
    const int dir_fd = (*dir)->descriptor();
    PacedCall paced = (*dir)->mount().call(CallKind::look);
    if (dir_fd < 0 || !paced.in_place()) {
        return lookup_slowly(context, std::move(*dir), name);
    }

    // A known inode needs no descriptor of its own: one system call where opening, asking and
    // closing would be three.
    InodeTable::touch(*dir);
    struct statx found;
    const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;
    const int failed = ::statx(dir_fd, name.c_str(), flags, statx_mask, &found);
    const auto error = static_cast<Errno>(errno);
    paced.end();
    if (failed != 0) return Answer::ready(no_entry(error));

    auto known = inodes_.find(found, true);
    if (known.match != InodeTable::Match::certain) {
        return lookup_slowly(context, std::move(*dir), name);
    }
    InodeTable::touch(known.inode);
    if (known.inode->descriptor() < 0 && known.inode->is(S_IFDIR)) {
        return enter_listed(context, std::move(known.inode), std::move(*dir), found);
    }
    return Answer::ready(entry_of(known.inode, (*dir)->mount(), found));
}

Task<Result<fuse::Entry>> MirrorFs::lookup_slowly(fuse::Context& context,
                                                  InodePin dir,
                                                  fuse::Name name) {
    co_await or_return(co_await open_again(context, dir));
    auto found = co_await find_name(context, dir, name.c_str());
    if (!found) co_return no_entry(found.error());
    co_return co_await enter(context, dir, std::move(*found));
}

Task<Result<fuse::Entry>> MirrorFs::enter_listed(fuse::Context& context,
                                                 InodePin inode,
                                                 InodePin dir,
                                                 struct statx found) {
    // Somebody may be about to work in it, and goes on to do so when the host renames it.
    static_cast<void>(co_await open_again(context, inode));
    co_return entry_of(inode, dir->mount(), found);
}

Task<void> MirrorFs::forget(fuse::Context& context, std::span<const fuse::Forget> nodes) {
    // Nearly always nothing here takes time, and there is nothing to wait for.
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        if (InodePin large = forget_one(nodes[i])) {
            return forget_slowly(context, std::move(large), nodes.subspan(i + 1));
        }
    }
    return Task<void>::ready();
}

InodePin MirrorFs::forget_one(const fuse::Forget& forget) {
    auto known = inodes_.pin(forget.node);
    if (!known) return {};
    inodes_.forget(*known, forget.count);
    if (!frees_much(**known, (*known)->descriptor())) return {};
    return std::move(*known);
}

Task<void> MirrorFs::forget_slowly(fuse::Context& context,
                                   InodePin large,
                                   std::span<const fuse::Forget> nodes) {
    auto release = [&]() { large.release(); };
    co_await context.reactor.blocking(release);
    for (const fuse::Forget& forget : nodes) {
        large = forget_one(forget);
        if (large) co_await context.reactor.blocking(release);
    }
}

}  // namespace dpfs::mirror
