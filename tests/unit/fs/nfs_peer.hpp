// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/unique_fd.hpp"
#include "net/nfs4/attributes.hpp"
#include "net/nfs4/status.hpp"
#include "net/nfs4/wire.hpp"
#include "net/rpc/xdr.hpp"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <vector>

namespace dpfs::nfs {

/// An NFSv4.1 server in miniature, on a thread of its own, for tests of the back end: one
/// directory of files in memory, opens and locks without any conflict between them, and every
/// answer for a test to change. It keeps a record of what it was asked.
///
/// Thread    any.
class NfsPeer {
  public:
    /// One operation of a compound.
    struct Call {
        nfs4::Op op;
        rpc::XdrReader& in;   ///< its arguments
        rpc::XdrWriter& out;  ///< its result behind the status
        std::uint32_t uid;    ///< who asks
    };

    NfsPeer();
    NfsPeer(const NfsPeer&) = delete;
    NfsPeer& operator=(const NfsPeer&) = delete;
    ~NfsPeer();

    /// HOST:PORT.
    [[nodiscard]] std::string address() const;
    /// For the next `count` operations `op`.
    void answer(nfs4::Op op, nfs4::Status status, int count = 1);
    /// From now on the RPC layer says of a compound with `op` that it cannot read it.
    void cannot_read(nfs4::Op op);
    /// Forgets everything but files: sessions, opens and locks, and data that is not committed.
    void restart();
    /// Loses data that are not committed, and says so by another verifier.
    void lose_memory();
    /// Forgets opens and locks alone, as after an administrator's word.
    void forget_states();
    /// Takes opens, locks and delegations away, as after an administrator's word, and says so
    /// with each SEQUENCE until all are freed.
    void revoke_states();
    /// Until it is told of each that it has revoked. False: it was not within 10 seconds.
    [[nodiscard]] bool wait_until_freed();
    /// Writes are as stable as this from now on, whatever was asked.
    void answer_writes(nfs4::Stable stable);
    /// OPENs for reading that want one get a delegation from now on.
    void give_delegations();
    /// Calls back for the delegation of a file; for one that nobody has if the file has none.
    /// The record says "CB_RECALL" and the answer's status when that has come.
    void recall(const std::string& name);
    /// Calls back for all delegations but `kept`, which the client chooses.
    void recall_any(std::uint32_t kept);
    /// Calls back, before it answers, for each delegation that an OPEN brings.
    void recall_at_once();
    /// Says with each delegation that it is wanted back.
    void want_back();
    [[nodiscard]] std::size_t delegation_count();
    /// An exclusive creation sets none of the attributes that come with it.
    void set_nothing_exclusively();
    /// Says of each open that a file is kept while it is open (OPEN4_RESULT_PRESERVE_UNLINKED).
    void keep_removed_files();
    /// SEQUENCE says these flags from now on.
    void say(std::uint32_t flags);
    /// While `away`, what is asked is done, and answered only afterwards.
    void stay_away(bool away);
    /// The next compound with `op` is done, and its answer lost with the connection. The record
    /// says "hung up", and the peer stays away from then on. `next`: what `op` is answered when
    /// it is asked for again; ok: as always.
    void lose_answer(nfs4::Op op, nfs4::Status next = nfs4::Status::ok);

    /// Until `entry` is in the record, at most ten seconds. False: it did not come.
    bool wait_for(const std::string& entry);
    /// What was asked since the last call, without what keeps the session.
    std::vector<std::string> take_record();
    [[nodiscard]] std::size_t state_count();
    [[nodiscard]] std::string data_of(const std::string& name);
    [[nodiscard]] std::uint32_t mode_of(const std::string& name);
    [[nodiscard]] std::vector<std::string> names();
    void add_file(const std::string& name, std::uint32_t mode = 0644);
    void add_fifo(const std::string& name);

  private:
    struct File {
        std::string data = {};
        std::string stable = {};  ///< what a restart leaves
        nfs4::FileType type = nfs4::FileType::regular;
        std::uint32_t mode = 0644;
        std::uint32_t uid = 1000;
        std::uint64_t change = 1;
        bool has_verifier_for_times = false;
    };
    using Method = nfs4::Status (NfsPeer::*)(Call&);

