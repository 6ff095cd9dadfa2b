// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/gate.hpp"
#include "base/log_quota.hpp"
#include "fs/nfs/nfs_fs.hpp"
#include "reactor/cancel.hpp"

#include <vector>

namespace dpfs::nfs {

/// What NfsFs has on each of its reactors.
///
/// Thread    the reactor's.
struct NfsFs::Place {
    explicit Place(reactor::Reactor& owner) : reactor(owner) {}

    reactor::Reactor& reactor;
    /// Requests that wait for a lock, between two attempts. Each naps with a source of its own,
    /// which whoever knows better ends early.
    std::vector<reactor::CancelSource*> naps;
    /// What goes on whether a tenant waits for it or not.
    Gate background;
    LogQuota log_quota;
};

}  // namespace dpfs::nfs
