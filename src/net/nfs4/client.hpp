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
/// Thread: the client's home reactor's.
class StateHolder {
  public:
    /// Reclaims everything, in requests that `lane` runs early, after a new client id has been
    /// made and before RECLAIM_COMPLETE (RFC 8881, 8.4.2.1). After ECONNRESET it is called
    /// again, perhaps for the same client id (Client::incarnation()).
    virtual Task<Result<void>> reclaim(Lane& lane) = 0;
    /// The server has revoked some, or all, of our states, and wants to hear that we know
    /// (TEST_STATEID, FREE_STATEID; RFC 8881, 8.5).
    virtual void states_revoked() = 0;
    /// The server has moved file systems that we have states in, and does not say which (RFC
    /// 8881, 18.46.3: SEQ4_STATUS_LEASE_MOVED): each is asked about.
    virtual void file_systems_moved() = 0;
    /// A blocked lock may be free now (CB_NOTIFY_LOCK).
    virtual void lock_may_be_free(const FileHandle& handle) = 0;
    /// The server wants a delegation back (CB_RECALL; RFC 8881, 20.2). ok: it will be returned
    /// soon, in a request of its own; bad_stateid: it is not ours.
    virtual Status recall(const FileHandle& handle, const StateId& delegation) = 0;
    /// The server wants read delegations back until no more than `kept_count_max` are held
    /// (CB_RECALL_ANY; RFC 8881, 20.6): the holder chooses which.
    virtual void recall_any(std::uint64_t kept_count_max) = 0;
    /// An asynchronous copy has ended.
    virtual void copy_ended(const CopyOutcome& outcome) = 0;

  protected:
    ~StateHolder() = default;
};

/// A client of one server: one client id, one session, one connection for each reactor; for one
/// holder of states, or for several, which then share all of that, and the lease.
///
/// Thread    lane(), start() and stop(): any of the reactors'; the rest says so.
/// Lifetime  its reactors stay until it is gone, a holder from its start() to the end of its
///           stop().
/// Source    RFC 8881, 18.35 (EXCHANGE_ID), 18.36 (CREATE_SESSION), 2.10.
class Client {
  public:
    /// Resolves the servers' names: blocks. `reactors` is not empty; the first is home. Errors:
    /// one line.
    static std::expected<std::unique_ptr<Client>, std::string> make(
        ClientOptions options, std::vector<reactor::Reactor*> reactors, Logger log);
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;
    ~Client();

    /// Makes the session, or waits until it is made. `reactor`: the caller's. Errors:
    /// ETIMEDOUT: no server in time; EPROTO: TLS does not let us talk to it (at once); others:
    /// it refuses us. All are logged. Also then stop() has to follow.
    Task<Result<void>> start(StateHolder& holder, reactor::Reactor& reactor);
    /// The holder is left alone from then on. The last one's stop() ends all requests, gives
    /// the session and the client id back, and waits until nothing is left.
    Task<void> stop(StateHolder& holder, reactor::Reactor& reactor);

    /// The calling reactor's.
    [[nodiscard]] Lane& lane(const reactor::Reactor& reactor) noexcept;
    [[nodiscard]] Lane& home() noexcept { return *lanes_.front(); }
    /// One for each reactor. Thread: any, for their counters.
    [[nodiscard]] std::span<const std::unique_ptr<Lane>> lanes() const noexcept {
        return lanes_;
    }
    [[nodiscard]] const ClientOptions& options() const noexcept { return options_; }
    /// Bytes of data that one READ and one WRITE may carry. A new session may change it.
    [[nodiscard]] std::uint32_t read_size_max() const noexcept { return read_size_max_.load(); }
    [[nodiscard]] std::uint32_t write_size_max() const noexcept {
        return write_size_max_.load();
    }
    [[nodiscard]] std::uint64_t client_id() const noexcept { return client_id_.load(); }
    [[nodiscard]] std::string_view owner() const noexcept { return options_.owner; }
    [[nodiscard]] std::uint32_t lease_time() const noexcept { return lease_time_.load(); }
    /// Counts client ids: state of an earlier one is void. Thread: any.
    [[nodiscard]] std::uint64_t incarnation() const noexcept { return incarnation_.load(); }

  private:
    friend class Lane;
    Client(ClientOptions options,
           std::vector<reactor::Reactor*> reactors,
           Logger log,
           const rpc::ConnectionOptions& connection);

    /// EXCHANGE_ID's answer.
    struct Identity {
        std::uint64_t client_id = 0;
        std::uint32_t sequence = 0;
        bool confirmed = false;
        ServerIdentity server;
    };

