// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fs/nfs/nfs_fs.hpp"
#include "reactor/cancel.hpp"

#include <vector>

namespace dpfs::nfs {

/// Requests of one reactor that wait for a lock, between two attempts. Each naps with a source
/// of its own, which whoever knows better ends early.
struct NfsFs::LockWaiters {
    explicit LockWaiters(reactor::Reactor& owner) : reactor(owner) {}

    reactor::Reactor& reactor;
    std::vector<reactor::CancelSource*> naps;
};

}  // namespace dpfs::nfs
