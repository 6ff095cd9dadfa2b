// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "reactor/cancel.hpp"
#include "reactor/reactor.hpp"

namespace dpfs::reactor {

/// Cancels `late` after `time`, unless `done` is fired before: a limit of time for what can be
/// cancelled only.
///
/// Thread    `reactor`'s.
/// Lifetime  all three outlive the task; who spawns it fires `done` and waits for its end.
inline Task<void> cancel_later(Reactor& reactor,
                               Duration time,
                               CancelSource& done,
                               CancelSource& late) {
    const auto over = co_await reactor.sleep(time, &done);
    if (over) late.cancel();
}

}  // namespace dpfs::reactor
