// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "fuse/file_system.hpp"

#include <atomic>
#include <cstddef>
#include <fcntl.h>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace dpfs::mirror {

/// How many lock owners and waiting requests one MirrorFs may have.
class LockBudget {
  public:
    explicit LockBudget(std::size_t count_max) noexcept : count_max_(count_max) {}

    /// One of them, while it lives.
    class Share {
      public:
        Share() = default;
        explicit Share(LockBudget& budget) noexcept : budget_(&budget) {}
        Share(Share&& other) noexcept : budget_(std::exchange(other.budget_, nullptr)) {}
        Share& operator=(Share&&) = delete;
        ~Share() {
            if (budget_ != nullptr) budget_->count_.fetch_sub(1, std::memory_order_relaxed);
        }

      private:
        LockBudget* budget_ = nullptr;
    };
    /// Errors: ENOLCK.
    Result<Share> take() noexcept {
        if (count_.fetch_add(1, std::memory_order_relaxed) < count_max_) return Share(*this);
        count_.fetch_sub(1, std::memory_order_relaxed);
        return fail(Errno::no_locks);
    }

  private:
    const std::size_t count_max_;
    std::atomic<std::size_t> count_ = 0;
};

/// An open file description that holds the POSIX locks of one owner on one inode: the kernel
/// then enforces them against everybody else, in this process and outside (F_OFD_SETLK).
struct LockDescriptionState {
    UniqueFd fd;
    /// The one handle of the tenant that its locks came with; none: there were several, so the
    /// owner is a process.
    std::optional<fuse::FileHandle> made_through;
    LockBudget::Share share;
    std::atomic<std::uint32_t> pid = 0;  ///< who locked with it last, in the tenant's terms
};
using LockDescription = std::shared_ptr<LockDescriptionState>;

/// One lock that is to be set or dropped, without waiting: what a system call needs.
struct LockAttempt {
    fuse::LockKind kind = fuse::LockKind::posix;
    int fd = -1;
    LockDescription description;  ///< keeps a POSIX lock's `fd` open
    struct flock range = {};      ///< POSIX
    int operation = 0;            ///< flock(2), with LOCK_NB

    /// Errors: EAGAIN (somebody else has it), and the system calls' own.
    [[nodiscard]] Result<void> make() const noexcept;
    [[nodiscard]] bool unlocks() const noexcept;
};

/// A request that waits for a lock, in its coroutine's frame.
struct LockWaiter {
    LockAttempt attempt;
    UniqueFd event;  ///< an eventfd, signalled when it is worth a look
    std::optional<Result<void>> result;
    LockWaiter* next = nullptr;
};

/// The locks on one inode that this daemon holds or waits for.
///
/// Thread    any. Its mutex is held across lock system calls of waiters only where `in_place`
///           says that these do not block.
class InodeLocks {
  public:
    /// The description of `owner`, empty if it has no lock.
    [[nodiscard]] LockDescription find(fuse::LockOwner owner);
    /// Adds it, unless somebody was quicker; gives the one that counts.
    LockDescription add(fuse::LockOwner owner, LockDescription description);
    /// Notes that a lock of `description` is set or dropped through `handle`.
    void use_through(LockDescriptionState& description, fuse::FileHandle handle);
    /// Drops all POSIX locks of `owner`. True if there was an owner.
    bool drop(fuse::LockOwner owner);
    /// Drops the locks of owners that used `handle` alone, whose last user has closed it.
    /// True if there was one. What a process locked, its close(2) has dropped before (FLUSH);
    /// what is left belongs to the tenant's open file description itself (F_OFD_SETLK), of
    /// whose end Linux says nothing but RELEASE.
    bool drop_made_through(fuse::FileHandle handle);

    /// Who holds `found`, which F_OFD_GETLK gave: the tenant's pid, or 0 if it is nobody whom
    /// this daemon knows. May block where locks are remote.
    [[nodiscard]] std::uint32_t holder_of(const struct flock& found);

    void enqueue(LockWaiter& waiter);
    /// The end of the wait, and its result; none: it has not been granted.
    std::optional<Result<void>> leave(LockWaiter& waiter);
    [[nodiscard]] bool is_done(const LockWaiter& waiter);
    /// Gives waiters what they can have now, first come first served. Where attempts may block
    /// (`in_place` false), each is told to try for itself.
    void serve(bool in_place);

  private:
    struct Owner {
        fuse::LockOwner owner;
        LockDescription description;
    };
    static void unlock_all(const LockDescriptionState& description) noexcept;
    void unlink(LockWaiter& waiter) noexcept;

    std::mutex mutex_;
    std::vector<Owner> owners_;
    LockWaiter* first_ = nullptr;
    LockWaiter* last_ = nullptr;
};

}  // namespace dpfs::mirror
