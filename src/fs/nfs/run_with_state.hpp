// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/or_return.hpp"
#include "fs/nfs/nfs_fs.hpp"

#include <utility>

namespace dpfs::nfs {

template <class Put>
Task<Result<nfs4::Lane::Holder>> NfsFs::run_with_state(fuse::Context& context,
                                                       OpenFile& file,
                                                       Put put) {
    Lane& lane = this->lane(context);
    for (int attempt = 1;; ++attempt) {
        // Also after it was opened again: others may have had what was locked.
        if (file.locks_lost.load()) co_return fail(Errno::io_error);
        const nfs4::StateId used = file.current_state();
        nfs4::Lane::Holder request = lane.request(as(file.opener));
        request->put_file(file.inode->handle());
        // Sequence 0: the state as it is now, whatever is under way (RFC 8881, 8.2.2).
        put(*request, nfs4::StateId{.other = used.other});
        co_await or_return(co_await lane.run(*request, &context.cancel));
        const bool is_lost = nfs4::is_state_lost(request->status());
        if (!is_lost || attempt == state_attempt_count_max) co_return std::move(request);
        const bool is_mine = co_await or_return(co_await open_again(context, file, used));
        // Where a reclaim has failed nothing was sent again: that comes before anybody reads.
        if (is_mine) co_await or_return(co_await commit_before(context, *file.inode));
    }
}

}  // namespace dpfs::nfs
