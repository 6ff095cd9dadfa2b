// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fuse/file_system.hpp"
#include "net/rpc/wait_list.hpp"
#include "reactor/cancel.hpp"

#include <optional>
#include <utility>

namespace dpfs::nfs {

/// An operation that makes or ends state at the server is brought to its end also when the
/// tenant has given it up: the server would keep what nobody knows of. The work runs in the
/// background with a context that nothing cancels, and whoever asked for it waits beside it.
/// The work itself undoes what it did if `abandoned` is set when it ends.
///
/// Thread    one reactor's: that of the request.
/// Lifetime  shared by the work and who waits.
template <class T>
class Unattended {
  public:
    explicit Unattended(const fuse::Context& asked)
        : context{.reactor = asked.reactor,
                  .cancel = never_,
                  .unique = asked.unique,
                  .pid = asked.pid,
                  .caller = asked.caller} {}

    /// The work's end, or an earlier one. Errors: the work's; ECANCELED: `cancel` was fired,
    /// and the work goes on alone. One waiter, once.
    Task<Result<T>> outcome(reactor::CancelSource& cancel) {
        if (!outcome_) {
            const auto woken = co_await ended_.wait(context.reactor, {.cancel = &cancel});
            if (!woken && !outcome_) {
                abandoned_ = true;
                co_return fail(woken.error());
            }
        }
        co_return *std::move(outcome_);
    }
    [[nodiscard]] const bool& abandoned() const noexcept { return abandoned_; }

    /// The work's last step.
    void end(Result<T> outcome) {
        outcome_.emplace(std::move(outcome));
        ended_.wake_all();
    }

  private:
    reactor::CancelSource never_;
    bool abandoned_ = false;
    std::optional<Result<T>> outcome_;
    rpc::WaitList ended_;

  public:
    fuse::Context context;  ///< the work's: nothing cancels it
};

}  // namespace dpfs::nfs
