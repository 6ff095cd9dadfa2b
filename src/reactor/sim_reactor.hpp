// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "reactor/event_loop.hpp"
#include "reactor/sim_world.hpp"

#include <optional>
#include <vector>

namespace dpfs::reactor {

/// A reactor whose waits are simulated; SimWorld makes and drives it. The third implementation
/// of the seam: code under test cannot tell it from the others.
class SimReactor final : public EventLoop {
  public:
    explicit SimReactor(SimWorld& world);

    [[nodiscard]] Instant now() const noexcept override { return world_.now(); }

    /// One round, and now and then what a loop does around a sleep. True if anything happened.
    bool advance();
    /// When something happens here by itself; never() if only another can cause it.
    [[nodiscard]] Instant next_event() const noexcept;
    /// For the message of a simulation that is stuck: what waits for what.
    void print_pending() const;

  private:
    /// An operation or call that has been started, and the time from which it may complete.
    struct Pending {
        Operation* operation;  // or
        BlockingCall* call;
        Instant due;
    };

    void start_operation(Operation& operation) noexcept override;
    void cancel_operation(Operation& operation) noexcept override;
    void start_blocking(BlockingCall& call) noexcept override;
    bool collect() noexcept override;
    void wait(Instant) noexcept override {}
    void wake() noexcept override {}

    [[nodiscard]] Instant due_time() noexcept;
    /// Ends what can end now; false: it still has to wait.
    bool try_to_finish(const Pending& pending);
    /// Makes the system call, or a fault instead.
    std::int32_t perform(const Arguments& call) noexcept;
    std::optional<std::int32_t> injected_fault(const Arguments& call) noexcept;
    std::int32_t short_transfer(const Arguments& call) noexcept;

    SimWorld& world_;
    std::vector<Pending> pending_;
};

}  // namespace dpfs::reactor