    void serve();
    bool serve_one(int fd);
    void take_callback_answer(rpc::XdrReader in);
    void send_recall(const std::string& handle, const std::string& other);
    void send_callback(nfs4::CallbackOp op, std::span<const std::byte> arguments);
    nfs4::Status compound(rpc::XdrReader& in,
                          std::uint32_t uid,
                          std::vector<std::byte>& results);
    nfs4::Status perform(Call& call);
    void hang_up();
    std::optional<nfs4::Status> told(nfs4::Op op);
    void lose_memory_locked();

    nfs4::Status exchange_id(Call& call);
    nfs4::Status create_session(Call& call);
    nfs4::Status sequence(Call& call);
    nfs4::Status bind(Call& call);
    nfs4::Status skip_fixed(Call& call);
    nfs4::Status put_file(Call& call);
    nfs4::Status put_root(Call& call);
    nfs4::Status get_handle(Call& call);
    nfs4::Status save(Call& call);
    nfs4::Status restore(Call& call);
    nfs4::Status look_up(Call& call);
    nfs4::Status get_attributes(Call& call);
    nfs4::Status set_attributes(Call& call);
    nfs4::Status open(Call& call);
    nfs4::Status close(Call& call);
    void put_delegation(Call& call, bool wanted);
    nfs4::Status return_delegation(Call& call);
    nfs4::Status lock(Call& call);
    nfs4::Status unlock(Call& call);
    nfs4::Status end_state(Call& call);
    nfs4::Status free_state(Call& call);
    nfs4::Status test_states(Call& call);
    [[nodiscard]] nfs4::Status status_of(const std::string& state) const;
    nfs4::Status read(Call& call);
    nfs4::Status write(Call& call);
    nfs4::Status commit(Call& call);
    nfs4::Status remove(Call& call);
    nfs4::Status rename(Call& call);
    nfs4::Status link(Call& call);
    nfs4::Status read_directory(Call& call);
    nfs4::Status range(Call& call);

    static nfs4::AttributeSet set_from(rpc::XdrReader& in, File& file);
    std::string make_state(const std::string& key);
    void put_state(Call& call, const std::string& other);
    nfs4::Status take_state(Call& call);
    void put_verifier(Call& call) const;

    UniqueFd listener_;
    std::uint16_t port_ = 0;
    std::thread thread_;
    std::atomic<bool> stopping_ = false;
    std::atomic<int> connection_ = -1;

    std::mutex mutex_;
    std::condition_variable changed_;
    std::map<nfs4::Op, std::pair<nfs4::Status, int>> answers_;
    std::set<nfs4::Op> unreadable_;
    bool unread_ = false;  // the compound that is being answered has one of these
    std::optional<std::pair<nfs4::Op, nfs4::Status>> loses_;
    bool hangs_up_ = false;  // on the compound that is being answered
    std::vector<std::string> record_;
    std::map<std::string, File> files_;          // by handle, which is the first name
    std::map<std::string, std::string> dir_;     // name to handle
    std::map<std::string, std::string> states_;  // by owner, the "other" of its state
    std::set<std::string> live_;
    std::set<std::string> revoked_;
    std::map<std::string, std::string> delegations_;  // by handle, the "other" of its state
    bool delegates_ = false;
    bool wants_back_ = false;
    bool recalls_at_once_ = false;
    nfs4::SessionId session_id_ = {};
    std::uint32_t callback_sequence_ = 0;
    std::uint32_t boot_ = 1;
    std::uint32_t memory_ = 1;
    std::uint32_t state_number_ = 0;
    std::uint32_t session_ = 0;  // 0: none
    bool away_ = false;
    bool sets_exclusively_ = true;
    bool keeps_removed_ = false;
    std::uint32_t flags_ = 0;
    std::optional<nfs4::Stable> write_stable_;
    std::uint32_t file_number_ = 0;
    std::uint32_t result_count_ = 0;  // of the compound that is being answered
    std::string current_, saved_, last_state_;
    File root_ = {.type = nfs4::FileType::directory, .mode = 0755};
};

}  // namespace dpfs::nfs
