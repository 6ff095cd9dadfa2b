// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/log.hpp"
#include "net/nfs4/client_options.hpp"
#include "net/nfs4/lane.hpp"
#include "reactor/reactor.hpp"

#include <atomic>
#include <expected>
#include <memory>
#include <string>
#include <vector>

namespace dpfs::nfs4 {

/// How a copy that the server made on its own ended (CB_OFFLOAD; RFC 7862, 16.1).
struct CopyOutcome {
    FileHandle handle;  ///< where to
    StateId copy;       ///< names it, as COPY's answer did
    Status status = Status::ok;
    std::uint64_t size = 0;  ///< bytes copied, also if it failed
    Stable stable = Stable::unstable;
    Verifier verifier = {};  ///< of the bytes that are not stable
};

/// What holds state at the server, and wants it back when the server has lost it.
class StateHolder {
  public:
    /// Reclaims everything, in requests that `lane` runs early, after a new client id has been
    /// made and before RECLAIM_COMPLETE (RFC 8881, 8.4.2.1). Thread: the lane's.
    virtual Task<Result<void>> reclaim(Lane& lane) = 0;
    /// A blocked lock may be free now (CB_NOTIFY_LOCK). Thread: the home reactor's.
    virtual void lock_may_be_free(const FileHandle& handle) = 0;
    /// The server wants a delegation back (CB_RECALL; RFC 8881, 20.2). ok: it will be returned
    /// soon, in a request of its own; bad_stateid: it is not ours. Thread: any of the
    /// reactors'.
    virtual Status recall(const FileHandle& handle, const StateId& delegation) = 0;
    /// An asynchronous copy has ended. Thread: any of the reactors'.
    virtual void copy_ended(const CopyOutcome& outcome) = 0;

  protected:
    ~StateHolder() = default;
};

/// A client of one server: one client id, one session, one connection for each reactor.
///
/// Thread    lane(): any of the reactors'; start() and stop(): the first reactor's; the rest
///           says so.
/// Lifetime  between a start() that succeeded and the end of stop() its reactors and holder
///           stay.
/// Source    RFC 8881, 18.35 (EXCHANGE_ID), 18.36 (CREATE_SESSION), 2.10.
class Client {
  public:
    /// Resolves the servers' names: blocks. `reactors` is not empty; the first is home. Errors:
    /// one line.
    static std::expected<std::unique_ptr<Client>, std::string> make(
        ClientOptions options,
        std::vector<reactor::Reactor*> reactors,
        StateHolder& holder,
        Logger log);
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;
    ~Client();

    /// Makes the session. Errors: ETIMEDOUT: no server in time; others: it refuses us (logged).
    Task<Result<void>> start();
    /// Gives the session and the client id back, and waits until nothing is left.
    Task<void> stop();

    /// The calling reactor's.
    [[nodiscard]] Lane& lane(const reactor::Reactor& reactor) noexcept;
    [[nodiscard]] Lane& home() noexcept { return *lanes_.front(); }
    /// One for each reactor. Thread: any, for their counters.
    [[nodiscard]] std::span<const std::unique_ptr<Lane>> lanes() const noexcept {
        return lanes_;
    }
    [[nodiscard]] const ClientOptions& options() const noexcept { return options_; }
    /// Bytes of data that one READ and one WRITE may carry. Constant after start().
    [[nodiscard]] std::uint32_t read_size_max() const noexcept { return read_size_max_; }
    [[nodiscard]] std::uint32_t write_size_max() const noexcept { return write_size_max_; }
    [[nodiscard]] std::uint64_t client_id() const noexcept { return client_id_.load(); }
    [[nodiscard]] std::string_view owner() const noexcept { return options_.owner; }
    [[nodiscard]] std::uint32_t lease_time() const noexcept { return lease_time_.load(); }
    /// Counts client ids: state of an earlier one is void. Thread: any.
    [[nodiscard]] std::uint64_t incarnation() const noexcept { return incarnation_.load(); }

  private:
    friend class Lane;
    Client(ClientOptions options,
           std::vector<reactor::Reactor*> reactors,
           StateHolder& holder,
           Logger log,
           rpc::ConnectionOptions connection);

    struct Identity {
        std::uint64_t client_id = 0;
        std::uint32_t sequence = 0;
        std::uint32_t flags = 0;
        std::uint64_t server_minor = 0;
        std::string server_major;
        std::string scope;
    };

    /// After `lane` has connected: the session is bound to the connection, or made.
    Task<Result<void>> greet(Lane& lane);
    Task<Result<Identity>> exchange_id(Lane& lane);
    Task<Result<Status>> bind(Lane& lane);
    Task<Result<void>> establish(Lane& lane, Identity identity);
    Task<Result<Session>> create_session(Lane& lane, Identity identity);
    Task<Result<void>> complete_reclaim(Lane& lane);
    Task<Result<void>> learn_limits(Lane& lane);
    Task<void> spread(Session session);
    Task<void> renew_loop();
    Task<void> destroy_session();
    void choose_sizes(const Session& session) noexcept;

    // Thread: any.
    void note_lost(std::uint64_t epoch) noexcept;
    [[nodiscard]] bool is_lost(std::uint64_t epoch) const noexcept {
        return lost_epoch_.load() >= epoch;
    }
    /// Thread: home's.
    void session_lost(std::uint64_t epoch) noexcept;
    Result<void> answer_callback(Lane& lane,
                                 std::span<const std::byte> call,
                                 std::vector<std::byte>& reply);
    Status answer_operation(Lane& lane, CallbackOp op, rpc::XdrReader& in, rpc::XdrWriter& out);
    Status answer_sequence(Lane& lane, rpc::XdrReader& in, rpc::XdrWriter& out);
    void recall_slots(std::uint32_t highest);
    Task<void> limit_slots(std::uint32_t highest);

    ClientOptions options_;
    const Logger log_;
    StateHolder& holder_;
    Verifier verifier_;  // of this start of the client
    std::vector<std::unique_ptr<Lane>> lanes_;

    // Home's.
    Identity identity_;
    Session session_;
    bool has_client_id_ = false;  // reclaimed, and RECLAIM_COMPLETE done
    bool started_ = false;
    Errno refusal_ = Errno::timed_out;
    rpc::WaitList started_waiters_;
    std::uint32_t callback_sequence_ = 0;  // of the back channel's only slot

    std::atomic<std::uint64_t> client_id_ = 0;
    std::atomic<std::uint64_t> incarnation_ = 0;
    std::atomic<std::uint64_t> lost_epoch_ = 0;
    std::atomic<std::uint32_t> lease_time_ = 90;
    std::uint32_t read_size_max_ = 0;
    std::uint32_t write_size_max_ = 0;
};

}  // namespace dpfs::nfs4
