// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/gate.hpp"
#include "base/log.hpp"
#include "net/nfs4/request.hpp"
#include "net/nfs4/wire.hpp"
#include "net/rpc/connection.hpp"
#include "net/rpc/wait_list.hpp"
#include "reactor/loop_statistics.hpp"
#include "reactor/reactor.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace dpfs::nfs4 {

class Client;

/// What CREATE_SESSION has agreed on (RFC 8881, 18.36). A copy is with each lane.
struct Session {
    std::uint64_t epoch = 0;  ///< counts sessions; 0: none yet
    SessionId id = {};
    std::uint64_t client_id = 0;
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
    /// connections are dealt with here.
    /// Errors: ECANCELED, ETIMEDOUT, ESHUTDOWN; EACCES (the server takes no such credentials);
    /// EIO (the server breaks the protocol).
    Task<Result<void>> run(Request& request, reactor::CancelSource* cancel = nullptr);

    /// A new session, made by the client; requests of the old one are made anew in it.
    void adopt(const Session& session);
    [[nodiscard]] const Session& session() const noexcept { return session_; }
    [[nodiscard]] reactor::Reactor& reactor() const noexcept { return reactor_; }
    /// Thread: any; of connection_counters() too.
    [[nodiscard]] Counters counters() const noexcept {
        return {.requests = counters_.requests.value(),
                .slot_waits = counters_.slot_waits.value(),
                .delays = counters_.delays.value()};
    }
    [[nodiscard]] rpc::Connection::Counters connection_counters() const noexcept {
        return connection_.counters();
    }
    void reconnect() noexcept { connection_.restart(); }
    [[nodiscard]] Instant last_sequence() const noexcept { return last_sequence_; }
    /// CB_RECALL_SLOT and sr_target_highest_slotid.
    void limit_slots(std::uint32_t highest) noexcept;

  private:
    friend class Client;
    struct Slot {
        std::uint32_t sequence = 1;
        bool busy = false;
        bool lost = false;  // its request was given up: nobody knows what became of it
    };
    enum class Next : std::uint8_t { done, again, wait_and_again, fail };

    Task<Result<void>> greet(rpc::Connection& connection) override;
    Result<void> answer(std::span<const std::byte> call,
                        std::vector<std::byte>& reply) override;

    Task<Result<std::uint32_t>> take_slot(reactor::CancelSource* cancel);
    [[nodiscard]] int free_slot() const noexcept;
    void release_slot(std::uint32_t index) noexcept;
    [[nodiscard]] std::uint32_t number_of(std::uint32_t index) const noexcept {
        return index * lane_count_ + index_;
    }
    /// One attempt in one slot.
    Task<Result<Next>> attempt(Request& request, reactor::CancelSource* cancel);
    Result<Next> judge(Request& request, std::uint32_t slot, std::uint64_t epoch);
    Result<Next> judge_sequence(Request& request, std::uint32_t slot, std::uint64_t epoch);
    Result<Next> judge_compound(const Request& request) const noexcept;
    void heed(std::uint32_t status_flags, std::uint64_t epoch);
    Task<void> report_lost(std::uint64_t epoch);
    /// For requests outside of a session's slots.
    Task<Result<void>> run_early(Request& request);
    Task<Result<void>> wait_for_session(std::uint64_t lost, reactor::CancelSource* cancel);
    void give_back(std::unique_ptr<Request> request) noexcept;

    Client& client_;
    const std::uint32_t index_;
    const std::uint32_t lane_count_;
    reactor::Reactor& reactor_;
    const Logger log_;
    Session session_;
    std::vector<Slot> slots_;
    std::uint32_t slot_limit_ = 0;  // of slots_: what the server wants to see used
    rpc::WaitList slot_waiters_;
    rpc::WaitList session_waiters_;
    Instant last_sequence_ = {};
    std::uint32_t heeded_flags_ = 0;
    std::vector<std::unique_ptr<Request>> spare_;
    struct {
        reactor::Counter requests, slot_waits, delays;
    } counters_;
    bool stopping_ = false;
    reactor::CancelSource life_;
    Gate background_;
    rpc::Connection connection_;
};

}  // namespace dpfs::nfs4
