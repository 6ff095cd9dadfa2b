// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/slot_table.hpp"
#include "base/unique_fd.hpp"
#include "fs/mirror/directory_stream.hpp"
#include "fs/mirror/file_registrations.hpp"
#include "fs/mirror/inode.hpp"

#include <atomic>
#include <cstdint>
#include <memory>

namespace dpfs::mirror {

/// What a tenant's file handle stands for: an open file or directory of the host.
///
/// Thread    any that has it pinned; constant after it was published, but for what is inside.
struct OpenFile {
    InodePin inode;
    UniqueFd descriptor;
    /// DirectPolicy::always: the same file with O_DIRECT, for what is aligned to `alignment`.
    UniqueFd direct;
    std::uint32_t alignment = 0;    // bytes
    bool waits_for_device = false;  // O_DIRECT or O_SYNC: no data call can be made in place
    std::unique_ptr<DirectoryStream> directory;  // nullptr: a file
    std::atomic<bool> flocked = false;           // flock(2) may be held on `descriptor`
    FileRegistrations registrations;             // of both descriptors

    void recycle() noexcept {
        descriptor.reset();
        direct.reset();
        alignment = 0;
        waits_for_device = false;
        directory.reset();
        flocked.store(false, std::memory_order_relaxed);
        registrations.recycle();
        inode.release();
    }
};

using OpenFilePin = SlotTable<OpenFile>::Pin;

}  // namespace dpfs::mirror
