// SPDX-License-Identifier: Apache-2.0
// A server that was started anew has lost what it had in its memory only. Where the files could
// be reclaimed it gets that back before anything else is asked; where not, when the file is
// used next, before anybody sees it.
#include "base/or_return.hpp"
#include "fs/nfs/nfs_fs.hpp"
#include "fs/nfs/run_unattended.hpp"

namespace dpfs::nfs {

Task<Result<void>> NfsFs::catch_up(fuse::Context& context, Inode& inode) {
    while (inode.behind.load()) {
        // Goes on when the tenant has given up: half of it helps nobody.
        const auto work = std::make_shared<Unattended<void>>(context);
        const auto caught_up = co_await run_unattended(
            context, work, catch_up_unattended(work, inodes_.share(inode)));
        // One who has lost its data has its own error, and is in nobody else's way.
        if (!caught_up && inode.behind.load()) co_return caught_up;
    }
    co_return Result<void>();
}

Task<void> NfsFs::catch_up_unattended(std::shared_ptr<Unattended<void>> work, InodePin inode) {
    work->end(co_await commit_before(work->context, *inode));
}

Task<Result<fuse::Entry>> NfsFs::refresh(fuse::Context& context, fuse::Entry entry) {
    const InodePin inode = co_await or_return(inodes_.pin(entry.node));
    const auto seen = co_await see(context, *inode);
    if (!seen) {
        forget(context, inode, 1);
        co_return fail(seen.error());
    }
    const std::uint32_t flags = entry.attributes.flags;
    entry.attributes = seen->attributes;
    entry.attributes.flags = flags;
    co_return entry;
}

void NfsFs::all_fall_behind(std::uint64_t incarnation) {
    open_files_.for_each([&](OpenFilePin& file) {
        if ((file->access & nfs4::share::access_write) == 0) return;
        Inode& inode = *file->inode;
        const std::lock_guard guard(inode.mutex);
        if (!inode.uncommitted.empty()) inode.fall_behind(incarnation);
    });
}

}  // namespace dpfs::nfs
