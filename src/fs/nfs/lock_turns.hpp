// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "reactor/cancel.hpp"
#include "reactor/reactor.hpp"

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace dpfs::nfs {

/// One request about an owner's locks in a file is under way at a time. A lock that the tenant
/// has given up may still be granted, and is then undone: whatever its owner asks for next must
/// come after that, or the one would be taken for the other.
///
/// Thread    any; who waits goes on, on its own reactor, first come first served.
/// Lifetime  nobody has a turn, or waits for one, when it is destroyed.
class LockTurns {
  public:
    struct Owner {
        std::uint64_t number = 0;
        bool is_flock = false;
        bool operator==(const Owner&) const = default;
    };

    /// Ends where it is destroyed, on any thread.
    class Turn {
      public:
        Turn(LockTurns& turns, std::uint64_t ticket) noexcept
            : turns_(&turns), ticket_(ticket) {}
        Turn(Turn&& other) noexcept
            : turns_(std::exchange(other.turns_, nullptr)), ticket_(other.ticket_) {}
        Turn& operator=(Turn&&) = delete;
        ~Turn() {
            if (turns_ != nullptr) turns_->end(ticket_);
        }

      private:
        LockTurns* turns_;
        std::uint64_t ticket_;
    };

    class Awaiter final : reactor::Cancelable {
      public:
        Awaiter(LockTurns& turns,
                reactor::Reactor& reactor,
                Owner owner,
                std::uint64_t through,
                reactor::CancelSource* cancel) noexcept
            : turns_(turns),
              reactor_(reactor),
              owner_(owner),
              through_(through),
              cancel_(cancel) {}
        Awaiter(const Awaiter&) = delete;
        Awaiter& operator=(const Awaiter&) = delete;

        bool await_ready() const noexcept { return false; }
        bool await_suspend(std::coroutine_handle<> waiter) noexcept;
        /// Errors: ECANCELED.
        Result<Turn> await_resume() noexcept;

      private:
        friend class LockTurns;
        void on_cancel() noexcept override;

        LockTurns& turns_;
        reactor::Reactor& reactor_;
        const Owner owner_;
        const std::uint64_t through_;
        reactor::CancelSource* const cancel_;
        std::uint64_t ticket_ = 0;  // 0: canceled
        reactor::Posted posted_ = {};
    };

    LockTurns() = default;
    LockTurns(const LockTurns&) = delete;
    LockTurns& operator=(const LockTurns&) = delete;

    /// Waits for the turn of `owner`, who uses the open file `through`.
    [[nodiscard]] Awaiter take(reactor::Reactor& reactor,
                               Owner owner,
                               std::uint64_t through,
                               reactor::CancelSource* cancel = nullptr) {
        return {*this, reactor, owner, through, cancel};
    }
    /// One that has a turn, or waits for one, and uses the open file `through`.
    [[nodiscard]] std::optional<Owner> user_of(std::uint64_t through) const;
    [[nodiscard]] bool idle() const;

  private:
    struct Entry {
        Owner owner;
        std::uint64_t through;
        std::uint64_t ticket;
        Awaiter* waiting;  // nullptr: has the turn
    };

    /// True: it has to wait.
    bool begin(Awaiter& waiting);
    void end(std::uint64_t ticket) noexcept;
    /// False: it has got the turn meanwhile.
    bool give_up(Awaiter& waiting) noexcept;

    mutable std::mutex mutex_;
    std::uint64_t last_ticket_ = 0;
    std::vector<Entry> entries_;  // in the order in which they came
};

}  // namespace dpfs::nfs
