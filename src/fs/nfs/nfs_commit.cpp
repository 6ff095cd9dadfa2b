// SPDX-License-Identifier: Apache-2.0
// What the server has in its memory only, and what happens when that is lost.
#include "base/or_return.hpp"
#include "fs/nfs/nfs_fs.hpp"
#include "fs/nfs/place.hpp"
#include "fs/nfs/state_attempts.hpp"

#include <algorithm>
#include <fcntl.h>

namespace dpfs::nfs {

using nfs4::Op;
using nfs4::Stable;

nfs4::Stable NfsFs::stability_of(const fuse::WriteRequest& request) const noexcept {
    if ((request.flags & O_SYNC) == O_SYNC) return Stable::file;
    if ((request.flags & O_DSYNC) != 0) return Stable::data;
    if (options_.writes == WriteMode::stable) return Stable::file;
    // No room to keep it: then the server has to.
    const bool has_room =
        uncommitted_size_.load() + request.size <= options_.uncommitted_size_max;
    return has_room ? Stable::unstable : Stable::file;
}

NfsFs::WriteEpoch NfsFs::write_epoch(Inode& inode) {
    const std::lock_guard guard(inode.mutex);
    return {.incarnation = client_->incarnation(), .resends = inode.resends};
}

bool NfsFs::is_any_kept(Inode& inode) {
    const std::lock_guard guard(inode.mutex);
    return !inode.uncommitted.empty();
}

bool NfsFs::note_written(Inode& inode, WriteEpoch epoch, UncommittedWrites::Pointer copy) {
    const std::lock_guard guard(inode.mutex);
    // Older data were sent again since, and may have overwritten these; or the server has
    // restarted, and these came too late to be sent again with the others.
    if (inode.resending > 0 || inode.resends != epoch.resends ||
        client_->incarnation() != epoch.incarnation) {
        return false;
    }
    if (copy && (!copy->stable || !inode.uncommitted.empty())) {
        uncommitted_size_.fetch_add(copy->data.size());
        inode.uncommitted.add(std::move(copy));
    }
    return true;
}

Task<Result<void>> NfsFs::after_write(fuse::Context& context,
                                      OpenFilePin file,
                                      nfs4::Stable stable) {
    Inode& inode = *file->inode;
    bool commits_early = false;
    {
        const std::lock_guard guard(inode.mutex);
        if (inode.uncommitted.empty()) co_return Result<void>();
        // A part of the room for each commit, so that writing goes on beside it.
        commits_early =
            !inode.commits_early &&
            inode.uncommitted.size() >= options_.uncommitted_size_max / commit_count_max;
        if (stable == Stable::unstable && commits_early) inode.commits_early = true;
    }
    // Kept data are older: sent again, they must not overwrite what is stable.
    if (stable != Stable::unstable) co_return co_await commit(context, inode, &*file);
    if (commits_early) {
        const auto spawned =
            place(context).background.spawn(commit_early(context.reactor, std::move(file)));
        static_cast<void>(spawned);  // the end is near, and commits it
    }
    co_return Result<void>();
}

Task<void> NfsFs::commit_early(reactor::Reactor& reactor, OpenFilePin file) {
    reactor::CancelSource never;
    fuse::Context context{.reactor = reactor, .cancel = never, .caller = file->opener};
    const auto committed = co_await commit(context, *file->inode, &*file);
    static_cast<void>(committed);  // it is kept, and the next commit meets the error again
    const std::lock_guard guard(file->inode->mutex);
    file->inode->commits_early = false;
}

Task<Result<void>> NfsFs::commit(fuse::Context& context, Inode& inode, OpenFile* file) {
    StateAttempts attempts(*client_);
    do {
        std::uint64_t number = 0;
        const std::uint64_t incarnation = client_->incarnation();
        {
            const std::lock_guard guard(inode.mutex);
            number = inode.uncommitted.last_number();
        }
        bool is_done = false;
        nfs4::Verifier verifier;
        {
            Lane& lane = this->lane(context);
            const auto request =
                lane.request(as(file != nullptr ? file->opener : context.caller));
            request->put_file(inode.handle());
            request->put_commit(0, 0);  // all of it
            const Duration time_max = file != nullptr ? time_for(*file) : Duration{};
            co_await or_return(co_await lane.run(*request, &context.cancel, time_max));
            co_await or_return(request->take(Op::putfh));
            co_await or_return(request->take(Op::commit));
            verifier = nfs4::take_verifier(request->reader());
            co_await or_return(request->taken());
        }
        {
            const std::lock_guard guard(inode.mutex);
            uncommitted_size_.fetch_sub(inode.uncommitted.committed(number, verifier));
            is_done = !inode.uncommitted.has_any_until(number);
            if (is_done) {
                inode.caught_up(incarnation);
            } else {
                inode.fall_behind(incarnation);
            }
        }
        if (is_done) co_await or_return(co_await wait_for_resends(context, inode));
        // What was written through it may have been dropped.
        if (file != nullptr && file->locks_lost.load()) break;
        if (is_done) co_return Result<void>();
        if (may_log(context.reactor)) {
            log_.warning(
                "the server has lost data that were not committed; they are sent again");
        }
        if (file == nullptr) break;
        const nfs4::StateId used = file->current_state();
        const auto sent = co_await send_again(this->lane(context), *file, false);
        if (!sent && sent.error() != Errno::stale) co_return sent;
        if (!sent) co_await or_return(co_await open_again(context, *file, used));
    } while (attempts.again());
    co_return fail(Errno::io_error);
}

/// Somebody else may still be sending again what this commit has found to be safe: what comes
/// after the commit, a truncation say, must not be overwritten by that.
Task<Result<void>> NfsFs::wait_for_resends(fuse::Context& context, Inode& inode) {
    for (;;) {
        {
            const std::lock_guard guard(inode.mutex);
            if (inode.resending == 0) co_return Result<void>();
        }
        co_await or_return(co_await context.reactor.sleep(milliseconds(1), &context.cancel));
    }
}

Task<Result<void>> NfsFs::commit_before(fuse::Context& context, Inode& inode) {
    bool is_empty = false;
    {
        const std::lock_guard guard(inode.mutex);
        is_empty = inode.uncommitted.empty();
        inode.update_behind();
    }
    if (is_empty) co_return co_await wait_for_resends(context, inode);
    OpenFilePin writer;
    open_files_.for_each([&](OpenFilePin& file) {
        const bool fits = !writer && !file->is_directory && &*file->inode == &inode &&
                          (file->access & nfs4::share::access_write) != 0 &&
                          !file->locks_lost.load() && !file->closed.load();
        if (fits) writer = file.share();
    });
    OpenFile* const file = writer ? &*writer : nullptr;
    co_return co_await commit(context, inode, file);
}

Task<Result<void>> NfsFs::commit_kept(fuse::Context& context, OpenFile& file) {
    {
        const std::lock_guard guard(file.inode->mutex);
        if (file.inode->uncommitted.empty()) co_return Result<void>();
    }
    co_return co_await commit(context, *file.inode, &file);
}

Task<Result<void>> NfsFs::commit_at_close(fuse::Context& context, OpenFile& file) {
    if ((file.access & nfs4::share::access_write) == 0) co_return Result<void>();
    const auto committed = co_await commit_kept(context, file);
    Inode& inode = *file.inode;
    const std::lock_guard guard(inode.mutex);
    const bool is_last = --inode.writer_count == 0;
    if (is_last && uncommitted_size_.load() == 0) copy_buffers_.trim();
    if (!is_last || inode.uncommitted.empty()) co_return committed;
    // Nobody is left who could send it again.
    const std::size_t lost = inode.uncommitted.drop();
    inode.update_behind();
    uncommitted_size_.fetch_sub(lost);
    if (may_log(context.reactor)) log_.error("{} bytes could not be committed", lost);
    co_return committed;
}

Task<Result<void>> NfsFs::send_again(Lane& lane, OpenFile& file, bool early) {
    Inode& inode = *file.inode;
    const std::uint64_t incarnation = client_->incarnation();
    UncommittedWrites::List list;
    {
        const std::lock_guard guard(inode.mutex);
        ++inode.resends;
        ++inode.resending;
        inode.update_behind();
        list = inode.uncommitted.list();
    }
    Result<void> outcome;
    for (const UncommittedWrites::Pointer& write : list) {
        outcome = co_await send_one_again(lane, file, write, early);
        if (!outcome) break;
    }
    const std::lock_guard guard(inode.mutex);
    // What was written meanwhile is written once more: it may have been overwritten.
    ++inode.resends;
    --inode.resending;
    if (outcome) {
        inode.caught_up(incarnation);
    } else {
        inode.update_behind();
    }
    co_return outcome;
}

Task<Result<void>> NfsFs::send_one_again(Lane& lane,
                                         OpenFile& file,
                                         UncommittedWrites::Pointer write,
                                         bool early) {
    nfs4::Verifier verifier = {};
    for (std::size_t done = 0; done < write->data.size();) {
        const std::size_t left = write->data.size() - done;
        const iovec rest = {.iov_base = write->data.data() + done,
                            .iov_len = std::min<std::size_t>(left, client_->write_size_max())};
        const auto request = lane.request(as(file.opener));
        request->call.early = early;
        request->put_file(file.inode->handle());
        request->put_write({.other = file.current_state().other},
                           write->offset + done,
                           Stable::unstable,
                           std::span(&rest, 1));
        const Duration time_max = early ? Duration{} : time_for(file);
        co_await or_return(co_await lane.run(*request, nullptr, time_max));
        if (nfs4::is_state_lost(request->status())) co_return fail(Errno::stale);
        co_await or_return(request->take(Op::putfh));
        co_await or_return(request->take(Op::write));
        const std::uint32_t count = request->reader().u32();
        request->reader().u32();  // how stable it is: the next COMMIT knows
        const nfs4::Verifier now = nfs4::take_verifier(request->reader());
        co_await or_return(request->taken());
        if (count == 0 || count > rest.iov_len) co_return fail(Errno::io_error);
        // Its parts must be in one memory.
        const bool goes_on = done == 0 || now == verifier;
        verifier = now;
        done = goes_on ? done + count : 0;
    }
    const std::lock_guard guard(file.inode->mutex);
    write->verifier = verifier;
    co_return Result<void>();
}

}  // namespace dpfs::nfs
