// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "base/task.hpp"
#include "reactor/cancel.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <sys/uio.h>

namespace dpfs::rpc {

/// Why a stream failed, where an errno does not say so.
struct StreamProblem {
    std::string text = {};    ///< and what to do about it, as one line; empty: nothing to say
    bool is_refusal = false;  ///< it fails again until somebody has done that
};

/// The bytes below the records: what a Connection asks of TCP, and of TLS above it. One sender
/// and one receiver at a time, which do not wait for each other.
///
/// Thread    one reactor's.
/// Lifetime  buffers stay put until the task that was given them has ended; both tasks have
///           ended when a stream is destroyed, and it is connected no longer then.
/// Errors    those of the socket; ECONNRESET: the peer has closed it; ECANCELED; EBADMSG: what
///           came is not what the stream is made of.
class Stream {
  public:
    Stream() = default;
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    virtual ~Stream() = default;

    /// Sends all of `buffers`, which are changed on the way. IOV_MAX is no limit.
    virtual Task<Result<void>> send(std::span<iovec> buffers,
                                    reactor::CancelSource& cancel) = 0;
    /// Waits for bytes, and gives how many were put into `to` (at most IOV_MAX buffers): at
    /// least one, and no more than there are.
    virtual Task<Result<std::size_t>> receive(std::span<iovec> to,
                                              reactor::CancelSource& cancel) = 0;
    [[nodiscard]] virtual StreamProblem problem() const { return {}; }
};

}  // namespace dpfs::rpc
