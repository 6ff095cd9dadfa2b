// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "net/rpc/message.hpp"
#include "net/rpc/stream.hpp"
#include "net/rpc/tcp_stream.hpp"
#include "net/rpc/tls_engine.hpp"
#include "net/rpc/wait_list.hpp"
#include "reactor/reactor.hpp"

#include <memory>
#include <string>
#include <vector>

namespace dpfs::rpc {

/// A TLS session over a TCP connection. The kernel has no part in it: what is sent is copied
/// and encrypted, what is received is decrypted into the caller's memory.
///
/// Source  RFC 9289.
class TlsStream final : public Stream {
  public:
    struct Peer {
        std::shared_ptr<const TlsContext> context;
        std::string host;     ///< as it was named
        Procedure procedure;  ///< of the program that will be called
    };
    /// Asks the server at the other end of `tcp`, which is new, for TLS, and shakes hands.
    /// Errors: those of the stream; EOPNOTSUPP: it has no TLS; EPROTO; ETIMEDOUT. `problem`,
    /// which outlives the task, says more.
    static Task<Result<std::unique_ptr<TlsStream>>> open(reactor::Reactor& reactor,
                                                         std::unique_ptr<TcpStream> tcp,
                                                         Peer peer,
                                                         reactor::CancelSource& cancel,
                                                         StreamProblem& problem);

    TlsStream(reactor::Reactor& reactor, std::unique_ptr<TcpStream> tcp, Peer peer);
    /// Says goodbye if there is room for it in the socket.
    ~TlsStream() override;

    Task<Result<void>> send(std::span<iovec> buffers, reactor::CancelSource& cancel) override;
    Task<Result<std::size_t>> receive(std::span<iovec> to,
                                      reactor::CancelSource& cancel) override;
    [[nodiscard]] StreamProblem problem() const override { return engine_.problem(); }
    /// Protocol, cipher and peer.
    [[nodiscard]] std::string description() const { return engine_.description(); }

  private:
    Task<Result<void>> ask(Procedure procedure,
                           reactor::CancelSource& cancel,
                           StreamProblem& problem);
    Task<Result<void>> shake_hands(reactor::CancelSource& cancel);
    Task<Result<void>> receive_exactly(std::span<std::byte> to, reactor::CancelSource& cancel);
    Task<Result<void>> receive_input(reactor::CancelSource& cancel);
    Task<Result<void>> flush(reactor::CancelSource& cancel);

    reactor::Reactor& reactor_;
    std::unique_ptr<TcpStream> tcp_;
    TlsEngine engine_;
    std::vector<std::byte> plain_;    // one record's worth
    std::vector<std::byte> sending_;  // with the kernel
    bool is_cut_ = true;              // the server may lack the end of a record
    WaitList input_came_;
};

}  // namespace dpfs::rpc
