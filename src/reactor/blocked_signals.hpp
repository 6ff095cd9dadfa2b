// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <csignal>

namespace dpfs::reactor {

/// Signals are blocked on this thread while it lives: a thread that is made meanwhile begins,
/// and stays, without them. Signals are for the threads that expect them; but those that an
/// instruction of the thread itself raises stay open, as the kernel ends a process that blocks
/// one of them, whatever handler it has (signal(7)).
class BlockedSignals {
  public:
    BlockedSignals() noexcept {
        sigset_t all;
        sigfillset(&all);
        for (const int own : {SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP}) sigdelset(&all, own);
        pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    BlockedSignals(const BlockedSignals&) = delete;
    BlockedSignals& operator=(const BlockedSignals&) = delete;
    ~BlockedSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

  private:
    sigset_t before_;
};

}  // namespace dpfs::reactor
