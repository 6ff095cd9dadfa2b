// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/log.hpp"
#include "net/rpc/xdr.hpp"
#include "nfs_history.hpp"
#include "nfs_model_attributes.hpp"
#include "nfs_model_files.hpp"
#include "nfs_model_state.hpp"
#include "reactor/sim_random.hpp"

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>

namespace dpfs::sim {

/// What this server does where the protocol leaves it a choice, and how often it makes use of
/// its right to refuse (chances in a thousand).
struct ModelBehaviour {
    bool binds_silently = true;           ///< SEQUENCE on any connection (SP4_NONE)
    bool tells_false_retries = true;      ///< else the old answer is given
    bool keeps_uncached = false;          ///< answers to what need not be cached, all the same
    bool refuses_replay_at_once = false;  ///< RETRY_UNCACHED_REP for SEQUENCE itself
    bool is_strict_in_grace = false;      ///< names cannot be changed then
    std::uint32_t slot_count_max = 64;
    std::uint32_t sequence_delay = 0;  ///< DELAY for SEQUENCE
    std::uint32_t delay = 0;           ///< DELAY for an operation before anything has changed
    std::uint32_t late_delay = 0;      ///< the same, behind one that has changed something
    std::uint32_t short_io = 0;        ///< READ and WRITE move less than they could
    std::uint32_t small_page = 0;      ///< READDIR gives less than there is room for
    std::uint32_t new_target = 0;      ///< SEQUENCE wishes for another number of slots
    std::uint32_t promotes = 0;        ///< an unstable WRITE is made a stable one
    /// Whether who is asked for fewer slots has obeyed two seconds later: not where answers
    /// are lost. Each of its connections has a slot in any case.
    bool judges_targets = false;
    std::uint32_t lane_count = 2;
};

/// What no server may do. Planted, each by itself, to show that a run finds it.
struct ModelLies {
    bool wrong_byte = false;       ///< READ changes a byte
    bool drops_commits = false;    ///< COMMIT is answered, and nothing becomes durable
    bool claims_removals = false;  ///< REMOVE is answered, and the name stays
    bool repeats = false;          ///< a request that comes again is done again
    bool ignores_locks = false;    ///< LOCK never conflicts
    bool keeps_opens = false;      ///< CLOSE is answered, and the state stays
    bool hides_names = false;      ///< READDIR leaves one out
    bool loses_names = false;      ///< a crash empties the root directory
    bool mixes_requests = false;   ///< what a slot was used for is remembered wrongly
    bool denies_slots = false;     ///< slots that were granted are held against the client
};

/// The server behind its connections.
struct ModelCore {
    ModelFiles files;
    NfsHistory& history;
    ModelState state;
    reactor::SimRandom& random;
    ModelBehaviour behaviour;
    ModelLies lies;
    ModelLimits limits;
    Logger log;
    /// Requests that used a slot's number for something else than before.
    std::uint64_t false_retry_count = 0;
    /// Requests in a slot above the highest that they name themselves (RFC 8881, 18.46.3), or
    /// that name a higher one than was wished for, long after the wish.
    std::uint64_t slot_breach_count = 0;
    std::uint64_t judged_target_count = 0;  ///< requests that were long enough after a wish
    std::uint64_t replay_count = 0;
    /// Locks of these files were given back or lost: somebody who waits may be told.
    std::set<std::uint64_t> freed_files = {};
};

/// One COMPOUND at the server (RFC 8881, 16.2): begin() is what happens on its arrival,
/// finish(), perhaps later, what it asks for. Each is one step for everybody else.
class ModelCompound {
  public:
    /// `arguments` outlive it.
    ModelCompound(ModelCore& core,
                  std::uint64_t connection,
                  std::span<const std::byte> arguments,
                  Instant now);

    /// True: `answer()` is there already, because its slot has seen it, or refuses it.
    bool begin();
    void finish(Instant now);
    /// The results, from the compound's status on.
    [[nodiscard]] const Bytes& answer() const noexcept { return answer_; }
    /// Bytes at its end that are a READ's data.
    [[nodiscard]] std::size_t data_size() const noexcept { return data_size_; }

  private:
    using Status = nfs4::Status;
    using Op = nfs4::Op;

    struct Handler;

    // --- nfs_model_compound.cpp
    void begin_answer();
    void end_answer(Status status);
    Status run_operation(Op op);
    Status dispatch(Op op);
    [[nodiscard]] bool must_wait(Op op);
    Status take_sequence();
    Status check_slot(ModelSlot& slot, std::uint32_t sequence);
    void judge_slots(const ModelSession& session, std::uint32_t highest);
    void replay(const ModelSlot& slot);
    void put_sequence_result(const ModelSession& session);
    nfs4::StateId take_state_id();
    void put_state_id(const nfs4::StateId& state);
    void put_change(const ModelInode& inode);
    std::expected<ModelInode*, Status> current();
    std::expected<ModelInode*, Status> directory(std::optional<std::uint64_t> id);
    [[nodiscard]] bool in_grace() { return core_.state.in_grace(now_); }
    void note(std::string key);
    /// What it has been about, for who reads along.
    void report(Status status);

    // --- nfs_model_session_ops.cpp
    Status exchange_id();
    Status create_session();
    Status bind_connection();
    Status destroy_session();
    Status destroy_client();
    Status reclaim_complete();

    // --- nfs_model_name_ops.cpp
    Status put_root();
    Status put_file();
    Status save_file();
    Status restore_file();
    Status get_handle();
    Status get_attributes();
    Status read_link();
    Status look_up();
    Status make();
    Status remove();
    Status rename();
    Status link();
    Status read_directory();
    Status set_attributes();

    // --- nfs_model_data_ops.cpp
    std::expected<ModelInode*, Status> file_for(std::uint32_t access);
    Status read();
    Status write();
    Status commit();
    Status allocate();
    Status deallocate();
    Status seek();

    // --- nfs_model_state_ops.cpp
    Status open();
    std::expected<ModelInode*, Status> open_by_name(bool creates);
    Status close();
    Status downgrade();
    Status lock();
    Status test_lock();
    Status unlock();
    Status free_state();
    Status test_states();
    void put_denied(const ModelState::Conflict& conflict);

    ModelCore& core_;
    const std::uint64_t connection_;
    rpc::XdrReader in_;
    std::span<const std::byte> arguments_;
    Instant now_;
    Bytes answer_;
    rpc::XdrWriter out_{answer_};
    std::size_t count_at_ = 0;
    std::uint32_t op_count_ = 0;
    std::uint32_t done_count_ = 0;
    std::size_t data_size_ = 0;
    std::string operations_ = {};  // that were tried
    std::uint32_t slot_number_ = 0, sequence_ = 0;
    bool is_cached_ = false;
    bool has_changed_ = false;   // something, so far
    bool keeps_result_ = false;  // of an operation that has failed
    std::optional<std::pair<nfs4::SessionId, std::uint32_t>> slot_;
    std::uint64_t session_number_ = 0;
    std::uint64_t client_ = 0;
    std::optional<std::uint64_t> file_, saved_file_;
    nfs4::StateId state_;
};

}  // namespace dpfs::sim
