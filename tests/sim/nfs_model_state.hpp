// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/time.hpp"
#include "net/nfs4/status.hpp"
#include "net/nfs4/wire.hpp"
#include "nfs_history.hpp"
#include "nfs_model_files.hpp"

#include <array>
#include <cstdint>
#include <expected>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace dpfs::sim {

/// One slot of a session, with the answer to its last request (RFC 8881, 2.10.6.1).
struct ModelSlot {
    std::uint32_t sequence = 0;
    bool busy = false;    ///< that request is still being worked on
    bool cached = false;  ///< all of `answer` may be said again, not only SEQUENCE's result
    Bytes request = {};   ///< what made it, to know another one by
    Bytes answer = {};
    std::size_t data_size = 0;  ///< of `answer`'s end: a READ's data
};

struct ModelSession {
    std::uint64_t number = 0;  ///< counts them: for the history
    nfs4::SessionId id = {};
    std::uint64_t client = 0;
    std::vector<ModelSlot> slots = {};
    std::uint32_t target = 0;  ///< the highest slot that is wished for
    Instant target_since = {};
    std::uint32_t target_told = 0;  ///< answers that said it
    std::set<std::uint64_t> connections = {};
    std::uint64_t back_connection = 0;  ///< 0: none
    std::uint32_t callback_sequence = 0;
};

struct ModelClient {
    std::uint64_t id = 0;
    std::string owner = {};
    nfs4::Verifier verifier = {};
    bool confirmed = false;
    std::uint32_t sequence = 1;  ///< of the next CREATE_SESSION
    Bytes last_session = {};     ///< the result of the last one
    Instant renewed = {};
    bool may_reclaim = false;
    bool reclaim_done = false;
};

struct ModelRange {
    std::uint64_t start;
    std::uint64_t end;  ///< inclusive
    bool exclusive;
};

/// An open, or the locks of one owner in one file.
struct ModelHeld {
    enum class Kind : std::uint8_t { open, locks };
    Kind kind = Kind::open;
    std::uint64_t client = 0;
    Bytes owner = {};
    std::uint64_t file = 0;
    std::uint32_t access = 0;
    std::array<std::byte, 12> open = {};  ///< of locks: which open they were made through
    std::uint32_t sequence = 1;
    std::vector<ModelRange> ranges = {};
};

/// What the model server keeps in its memory for its clients, and the little that it keeps on
/// disk to know after a restart who may reclaim. Strict: whatever the protocol lets a server
/// forget it forgets at once.
class ModelState {
  public:
    using Other = std::array<std::byte, 12>;
    struct Times {
        Duration lease = seconds(10);
        Duration grace = seconds(4);
    };

    ModelState(NfsHistory& history, ModelFiles& files, Times times)
        : history_(history), files_(files), times_(times) {}

    /// EXCHANGE_ID (RFC 8881, 18.35.4, without update).
    ModelClient& exchange(const std::string& owner,
                          const nfs4::Verifier& verifier,
                          Instant now);
    [[nodiscard]] ModelClient* client(std::uint64_t id) noexcept;
    /// CREATE_SESSION by this client id: it replaces an older one of the same owner.
    void confirm(ModelClient& client, Instant now);
    ModelSession& make_session(ModelClient& client, std::uint32_t slot_count);
    [[nodiscard]] ModelSession* session(const nfs4::SessionId& id) noexcept;
    [[nodiscard]] std::map<nfs4::SessionId, ModelSession>& sessions() noexcept {
        return sessions_;
    }
    [[nodiscard]] std::map<std::uint64_t, ModelClient>& clients() noexcept { return clients_; }
    void end_session(const nfs4::SessionId& id) { sessions_.erase(id); }
    /// Without its client's doing.
    void lose_session(const nfs4::SessionId& id, Instant now);
    void forget_client(std::uint64_t id, Instant now);
    /// Clients that have not renewed their leases lose all they have.
    void expire(Instant now);

    nfs4::StateId hold(ModelHeld held);
    /// Errors: bad_stateid, stale_stateid, old_stateid.
    std::expected<ModelHeld*, nfs4::Status> find(const nfs4::StateId& state);
    [[nodiscard]] nfs4::StateId name_of(const ModelHeld& held) const;
    [[nodiscard]] std::map<Other, ModelHeld>& held() noexcept { return held_; }
    ModelHeld* find_open(std::uint64_t client, const Bytes& owner, std::uint64_t file);
    ModelHeld* find_locks(std::uint64_t client, const Bytes& owner, std::uint64_t file);
    /// With the locks made through it, if it is an open.
    void release(const ModelHeld& held);
    struct Conflict {
        ModelRange range;
        const ModelHeld* holder;
    };
    [[nodiscard]] std::optional<Conflict> conflict(std::uint64_t client,
                                                   const Bytes& owner,
                                                   std::uint64_t file,
                                                   const ModelRange& wanted) const;
    static void lock(ModelHeld& held, const ModelRange& range);
    static void unlock(ModelHeld& held, std::uint64_t start, std::uint64_t end);
    [[nodiscard]] bool is_open(std::uint64_t file) const;

    /// Everything in memory is gone.
    void restart(Instant now);
    /// The time for reclaiming begins when it can be reached again.
    void begin_grace(Instant now) { grace_end_ = now + times_.grace; }
    [[nodiscard]] bool in_grace(Instant now);
    void finish_reclaim(ModelClient& client, Instant now);
    /// How often locks were lost without their client's doing.
    [[nodiscard]] std::uint64_t loss_count() const noexcept { return loss_count_; }
    /// Counts restarts.
    [[nodiscard]] std::uint32_t boot() const noexcept { return boot_; }

  private:
    void end_grace();

    NfsHistory& history_;
    ModelFiles& files_;
    const Times times_;
    std::uint32_t boot_ = 1;
    std::uint64_t loss_count_ = 0;
    std::uint64_t next_number_ = 1;
    Instant grace_end_ = {};
    bool grace_ = false;
    std::set<std::string> records_;      // on disk: who may reclaim after the next restart
    std::set<std::string> reclaimable_;  // from before this start
    std::map<std::uint64_t, ModelClient> clients_;
    std::map<nfs4::SessionId, ModelSession> sessions_;
    std::map<Other, ModelHeld> held_;
};

}  // namespace dpfs::sim
