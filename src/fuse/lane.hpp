// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/gate.hpp"
#include "fuse/call.hpp"
#include "fuse/statistics.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace dpfs::reactor {
class Reactor;
}

namespace dpfs::fuse {

/// What a session keeps for one reactor, so that reactors share nothing on the data path.
///
/// Thread    the reactor's, but for the counters.
struct Lane {
    explicit Lane(reactor::Reactor& owner) : reactor(owner) {}
    Lane(const Lane&) = delete;
    Lane& operator=(const Lane&) = delete;

    [[nodiscard]] Call& take_call();
    void give_back(Call& call) noexcept;

    void add_pending(Call& call) noexcept;
    void remove_pending(Call& call) noexcept;
    /// Ends the waits of every call under way.
    void cancel_pending() noexcept;
    /// The same without INIT and DESTROY.
    void cancel_calls() noexcept;
    /// False if no call under way has this number.
    bool cancel_pending(std::uint64_t unique) noexcept;

    reactor::Reactor& reactor;
    Gate calls;               ///< requests under way, but for those of `transitions`
    Gate transitions;         ///< INIT, DESTROY, INTERRUPT: what goes from lane to lane
    std::vector<Call*> held;  ///< until INIT or DESTROY has ended
    Counters counters;

  private:
    void cancel(bool transitions_too) noexcept;

    std::vector<std::unique_ptr<Call>> all_;
    Call* free_ = nullptr;
    Call* pending_ = nullptr;
};

}  // namespace dpfs::fuse
