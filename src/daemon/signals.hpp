// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "base/time.hpp"
#include "base/unique_fd.hpp"

#include <cstdint>

namespace dpfs::daemon {

/// What the main thread waits for.
enum class Event : std::uint8_t {
    terminate,   ///< SIGTERM, SIGINT
    statistics,  ///< SIGUSR1
    notified,    ///< notify() by another thread, once or more
    timed_out,
};

/// The main thread's ear. Signals do not go to a reactor, because the one thing that must work
/// when a reactor hangs is to be told to end at once.
///
/// Thread    make() and wait(): main, before any other thread has been started; notify(): any.
class Signals {
  public:
    /// From now on these signals are read here instead of ending the process, on this thread
    /// and on those that it starts; SIGPIPE is ignored. Errors: EMFILE, ENFILE.
    static Result<Signals> make();

    /// Waits for the next event, `time` at most (0 ns: for ever).
    [[nodiscard]] Event wait(Duration time = {});
    void notify() noexcept;

  private:
    Signals(UniqueFd signal_fd, UniqueFd notify_fd) noexcept;

    UniqueFd signal_fd_;
    UniqueFd notify_fd_;
};

}  // namespace dpfs::daemon
