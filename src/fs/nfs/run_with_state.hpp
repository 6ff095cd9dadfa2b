// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/or_return.hpp"
#include "fs/nfs/nfs_fs.hpp"
#include "fs/nfs/state_attempts.hpp"

#include <utility>

namespace dpfs::nfs {

template <class Put>
Task<Result<nfs4::Lane::Holder>> NfsFs::run_with_state(fuse::Context& context,
                                                       OpenFile& file,
                                                       Put put) {
    Lane& lane = this->lane(context);
    for (StateAttempts attempts(*client_);;) {
        if (file.inode->behind.load()) {
            co_await or_return(co_await catch_up(context, *file.inode));
        }
        // Also after it was opened again: others may have had what was locked.
        if (file.locks_lost.load()) co_return fail(Errno::io_error);
        const nfs4::StateId used = file.current_state();
        nfs4::Lane::Holder request = lane.request(as(file.opener));
        request->put_file(file.inode->handle());
        // Sequence 0: the state as it is now, whatever is under way (RFC 8881, 8.2.2).
        put(*request, nfs4::StateId{.other = used.other});
        co_await or_return(co_await lane.run(*request, &context.cancel));
        // A restart came in between: what is kept was missing for this one.
        if (file.inode->behind.load()) continue;
        const bool is_lost = nfs4::is_state_lost(request->status());
        if (!is_lost || !attempts.again()) co_return std::move(request);
        co_await or_return(co_await open_again(context, file, used));
    }
}

}  // namespace dpfs::nfs
