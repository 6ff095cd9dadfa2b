// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "nfs_mount.hpp"

namespace dpfs::sim {

/// Something that works through a mount and holds each answer against what it knows; what is
/// wrong is a failed expectation of the running test.
class NfsProgram {
  public:
    virtual ~NfsProgram() = default;
    /// Works in a time of troubles: takes so many steps, or fewer if the run is stopped.
    virtual Task<void> run(int steps) = 0;
    /// When the troubles are over: makes what it has done durable, and lets go of everything.
    virtual Task<void> finish() = 0;
    /// Looks for what it has done through another mount.
    virtual Task<void> check_all(NfsMount& mount) = 0;
};

}  // namespace dpfs::sim
