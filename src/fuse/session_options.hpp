// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/time.hpp"

#include <cstdint>
#include <vector>

namespace dpfs::reactor {
class Reactor;
}

namespace dpfs::fuse {

/// When a tenant's kernel is to use READDIRPLUS instead of READDIR followed by LOOKUPs.
enum class ReaddirPlus : std::uint8_t {
    never,
    adaptive,  ///< the kernel's choice: when lookups follow listings (FUSE_READDIRPLUS_AUTO)
    always,
};

/// What a session offers to its tenant, and its limits.
struct SessionOptions {
    /// All that the device's queues may belong to; they outlive the session. Not empty.
    std::vector<reactor::Reactor*> reactors;

    /// Bytes of a READ's or WRITE's data, a multiple of 4096, at most 256 MiB. The tenant takes
    /// the smallest of this, its own limit (1 MiB, sysctl fs.fuse.max_pages_limit) and what its
    /// ring holds (descriptors - 4, in pages).
    std::uint32_t request_size_max = 4U << 20;
    /// Bytes of readahead; the tenant's own setting is smaller as a rule.
    std::uint32_t readahead_max = 4U << 20;
    /// Readahead, writeback and asynchronous direct I/O requests that the tenant may have under
    /// way at once. Linux's own default, 12, would be the limit of any deep queue.
    std::uint16_t background_max = 1024;
    /// Requests that may wait, for each reactor, for a slow INIT or DESTROY to end. More get
    /// EIO.
    std::uint32_t held_count_max = 1024;

    /// The tenant may keep written data to itself for a while: faster, and wrong where somebody
    /// else reads or writes the same files.
    bool writeback = false;
    ReaddirPlus readdirplus = ReaddirPlus::adaptive;
    /// Id-mapped mounts in the tenant (Linux 6.12). Linux then names the caller only in
    /// requests that make an inode; all others act as nobody (65534). Only for mounts with
    /// default_permissions, as virtio-fs ones are.
    bool id_mapped_mounts = false;
    /// The tenant gives up the whole mount when an answer takes longer (Linux 6.16). Whole
    /// seconds; 0: never.
    Duration request_timeout;
    /// A blocked SETLKW ends with EDEADLK after this. Linux sends no INTERRUPT over virtio-fs,
    /// so that without it a killed process would stay until the lock is free. 0: no bound.
    Duration lock_wait_max = seconds(30);
};

}  // namespace dpfs::fuse
