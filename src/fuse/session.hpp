// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/log.hpp"
#include "base/log_quota.hpp"
#include "base/task.hpp"
#include "fuse/file_system.hpp"
#include "fuse/negotiation.hpp"
#include "fuse/operations.hpp"
#include "fuse/session_options.hpp"
#include "fuse/statistics.hpp"
#include "fuse/wire_init.hpp"
#include "hal/device.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

namespace dpfs::fuse {

struct Lane;

/// One tenant's FUSE connection: takes requests from a transport's queues, checks them, has the
/// file system answer, and replies exactly once. It knows INIT and DESTROY; a mount begins and
/// ends with them.
///
///     fresh ──INIT──► initialising ──► running ──DESTROY──► destroying ──► fresh
///         └────────INIT───────────┴─ refused ─► fresh
///
/// While fresh, everything but INIT gets EIO (as libfuse does; Linux sends nothing else). While
/// initialising or destroying, requests wait and are looked at again afterwards.
///
/// Thread    handle() on the queue's reactor, several at once; what they share is the state, an
///           atomic, and the negotiation, which does not change while the state is `running`.
///           All else is kept for each reactor by itself.
/// Lifetime  file system and reactors outlive it. Destroy it after reset() has ended.
class Session final : public hal::RequestSink {
  public:
    Session(FileSystem& file_system, SessionOptions options, Logger logger);
    ~Session() override;
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    void handle(hal::RequestHandle request) noexcept override;
    void interrupt_waits() noexcept override;
    Task<void> reset() override;

    /// What was asked and answered so far, on all reactors. Thread: any.
    [[nodiscard]] SessionStatistics statistics() const;
    /// Whether a mount is there. Thread: any.
    [[nodiscard]] bool running() const noexcept {
        return state_.load(std::memory_order_acquire) == State::running;
    }

    // --- for the operations (op_*.cpp)
    [[nodiscard]] FileSystem& file_system() noexcept { return file_system_; }
    [[nodiscard]] const SessionOptions& options() const noexcept { return options_; }
    [[nodiscard]] const Logger& logger() const noexcept { return logger_; }
    /// What INIT agreed on; while running.
    [[nodiscard]] const Negotiation& negotiation() const noexcept { return negotiation_; }
    /// Answers INIT, in state `initialising`; ends in `running` or `fresh`. Errors: EPROTO (a
    /// version that is too old), and what the file system gives.
    Answer initialise(Call& call, wire::InitIn in);
    /// Ends the mount, in state `destroying`; ends in `fresh`.
    Task<void> destroy(reactor::Reactor& home);
    /// Ends the waits of the request with this number, wherever it is; answered when it has
    /// looked on every reactor, so that a tenant cannot have many looked for at a time.
    /// Thread: `reactor`'s.
    Answer interrupt(reactor::Reactor& reactor, std::uint64_t unique);

  private:
    enum class State : std::uint8_t { fresh, initialising, running, destroying };

    [[nodiscard]] Lane& lane_of(const reactor::Reactor& reactor) noexcept;
    [[nodiscard]] Lane& lane_of_this_thread() noexcept;
    /// Whether the call may be served now; else it has been answered or is held.
    [[nodiscard]] bool admit(Lane& lane, Call& call) noexcept;
    void hold(Lane& lane, Call& call) noexcept;
    void dispatch(Lane& lane, Call& call) noexcept;
    /// Writes the reply and completes the request: the one place that does.
    void finish(Lane& lane, Call& call, Result<std::size_t> payload) noexcept;
    Task<void> finish_later(Lane& lane, Call& call, Answer answer);
    void count(Lane& lane, const Call& call, bool error) noexcept;

    // What visits every lane starts and ends on its home's thread.
    Task<void> release_held(Lane& home);
    Answer interrupt_elsewhere(Lane& home, std::uint64_t unique);
    Task<void> interrupt_all(Lane& home);
    /// Ends all waits, then waits until no request is under way on any reactor.
    Task<void> drain(reactor::Reactor& home);
    /// Drains, and has the file system forget the mount, if there is one.
    Task<void> end_mount(reactor::Reactor& home);
    /// Whether a line may be logged about something that the tenant can do at will.
    [[nodiscard]] bool may_log(const reactor::Reactor& reactor);

    FileSystem& file_system_;
    const SessionOptions options_;
    const Logger logger_;
    std::atomic<State> state_ = State::fresh;
    /// Whether the file system has a mount to forget. Its users are what changes the state, one
    /// at a time.
    bool mounted_ = false;
    LogQuota log_quota_;  // the same users'
    Negotiation negotiation_;
    std::vector<std::unique_ptr<Lane>> lanes_;
};

}  // namespace dpfs::fuse