    // --- client_session.cpp
    /// After `lane` has connected: the session is bound to the connection, or made.
    Task<Result<void>> greet(Lane& lane);
    Task<Result<void>> greet_home(Lane& lane);
    Task<Result<void>> greet_other(Lane& lane);
    Task<Result<Identity>> exchange_id(Lane& lane);
    /// False: the server there does not know the session.
    Task<Result<bool>> bind(Lane& lane);
    Task<Result<void>> establish(Lane& lane);
    Task<Result<Session>> create_session(Lane& lane, Identity identity);
    Result<Session> take_session(Request& request) const;
    Task<Result<void>> reclaim(Lane& lane);
    Task<Result<void>> reclaim_states(Lane& lane);
    Task<Result<void>> learn_limits(Lane& lane);
    Task<Result<void>> destroy_session(Lane& lane, Session session);
    void choose_sizes(const Session& session) noexcept;
    Task<void> spread(Session session);

    // --- client.cpp
    Task<Result<void>> start_lanes();
    Task<Result<void>> wait_until_started();
    Task<void> stop_lanes();
    Task<void> renew_loop();
    Task<void> say_goodbye();

    // Thread: any.
    void note_lost(std::uint64_t epoch) noexcept;
    [[nodiscard]] bool is_lost(std::uint64_t epoch) const noexcept {
        return lost_epoch_.load() >= epoch;
    }
    // Thread: home's.
    void session_lost(std::uint64_t epoch) noexcept;
    void refused() noexcept;
    void heed(std::uint32_t status_flags, std::uint64_t epoch);
    // --- callback.cpp
    Result<void> answer_callback(std::span<const std::byte> call,
                                 std::vector<std::byte>& reply);
    /// False: the call is not one of ours, or cannot be read.
    bool answer_compound(rpc::XdrReader& in, std::vector<std::byte>& reply);
    [[nodiscard]] bool is_repeated(rpc::XdrReader in) const noexcept;
    Status answer_operation(CallbackOp op, rpc::XdrReader& in, rpc::XdrWriter& out);
    Status answer_sequence(rpc::XdrReader& in, rpc::XdrWriter& out);
    Status recall(const FileHandle& handle, const StateId& delegation);
    // --- client_slots.cpp
    /// The highest slot that the server wants to see used. Thread: any; home's.
    [[nodiscard]] std::uint32_t slot_target() const noexcept { return slot_target_.load(); }
    void want_slots(std::uint32_t highest, std::uint64_t epoch);
    Task<void> change_slots();
    Task<void> limit_lanes(std::uint32_t highest, std::uint64_t epoch);
    void use_all_slots(const Session& session) noexcept;
    /// The highest slot that may be in use. Thread: any.
    [[nodiscard]] std::uint32_t highest_slot() const noexcept { return highest_slot_.load(); }

    ClientOptions options_;
    const Logger log_;
    Verifier verifier_;  // of this start of the client
    std::vector<std::unique_ptr<Lane>> lanes_;

    // Home's.
    std::vector<StateHolder*> holders_;
    StateHolder* reclaiming_ = nullptr;  // whose reclaim() is under way
    rpc::WaitList reclaim_waiters_;
    bool is_begun_ = false;  // somebody has called start()
    Session session_;
    bool is_reclaimed_ = false;         // under this client id: RECLAIM_COMPLETE is done
    std::uint64_t finished_epoch_ = 0;  // of the last session that was made to the end
    bool is_changing_slots_ = false;
    Instant next_rebind_ = {};
    bool started_ = false;
    bool is_refused_ = false;  // before it was: by every server, for good
    Errno refusal_ = Errno::timed_out;
    rpc::WaitList started_waiters_;
    std::uint32_t callback_sequence_ = 0;    // of the back channel's only slot
    std::vector<std::byte> callback_reply_;  // to that

    std::atomic<std::uint64_t> client_id_ = 0;
    std::atomic<std::uint64_t> incarnation_ = 0;
    std::atomic<std::uint64_t> lost_epoch_ = 0;
    std::atomic<std::uint32_t> slot_target_ = 0;
    std::atomic<std::uint32_t> highest_slot_ = 0;
    std::atomic<std::uint32_t> lease_time_ = 90;
    std::atomic<std::uint32_t> read_size_max_ = 0;
    std::atomic<std::uint32_t> write_size_max_ = 0;
};

}  // namespace dpfs::nfs4
