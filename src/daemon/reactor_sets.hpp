// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/log.hpp"
#include "daemon/config.hpp"
#include "daemon/tenant.hpp"
#include "daemon/value.hpp"
#include "reactor/blocking_pool.hpp"
#include "reactor/reactor_threads.hpp"

#include <cstddef>
#include <memory>
#include <string_view>

namespace dpfs::daemon {

/// The reactor threads of a process: one set on io_uring, one on epoll, each only where a
/// device needs it, and one pool for calls that block. `null` devices go where a set is anyway.
///
/// Thread    main.
/// Lifetime  outlives all tenants; its destructor stops the threads.
class ReactorSets {
  public:
    /// Starts the threads. Errors: one line.
    static Parsed<std::unique_ptr<ReactorSets>> make(const Config& config, const Logger& log);

    /// Where the next device of this back end goes, so that control reactors and queues are
    /// spread over the threads.
    [[nodiscard]] Placement place(const DeviceConfig& device);

    /// Ends all threads; everything on them has been stopped.
    void stop();

    void log_statistics(const Logger& log);

  private:
    struct Set {
        std::unique_ptr<reactor::ReactorThreads> threads;
        std::size_t next = 0;
    };

    explicit ReactorSets(const reactor::BlockingPoolOptions& options) : pool_(options) {}
    Parsed<void> start(const DaemonConfig& config,
                       reactor::ReactorKind kind,
                       const Logger& log);
    [[nodiscard]] Set& set_for(Backend backend);
    static void log_set(std::string_view name, Set& set, const Logger& log);

    reactor::BlockingPool pool_;
    Set uring_;  // or, where there are only null devices, of any kind
    Set epoll_;
};

}  // namespace dpfs::daemon
