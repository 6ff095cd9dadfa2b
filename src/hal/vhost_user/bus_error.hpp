// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "virtio/guest_memory.hpp"

#include <atomic>
#include <cstdint>
#include <memory>

namespace dpfs::hal::vhost_user {

/// Set, by whichever thread found out, when memory of one front end went away under us.
using MemoryLost = std::shared_ptr<std::atomic<bool>>;

/// A front end that truncates a file it has shared takes the pages away from our mapping of it,
/// and whoever touches one gets a SIGBUS: a tenant could end the process that serves all of
/// them. For memory that was guarded, a page of zeros takes the place instead, the access goes
/// on, and `lost` is set, so that the device is stopped.
///
/// The signal's handler is installed with the first use. It passes on what is not about
/// guarded memory. The kernel's own accesses (reads and writes into guest memory) give EFAULT
/// and need no guard.
///
/// In       `memory` as map_shared() made it, `size` bytes from its pointer on.
/// Out      the same memory, guarded as long as the result or a copy of it lives.
/// Thread   any.
[[nodiscard]] virtio::Mapping guard(virtio::Mapping memory,
                                    std::uint64_t size,
                                    MemoryLost lost);

}  // namespace dpfs::hal::vhost_user
