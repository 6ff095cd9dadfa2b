// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fs/nfs/inode.hpp"
#include "net/nfs4/wire.hpp"
#include "reactor/credentials.hpp"

#include <atomic>
#include <cstdint>
#include <fcntl.h>
#include <mutex>
#include <vector>

namespace dpfs::nfs {

/// What an open of the tenant (O_*) asks the server for.
[[nodiscard]] inline std::uint32_t access_of(std::uint32_t flags) noexcept {
    switch (flags & O_ACCMODE) {
        case O_WRONLY:
            return nfs4::share::access_write;
        case O_RDWR:
            return nfs4::share::access_read | nfs4::share::access_write;
        default:
            return nfs4::share::access_read;
    }
}

/// A part of a directory's listing that the server has sent, and the tenant not all taken.
struct DirectoryPage {
    std::vector<std::byte> entries;  ///< dirlist4, from an entry's first item on
    std::size_t position = 0;
    std::uint64_t offset = ~std::uint64_t{0};  ///< of the tenant, to which `position` belongs
    bool at_end = false;                       ///< nothing comes behind it
    nfs4::Verifier verifier = {};
    bool with_handles = false;
};

/// What a tenant's file handle stands for: one OPEN at the server, with an owner of its own, so
/// that handles on one file are independent of each other; or a directory that is listed.
///
/// Thread    any that has it pinned; `mutex` is never held across a wait.
class OpenFile {
  public:
    InodePin inode;
    std::uint64_t id = 0;  ///< as the tenant knows it
    /// Who opened it: its reads and writes are made as that one, as a local file's would be.
    reactor::Credentials opener;
    std::uint32_t access = 0;  ///< nfs4::share::access_*
    /// Its open owner's number. One for the file's life: an OPEN that is made again, because
    /// nobody knows what became of it or two asked at once, is no second state.
    std::uint64_t owner = 0;
    bool is_directory = false;
    /// The tenant has given it back. It can still be found, so that it is reclaimed, until all
    /// that was written through it is committed.
    std::atomic<bool> released = false;
    /// Given back by the tenant, and kept open under a delegation for the next open.
    std::atomic<bool> is_idle = false;
    /// Its state is given back, or is no more: nobody opens it again.
    std::atomic<bool> closed = false;
    /// A reclaim was asked for, not answered, and refused when it was asked for again: the
    /// server may have it open by a name that nobody has heard.
    std::atomic<bool> may_be_open = false;
    /// The last incarnation in which it was asked for. Thread: home's.
    std::uint64_t reclaim_asked_in = 0;

    std::mutex mutex;
    DirectoryPage page;
    nfs4::StateId state;
    std::uint64_t incarnation = 0;  ///< of the client, that `state` and the locks belong to
    /// Its locks were lost with the server's memory of them: nothing is as the locker thinks.
    std::atomic<bool> locks_lost = false;

    [[nodiscard]] nfs4::StateId current_state() {
        const std::lock_guard lock(mutex);
        return state;
    }
    void set_state(const nfs4::StateId& now, std::uint64_t client_incarnation) {
        const std::lock_guard lock(mutex);
        state = now;
        incarnation = client_incarnation;
        may_be_open.store(false);
    }
    /// The same, unless somebody has set another of the same age. (An older one is void: where
    /// two are valid they are one, as the owner is.) False: nothing has changed.
    bool replace_state(const nfs4::StateId& was,
                       const nfs4::StateId& now,
                       std::uint64_t client_incarnation) {
        const std::lock_guard lock(mutex);
        const bool is_lost = state.other == was.other || incarnation < client_incarnation;
        if (!is_lost || state.other == now.other) return false;
        state = now;
        incarnation = client_incarnation;
        may_be_open.store(false);
        return true;
    }
    [[nodiscard]] std::uint64_t state_incarnation() {
        const std::lock_guard lock(mutex);
        return incarnation;
    }

    void recycle() noexcept {
        page = {};
        state = {};
        incarnation = 0;
        id = 0;
        access = 0;
        owner = 0;
        is_directory = false;
        released.store(false, std::memory_order_relaxed);
        is_idle.store(false, std::memory_order_relaxed);
        closed.store(false, std::memory_order_relaxed);
        may_be_open.store(false, std::memory_order_relaxed);
        reclaim_asked_in = 0;
        locks_lost.store(false, std::memory_order_relaxed);
        inode.release();
    }
};

using OpenFilePin = SlotTable<OpenFile>::Pin;

}  // namespace dpfs::nfs
