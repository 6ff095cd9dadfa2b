// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fs/nfs/passed_on.hpp"
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

    /// The work's end, or an earlier one. Errors: the work's; ECANCELED, ETIMEDOUT: `cancel`
    /// was fired, or `deadline` is over, and the work goes on alone. One waiter, once.
    Task<Result<T>> outcome(reactor::CancelSource& cancel,
                            Instant deadline = Instant::never()) {
        if (!outcome_) {
            Result<void> woken;
            if (deadline == Instant::never()) {
                woken = co_await ended_.wait(context.reactor, {.cancel = &cancel});
            } else {
                woken = co_await wait_until(deadline, cancel);
            }
            if (!outcome_) {
                abandoned_ = true;
                given_up_.cancel();
                co_return fail(woken.error());
            }
        }
        co_return *std::move(outcome_);
    }
    [[nodiscard]] const bool& abandoned() const noexcept { return abandoned_; }
    /// For waits of the work that are of no use any more when nobody waits for it.
    [[nodiscard]] reactor::CancelSource& given_up() noexcept { return given_up_; }

    /// The work's last step.
    void end(Result<T> outcome) {
        outcome_.emplace(std::move(outcome));
        ended_.wake_all();
        nap_.cancel();
    }

  private:
    /// A timer of its own: a wait in a list ends at a deadline only if somebody looks there.
    Task<Result<void>> wait_until(Instant deadline, reactor::CancelSource& cancel) {
        const PassedOn passed_on(cancel, nap_);
        const auto slept = co_await context.reactor.sleep_until(deadline, &nap_);
        if (slept) co_return fail(Errno::timed_out);
        co_return slept;
    }

    reactor::CancelSource never_;
    reactor::CancelSource given_up_;
    reactor::CancelSource nap_;
    bool abandoned_ = false;
    std::optional<Result<T>> outcome_;
    rpc::WaitList ended_;

  public:
    fuse::Context context;  ///< the work's: nothing cancels it
};

}  // namespace dpfs::nfs
