// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fs/nfs/copies.hpp"
#include "fs/nfs/nfs_fs.hpp"
#include "fs/nfs/unattended.hpp"
#include "net/nfs4/copy.hpp"

#include <memory>

namespace dpfs::nfs {

/// A tenant's copy_file_range(2) on its way. Shared by the tenant's request and the work for
/// it, which goes on until the server has been told if the tenant gives up.
struct NfsFs::CopyJob {
    explicit CopyJob(const fuse::Context& asked)
        : work(std::make_shared<Unattended<std::size_t>>(asked)), waiting(asked.reactor) {}

    const std::shared_ptr<Unattended<std::size_t>> work;
    OpenFilePin from, to;
    std::uint64_t from_offset = 0;
    std::uint64_t to_offset = 0;
    std::uint64_t size = 0;
    Copies::Waiting waiting;

    [[nodiscard]] nfs4::CopyRange range() const {
        // Sequence 0: the states as they are now (RFC 8881, 8.2.2).
        return {.from = {.other = from->current_state().other},
                .to = {.other = to->current_state().other},
                .from_offset = from_offset,
                .to_offset = to_offset,
                .size = size};
    }
    /// copy_file_range(2) is EINVAL then.
    [[nodiscard]] bool overlaps() const noexcept {
        const std::uint64_t distance =
            from_offset > to_offset ? from_offset - to_offset : to_offset - from_offset;
        return &*from->inode == &*to->inode && distance < size;
    }
};

/// What a server has copied, and what is known of whether it will keep it.
struct CopyResult {
    std::uint64_t size = 0;
    nfs4::Stable stable = nfs4::Stable::unstable;
    /// Of the bytes that are not stable. None: nothing was said, but the server was the one of
    /// this incarnation.
    std::optional<nfs4::Verifier> verifier = {};
    std::uint64_t incarnation = 0;
};

}  // namespace dpfs::nfs
