// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/slot_table.hpp"
#include "fs/nfs/delegation.hpp"
#include "fs/nfs/held_ranges.hpp"
#include "fs/nfs/lock_turns.hpp"
#include "fs/nfs/uncommitted_writes.hpp"
#include "net/nfs4/attributes.hpp"
#include "net/nfs4/file_handle.hpp"
#include "reactor/credentials.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace dpfs::nfs {

/// What one owner of the tenant holds in one file: its lock state at the server.
struct LockState {
    std::uint64_t owner = 0;  ///< the tenant's kernel's value
    bool is_flock = false;
    std::uint64_t made_through = 0;  ///< the open file's id: its end ends the locks
    nfs4::StateId state = {};
    HeldRanges held = {};
};

/// What a file is called at the server since the tenant removed it while it was open.
struct HiddenName {
    nfs4::FileHandle directory = {};
    std::string name = {};
    reactor::Credentials who = {};  ///< removed it
};

/// A file that the tenant knows, by the server's handle for it.
///
/// Thread    any that has it pinned; what changes is atomic, or under `mutex`, which nobody
///           holds across a wait.
class Inode {
  public:
    [[nodiscard]] const nfs4::FileHandle& handle() const noexcept { return handle_; }
    [[nodiscard]] nfs4::FileType type() const noexcept { return type_; }
    [[nodiscard]] const nfs4::FileSystemId& fsid() const noexcept { return fsid_; }

    /// The change attribute with which the tenant's cached data agree: it was seen by an open
    /// that let them be kept, or dropped them.
    std::atomic<std::uint64_t> cached_change = 0;

    /// Its mode, when it was seen last, had bits that a write by another clears.
    std::atomic<bool> may_have_set_id = false;

    /// Kept data may be missing at the server, or are being sent again there: who wants to see
    /// or change the file brings it up to date first, and asks again for what was answered
    /// meanwhile (NfsFs::catch_up).
    std::atomic<bool> behind = false;

    LockTurns lock_turns;
    /// The server keeps it while it is open, removed or not, over its own restart too.
    std::atomic<bool> outlives_its_name = false;

    std::atomic<bool> delegated = false;  ///< there is a delegation: look under the lock

    std::mutex mutex;
    std::unique_ptr<Delegation> delegation;
    std::vector<LockState> locks;
    UncommittedWrites uncommitted;
    std::uint64_t resends = 0;       ///< counts when kept data begin and end to be sent again
    std::uint32_t resending = 0;     ///< how many do that now
    std::uint64_t behind_in = 0;     ///< incarnation that lacks kept data; 0: they are there
    std::uint32_t writer_count = 0;  ///< open files that may write
    std::uint32_t open_count = 0;    ///< open files, and who is about to hide it
    std::optional<HiddenName> hidden;
    bool commits_early = false;  ///< a COMMIT is under way that nobody asked for

    /// Under the lock, after each change of what it depends on.
    void update_behind() noexcept {
        if (uncommitted.empty()) behind_in = 0;
        behind.store(behind_in != 0 || resending > 0);
    }
    /// The same: what is kept is not at the server that `incarnation` of the client has.
    void fall_behind(std::uint64_t incarnation) noexcept {
        behind_in = std::max(behind_in, incarnation);
        update_behind();
    }
    /// The same: it is, or was.
    void caught_up(std::uint64_t incarnation) noexcept {
        if (behind_in <= incarnation) behind_in = 0;
        update_behind();
    }

    /// SlotTable's.
    void recycle() noexcept {
        handle_ = {};
        cached_change.store(0, std::memory_order_relaxed);
        may_have_set_id.store(false, std::memory_order_relaxed);
        delegated.store(false, std::memory_order_relaxed);
        delegation.reset();
        locks.clear();
        uncommitted = {};
        resends = resending = writer_count = open_count = 0;
        hidden.reset();
        outlives_its_name.store(false, std::memory_order_relaxed);
        behind_in = 0;
        behind.store(false, std::memory_order_relaxed);
        commits_early = false;
        reference_count_ = 0;
        is_held_ = false;
    }

  private:
    friend class InodeTable;
    nfs4::FileHandle handle_;
    nfs4::FileType type_ = nfs4::FileType::regular;
    nfs4::FileSystemId fsid_;
    std::uint64_t reference_count_ = 0;  // the table's, under its shard's lock
    bool is_held_ = false;               // the same
};

using InodePin = SlotTable<Inode>::Pin;

}  // namespace dpfs::nfs
