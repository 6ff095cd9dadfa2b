// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/unique_fd.hpp"
#include "net/rpc/server_address.hpp"
#include "net/rpc/stream.hpp"
#include "reactor/reactor.hpp"

#include <memory>

namespace dpfs::rpc {

struct TcpOptions {
    bool privileged_port = false;  ///< from a port below 1024, as old servers ask
    Duration connect_time_max = seconds(5);
    /// A peer that is silently gone is noticed after about this time, whether or not anything
    /// is asked of it. Whole seconds; at least 4.
    Duration dead_time_max = seconds(60);
};

/// A connected TCP socket. Source: RFC 9293; tcp(7).
class TcpStream final : public Stream {
  public:
    /// Errors: of connect(2); ETIMEDOUT; EADDRINUSE, EACCES (no privileged port is left, or
    /// allowed). `to` must outlive the task.
    static Task<Result<std::unique_ptr<TcpStream>>> connect(reactor::Reactor& reactor,
                                                            const ServerAddress& to,
                                                            TcpOptions options,
                                                            reactor::CancelSource& cancel);

    TcpStream(reactor::Reactor& reactor, UniqueFd fd) noexcept
        : reactor_(reactor), fd_(std::move(fd)) {}

    Task<Result<void>> send(std::span<iovec> buffers, reactor::CancelSource& cancel) override;
    Task<Result<std::size_t>> receive(std::span<iovec> to,
                                      reactor::CancelSource& cancel) override;

    /// Until when transfers may take that begin from now on; then they end with ETIMEDOUT.
    void set_deadline(Instant deadline) noexcept { deadline_ = deadline; }
    /// For who runs another protocol above it.
    [[nodiscard]] int fd() const noexcept { return fd_.get(); }

  private:
    reactor::Reactor& reactor_;
    UniqueFd fd_;
    Instant deadline_ = Instant::never();
};

}  // namespace dpfs::rpc
