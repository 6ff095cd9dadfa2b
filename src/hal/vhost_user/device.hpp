// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/gate.hpp"
#include "base/log.hpp"
#include "base/unique_fd.hpp"
#include "hal/device.hpp"
#include "hal/vhost_user/device_options.hpp"
#include "hal/vhost_user/listener.hpp"
#include "hal/vhost_user/queue_stats.hpp"
#include "hal/vhost_user/vring.hpp"
#include "reactor/cancel.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace dpfs::reactor {
class Reactor;
}

namespace dpfs::hal::vhost_user {

class Connection;

/// The back end of one vhost-user virtio-fs device: it listens on a UNIX socket and serves one
/// front end (QEMU, cloud-hypervisor, crosvm, …) at a time, any number after each other.
///
/// A queue belongs to one reactor: queue i to reactor i modulo their count. The first reactor
/// is also the control reactor, where the front end's messages are handled.
///
/// Thread    constructor, destructor: any, while no reactor runs or on the control reactor.
///           stats(): any. All else: the control reactor.
/// Lifetime  reactors, sink and log sink outlive the device; stop() must have ended before the
///           destructor, and no reactor may have been stopped before that.
/// Source    QEMU docs/interop/vhost-user.rst; virtio 1.2, 5.11.
class VhostUserDevice final : public Device, private VringOwner {
  public:
    VhostUserDevice(DeviceOptions options,
                    std::span<reactor::Reactor* const> reactors,
                    RequestSink& sink,
                    Logger log);
    ~VhostUserDevice() override;

    /// Errors: EINVAL (options), ENAMETOOLONG (socket path), EADDRINUSE (somebody serves
    /// there), EEXIST (something else than a socket is there), others as the system gives
    /// them. Each is logged with its reason.
    Result<void> start() override;
    Task<void> stop() override;

    /// One entry for each queue, the high-priority one first.
    [[nodiscard]] std::vector<QueueStats> stats() const;

  private:
    [[nodiscard]] Result<void> check_options() const;
    Task<void> accept_front_ends();
    Task<void> serve();
    void on_ring_broken(std::uint16_t index, virtio::Violation violation) noexcept override;

    DeviceOptions options_;
    reactor::Reactor& control_;
    RequestSink& sink_;
    Logger log_;
    std::vector<std::unique_ptr<Vring>> vrings_;
    Listener listener_;
    reactor::CancelSource stopping_;
    Gate accepting_;
    Gate serving_;
    std::unique_ptr<Connection> connection_;
};

}  // namespace dpfs::hal::vhost_user
