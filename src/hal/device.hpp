// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "base/task.hpp"
#include "hal/request.hpp"

namespace dpfs::hal {

/// Who answers a device's requests: the FUSE session. One sink serves one device.
class RequestSink {
  public:
    virtual ~RequestSink() = default;

    /// Takes over a request; it is completed now or later, exactly once.
    /// Thread: that of the request's queue; several queues may deliver at the same time.
    virtual void handle(RequestHandle request) noexcept = 0;

    /// Ends early whatever waits for something that may never come (a lock, a slow INIT), on
    /// every queue: such requests are answered with EINTR. What moves data is let finish. Used
    /// before a queue is stopped. Thread: any of the device's reactors; returns before the
    /// waits ended.
    virtual void interrupt_waits() noexcept = 0;

    /// Forgets everything a mount had (nodeids, handles, locks), as if it had sent
    /// FUSE_DESTROY, and is ready for a new FUSE_INIT. Called when no request is in flight:
    /// after a disconnect, a device reset, or before the end.
    virtual Task<void> reset() = 0;
};

/// A transport's end of one virtual device: it delivers requests to a RequestSink.
///
/// Thread    all members on the device's control reactor (the first of its reactors).
class Device {
  public:
    virtual ~Device() = default;

    /// Makes the device connectable; front ends may come and go from then on.
    /// Errors: EADDRINUSE (somebody serves there), others as the system gives them.
    virtual Result<void> start() = 0;

    /// Ends the device: takes no new request, waits for those in flight, resets the sink,
    /// releases the front end's memory and descriptors. The device may be destroyed after it.
    virtual Task<void> stop() = 0;
};

}  // namespace dpfs::hal
