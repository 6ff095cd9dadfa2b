// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/log.hpp"
#include "daemon/config.hpp"
#include "daemon/reactor_sets.hpp"
#include "daemon/signals.hpp"
#include "daemon/tenant.hpp"

#include <memory>
#include <string>
#include <vector>

namespace dpfs::daemon {

/// Exit codes of the program.
inline constexpr int exit_done = 0;
inline constexpr int exit_failed = 1;  ///< the machine did not let us
inline constexpr int exit_usage = 2;   ///< what the operator wrote cannot be done

/// The served devices of one process, from start to SIGTERM.
///
/// Thread    main.
class Daemon {
  public:
    /// `signals` has been made before any thread; both outlive the daemon.
    Daemon(Config config, LogSink& sink, Signals& signals);

    /// Serves until SIGTERM or SIGINT; gives the exit code. What is wrong at the start is one
    /// line on standard error.
    int run();

  private:
    int start();
    void print_ready() const;
    void serve();
    /// False: it took longer than allowed, or a second signal came.
    [[nodiscard]] bool drain();
    void log_statistics() const;
    [[nodiscard]] int fail_start(const std::string& message, int exit_code) const;

    Config config_;
    const Logger log_;
    LogSink& sink_;
    Signals& signals_;
    std::unique_ptr<ReactorSets> reactors_;
    nfs::SharedClients nfs_clients_;
    std::vector<std::unique_ptr<Tenant>> tenants_;  // started ones; destroyed before reactors_
};

/// "dpfs: MESSAGE" on standard error: one line, whatever is in the message.
void print_error(const std::string& message);

}  // namespace dpfs::daemon
