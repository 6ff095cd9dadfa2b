// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/log.hpp"
#include "base/task.hpp"
#include "daemon/config.hpp"
#include "daemon/value.hpp"
#include "fs/nfs/shared_clients.hpp"
#include "fuse/file_system.hpp"
#include "fuse/session.hpp"
#include "hal/vhost_user/device.hpp"

#include <cstddef>
#include <future>
#include <memory>
#include <string>
#include <vector>

namespace dpfs::reactor {
class ReactorThreads;
}

namespace dpfs::daemon {

class Signals;

/// Which reactors a device is on: all of `threads`, its control reactor being the `first`.
struct Placement {
    reactor::ReactorThreads* threads = nullptr;
    std::size_t first = 0;

    [[nodiscard]] std::vector<reactor::Reactor*> reactors() const;
};

/// One served device: file system, session and transport, in this order of making.
///
/// Thread    main, but for what runs inside start() and stop(): the control reactor.
/// Lifetime  outlived by the reactors and the log sink. Between a start() that succeeded and
/// the
///           destructor there must be a stop() that has ended.
class Tenant {
  public:
    /// Opens the back end; blocks. Errors: one line, with the place in the configuration.
    static Parsed<std::unique_ptr<Tenant>> make(DeviceConfig config,
                                                Placement placement,
                                                nfs::SharedClients& nfs_clients,
                                                LogSink& sink);
    Tenant(const Tenant&) = delete;
    Tenant& operator=(const Tenant&) = delete;

    /// Makes the device connectable. Waits for it. Errors: one line, with the place.
    Parsed<void> start();
    /// Begins to end the device: requests in flight are answered first. `signals` is notified,
    /// and stopped() true, when that is done.
    void begin_stop(Signals& signals);
    [[nodiscard]] bool stopped() const noexcept { return stopped_.load(); }

    /// Lines of its queues and operations (docs/configuration.md, "Statistics").
    void log_statistics(const Logger& log) const;

    [[nodiscard]] const std::string& tag() const noexcept { return config_.transport.tag; }
    [[nodiscard]] const std::string& socket_path() const noexcept {
        return config_.transport.socket_path;
    }

  private:
    Tenant(DeviceConfig config,
           Placement placement,
           std::unique_ptr<fuse::FileSystem> file_system,
           Logger log);

    struct StartOutcome {
        Result<void> result = {};
        bool at_back_end = false;  ///< not at the device
    };
    Task<void> start_device(std::promise<StartOutcome> started);
    Task<void> stop_device(Signals& signals);

    const DeviceConfig config_;
    const Placement placement_;
    const Logger log_;
    const std::unique_ptr<fuse::FileSystem> file_system_;
    fuse::Session session_;
    std::unique_ptr<hal::vhost_user::VhostUserDevice> device_;
    std::atomic<bool> stopped_ = false;
};

}  // namespace dpfs::daemon
