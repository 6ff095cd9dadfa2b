// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/gate.hpp"
#include "base/log.hpp"
#include "base/log_quota.hpp"
#include "net/nfs4/request.hpp"
#include "net/nfs4/wire.hpp"
#include "net/rpc/connection.hpp"
#include "net/rpc/wait_list.hpp"
#include "reactor/loop_statistics.hpp"
#include "reactor/reactor.hpp"

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

namespace dpfs::nfs4 {

class Client;

/// As a limit of time: none, whatever the client's is.
inline constexpr Duration for_ever = {std::numeric_limits<std::int64_t>::max()};

/// Who answers at an address (RFC 8881, 2.10.5): only over connections to the same server may
/// a session be used.
struct ServerIdentity {
    std::uint64_t minor = 0;
    std::string major;
    std::string scope;
    bool operator==(const ServerIdentity&) const = default;
};

/// What CREATE_SESSION has agreed on (RFC 8881, 18.36). A copy is with each lane.
struct Session {
    std::uint64_t epoch = 0;  ///< counts sessions; 0: none yet
    SessionId id = {};
    std::uint64_t client_id = 0;
    std::uint64_t incarnation = 0;  ///< counts client ids
    std::shared_ptr<const ServerIdentity> server = {};
    std::uint32_t slot_count = 0;
    std::uint32_t request_size_max = 0;   // bytes
    std::uint32_t response_size_max = 0;  // bytes
    std::uint32_t operation_count_max = 0;
};

/// One reactor's part of a client: its connection, and its share of the session's slots. Slots
/// are dealt out by their numbers, so that reactors need not talk to each other for a request.
///
/// Thread    its reactor's.
/// Source    RFC 8881, 2.10.5 (trunking), 2.10.6 (slots, exactly once).
class Lane final : rpc::ConnectionOwner {
  public:
    struct Counters {
        std::uint64_t requests = 0;
        std::uint64_t slot_waits = 0;
        std::uint64_t delays = 0;  ///< DELAY and GRACE answers
        std::uint64_t slot_recoveries = 0;
    };

    Lane(Client& client,
         std::uint32_t index,
         std::uint32_t lane_count,
         reactor::Reactor& reactor,
         rpc::ConnectionOptions options,
         const Logger& log);
    ~Lane();

    void start() { connection_.start(); }
    Task<void> stop();

    /// A Request whose memory goes back to the lane when it goes.
    class Holder {
      public:
        Holder(Lane& lane, std::unique_ptr<Request> request) noexcept
            : lane_(&lane), request_(std::move(request)) {}
        Holder(Holder&&) = default;
        Holder& operator=(Holder&&) = delete;
        ~Holder() {
            if (request_) lane_->give_back(std::move(request_));
        }
        Request& operator*() const noexcept { return *request_; }
        Request* operator->() const noexcept { return request_.get(); }

      private:
        Lane* lane_;
        std::unique_ptr<Request> request_;
    };
    /// A request with SEQUENCE in it, as `who`.
    [[nodiscard]] Holder request(const rpc::AuthSys& who);

    /// Runs `request` and reads its answer up to the first result. Succeeds whatever the
    /// operations' statuses are; sessions that are lost, servers that want us to wait, and lost
    /// connections are dealt with here. `time_max`: instead of the client's limit. With
    /// `call.must_be_answered` neither ends a request that the server may have done.
    /// Errors: ECANCELED, ETIMEDOUT, ESHUTDOWN; EACCES (the server takes no such credentials);
    /// EIO (the server breaks the protocol); ECONNRESET (an early request: the session that is
    /// being made is lost again).
    Task<Result<void>> run(Request& request,
                           reactor::CancelSource* cancel = nullptr,
                           Duration time_max = {});

    /// A new session, made by the client: early requests may use it.
    void adopt(const Session& session);
    /// Now all may; requests of the old one are made anew in it.
    void admit();
    [[nodiscard]] const Session& session() const noexcept { return session_; }
    [[nodiscard]] reactor::Reactor& reactor() const noexcept { return reactor_; }
    /// Thread: any; of connection_counters() too.
    [[nodiscard]] Counters counters() const noexcept {
        return {.requests = counters_.requests.value(),
                .slot_waits = counters_.slot_waits.value(),
                .delays = counters_.delays.value(),
                .slot_recoveries = counters_.slot_recoveries.value()};
    }
    [[nodiscard]] rpc::Connection::Counters connection_counters() const noexcept {
        return connection_.counters();
    }
    void reconnect() noexcept { connection_.restart(); }
    [[nodiscard]] Instant last_sequence() const noexcept { return last_sequence_; }
    /// Slots above `highest` are not taken any more.
    void limit_slots(std::uint32_t highest) noexcept;
    /// Until none of those is in use in the session `epoch`.
    Task<void> drain_slots(std::uint64_t epoch);

