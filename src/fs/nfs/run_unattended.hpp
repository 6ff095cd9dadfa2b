// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fs/nfs/nfs_fs.hpp"
#include "fs/nfs/place.hpp"
#include "fs/nfs/unattended.hpp"

#include <memory>
#include <utility>

namespace dpfs::nfs {

template <class T>
Task<Result<T>> NfsFs::run_unattended(fuse::Context& context,
                                      std::shared_ptr<Unattended<T>> work,
                                      Task<void> task,
                                      Instant deadline) {
    if (!place(context).background.spawn(std::move(task))) co_return fail(Errno::shut_down);
    co_return co_await work->outcome(context.cancel, deadline);
}

template <class T>
Task<Result<T>> NfsFs::run_unattended(fuse::Context& context,
                                      std::shared_ptr<Unattended<T>> work,
                                      Task<void> task) {
    return run_unattended(
        context, std::move(work), std::move(task), deadline_from_now(context));
}

}  // namespace dpfs::nfs
