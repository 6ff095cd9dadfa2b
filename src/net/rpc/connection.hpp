// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/gate.hpp"
#include "base/log.hpp"
#include "net/rpc/call.hpp"
#include "net/rpc/message.hpp"
#include "net/rpc/server_address.hpp"
#include "net/rpc/tcp_stream.hpp"
#include "net/rpc/tls_context.hpp"
#include "net/rpc/wait_list.hpp"
#include "reactor/loop_statistics.hpp"
#include "reactor/reactor.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dpfs::rpc {

class Connection;
class Receiver;

/// What is done with a connection besides calling over it.
class ConnectionOwner {
  public:
    /// Runs after each connect, before any call that is not `early`. An error breaks the
    /// connection, and all begins anew.
    virtual Task<Result<void>> greet(Connection& connection) = 0;
    /// A call that the server makes, from its xid on. Fills `reply` in; an empty one is not
    /// sent, and a failed result breaks the connection.
    virtual Result<void> answer(std::span<const std::byte> call,
                                std::vector<std::byte>& reply) = 0;
    /// Each address has refused us, one after the other, for what only an operator can mend (a
    /// certificate, a server without TLS); the log says what. Attempts go on.
    virtual void refused() {}

  protected:
    ~ConnectionOwner() = default;
};

struct ConnectionOptions {
    std::vector<ServerAddress> addresses;  ///< tried in turn; not empty
    TcpOptions tcp = {};
    std::shared_ptr<const TlsContext> tls = {};  ///< nullptr: none
    Procedure tls_procedure = {};                ///< of the program that is asked for TLS
    Duration retry_time_min = milliseconds(50);  ///< between attempts, doubled up to the next
    Duration retry_time_max = seconds(5);
    Duration answer_time_max = seconds(60);  ///< without an answer it is made anew
    std::size_t reply_size_max = 9U << 20;   ///< bytes; a larger record breaks the connection
    /// Bytes of answers to the server's own calls that wait to be sent; more break the
    /// connection: a server that asks and does not read is not worth the memory.
    std::size_t answers_size_max = 64U << 10;
};

/// A TCP connection to a server that is made again whenever it breaks, with what was not
/// answered sent again, as it was: for protocols where a server recognises what it has seen.
///
/// Thread    one reactor's.
/// Lifetime  between start() and the end of stop(), its owner and its reactor stay.
/// Source    RFC 5531, 11: record marking.
class Connection {
  public:
    /// What it has done since it was made.
    struct Counters {
        std::uint64_t connects = 0;
        std::uint64_t calls = 0;       ///< performed
        std::uint64_t sent_again = 0;  ///< after a lost connection
        std::uint64_t strays = 0;      ///< replies that nobody waits for
        std::uint64_t sends = 0;       ///< batches of calls
        std::uint64_t receives = 0;    ///< of whatever has come
        std::uint64_t bytes_sent = 0;
        std::uint64_t bytes_received = 0;
        std::uint64_t bytes_direct = 0;  ///< of them into a tenant's memory without a copy
    };

    Connection(reactor::Reactor& reactor,
               ConnectionOptions options,
               ConnectionOwner& owner,
               Logger log);
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection();

    void start();
    /// Ends what is under way with ESHUTDOWN, and waits until nothing is left.
    Task<void> stop();

    class Awaiter;
    /// Sends `call` and waits for its reply. Errors: ECANCELED, ETIMEDOUT (its deadline),
    /// ECONNRESET (an early call lost its connection), ESHUTDOWN; and what fail_all() was
    /// given.
    [[nodiscard]] Awaiter perform(Call& call, reactor::CancelSource* cancel = nullptr) noexcept;

    /// Ends all calls that are not early: what they were sent under holds no longer. To be
    /// called while a new connection is greeted, when none of them is on the wire.
    void fail_all(Errno error) noexcept;
    /// Breaks the connection: it is made anew.
    void restart() noexcept;

    [[nodiscard]] reactor::Reactor& reactor() const noexcept { return reactor_; }
    /// Thread: any.
    [[nodiscard]] Counters counters() const noexcept;
    /// The address that it is, or was last, connected to.
    [[nodiscard]] const ServerAddress& address() const noexcept {
        return options_.addresses[address_index_];
    }

  private:
    friend class Call;
    friend class Receiver;

    Task<void> run();
    Task<Result<std::unique_ptr<Stream>>> connect();
    Task<Result<std::unique_ptr<Stream>>> open_tls(std::unique_ptr<TcpStream> tcp);
    /// Says once why `error` keeps us from the server: again only if it is something else.
    void report(std::string_view error);
    Task<void> serve();  // one connection, until it is broken
    Task<void> send_loop();
    Task<void> receive_loop();
    Task<void> watch_loop();

    /// To a call of the server's. Error: EOVERFLOW: too many of them wait already.
    Result<void> add_answer(std::span<const std::byte> answer);
    void submit(Call& call) noexcept;
    void abandon(Call& call, Errno reason) noexcept;
    void finish(Call& call, Result<void> outcome) noexcept;
    /// Takes the calls of the next batch from the queue; false if there are none.
    bool gather();
    void end_batch() noexcept;
    void end_loop() noexcept;
    /// After both loops have ended: the kernel holds nothing any more.
    void settle() noexcept;
    void settle(Call& call, CallQueue& again) noexcept;

    [[nodiscard]] Call* find(std::uint32_t xid) noexcept;
    void enter(Call& call);
    void leave(Call& call) noexcept;
    void break_off() noexcept;

    reactor::Reactor& reactor_;
    const ConnectionOptions options_;
    ConnectionOwner& owner_;
    const Logger log_;

    std::unique_ptr<Stream> stream_;  // of the connection that there is
    StreamProblem problem_;           // of the last stream
    std::size_t refusal_count_ = 0;   // of the last attempts, one after the other
    std::string reported_;            // since it worked
    std::size_t address_index_ = 0;
    bool stopping_ = false;
    bool connected_ = false;      // the loops run, and nothing has broken
    int loop_count_ = 0;          // that still run
    bool ready_ = false;          // it has been greeted
    reactor::CancelSource life_;  // of everything, until stop()
    reactor::CancelSource io_;    // of one connection's transfers
    Gate work_;

    CallQueue queue_;        // to be sent
    CallQueue early_queue_;  // the same, before everything else
    CallQueue batch_;        // with the kernel
    std::vector<iovec> batch_buffers_;
    std::size_t batch_size_ = 0;  // bytes
    WaitList send_wake_;
    WaitList watch_wake_;
    std::vector<std::byte> answers_;  // to the server's calls
    std::vector<std::byte> answers_sending_;

    // Calls that wait for their replies, by a part of their xid.
    struct Place {
        Call* call = nullptr;
        std::uint32_t generation = 0;
    };
    std::vector<Place> places_;
    std::vector<std::uint32_t> free_places_;
    std::uint32_t first_generation_;

    std::unique_ptr<Receiver> receiver_;
    struct {
        reactor::Counter connects, calls, sent_again, strays, sends, receives;
        reactor::Counter bytes_sent, bytes_received, bytes_direct;
    } counters_;
};

class [[nodiscard]] Connection::Awaiter {
  public:
    Awaiter(Connection& connection, Call& call, reactor::CancelSource* cancel) noexcept
        : connection_(connection), call_(call), cancel_(cancel) {}
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> waiter) noexcept;
    Result<void> await_resume() const noexcept { return call_.outcome_; }

  private:
    Connection& connection_;
    Call& call_;
    reactor::CancelSource* cancel_;
};

}  // namespace dpfs::rpc