  private:
    friend class Client;
    struct Slot {
        std::uint32_t sequence = 1;
        bool busy = false;
    };
    /// One use of a slot.
    struct Ticket {
        std::uint64_t epoch;
        SessionId session;
        std::uint32_t index;  // of slots_
        std::uint32_t sequence;
    };
    /// What an answer, or the lack of one, asks for.
    enum class Next : std::uint8_t {
        done,            ///< the caller reads the results
        again,           ///< anew, in another slot or session
        repeat,          ///< the same in the same slot: the server is still at it
        wait_and_again,  ///< anew after a pause: the server has done nothing
        deny,            ///< it takes no such credentials
        fail,            ///< it breaks the protocol, or has lost the answer
    };

    Task<Result<void>> greet(rpc::Connection& connection) override;
    Result<void> answer(std::span<const std::byte> call,
                        std::vector<std::byte>& reply) override;
    void refused() override;

    // --- lane_slots.cpp
    Task<Result<Ticket>> take_slot(const rpc::Call& call, reactor::CancelSource* cancel);
    [[nodiscard]] bool may_use_session(bool early) const noexcept;
    [[nodiscard]] int free_slot() const noexcept;
    /// The server is done with the request, and the slot's sequence tells so.
    void release_slot(const Ticket& ticket) noexcept;
    [[nodiscard]] bool uses_slots_above_limit() const noexcept;
    /// Nobody knows what became of the request: the slot is free when the server has told.
    void doubt_slot(const Ticket& ticket);
    Task<void> recover_slot(Ticket ticket);
    /// True: the slot is free again, or there is a new session.
    bool is_recovered(Request& request, const Ticket& ticket);
    /// Waits, as a request with such a deadline, until `list` is woken.
    Task<Result<void>> wait_in(rpc::WaitList& list, reactor::Limit limit);
    Task<void> watch_waits();
    [[nodiscard]] std::uint32_t number_of(std::uint32_t index) const noexcept {
        return index * lane_count_ + index_;
    }
    Task<Result<void>> wait_for_session(std::uint64_t lost, reactor::Limit limit);

    // --- lane.cpp
    /// One attempt in one slot.
    Task<Result<Next>> attempt(Request& request, reactor::CancelSource* cancel);
    Task<Result<Next>> perform_in(Ticket ticket,
                                  Request& request,
                                  reactor::CancelSource* cancel);
    Result<Next> judge(Request& request, const Ticket& ticket);
    Result<Next> judge_sequence(Request& request, const Ticket& ticket);
    Next judge_sequence_error(const Request& request, const Ticket& ticket);
    [[nodiscard]] Next judge_compound(const Request& request) const;
    void count_sequence(const Ticket& ticket) noexcept;
    void heed(std::uint32_t status_flags, std::uint64_t epoch);
    Task<void> report_target(std::uint32_t highest, std::uint64_t epoch);
    Task<void> report_flags(std::uint32_t status_flags, std::uint64_t epoch);
    void lose_session(std::uint64_t epoch);
    Task<void> report_lost(std::uint64_t epoch);
    /// For requests outside of a session's slots.
    Task<Result<void>> run_early(Request& request);
    void give_back(std::unique_ptr<Request> request) noexcept;

    Client& client_;
    const std::uint32_t index_;
    const std::uint32_t lane_count_;
    reactor::Reactor& reactor_;
    const Logger log_;
    LogQuota log_quota_;
    Session session_;
    std::vector<Slot> slots_;
    std::uint32_t slot_limit_ = 0;  // of slots_: what the server wants to see used
    rpc::WaitList slot_waiters_;
    rpc::WaitList session_waiters_;
    rpc::WaitList drain_waiters_;
    bool admits_ = false;  // requests that are not early
    bool watches_waits_ = false;
    bool is_greeting_ = false;
    Instant last_sequence_ = {};
    std::uint32_t heeded_flags_ = 0;
    std::uint32_t heeded_target_ = 0;
    std::vector<std::unique_ptr<Request>> spare_;
    struct {
        reactor::Counter requests, slot_waits, delays, slot_recoveries;
    } counters_;
    bool stopping_ = false;
    reactor::CancelSource life_;
    Gate background_;
    rpc::Connection connection_;
};

}  // namespace dpfs::nfs4
