// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "net/nfs4/attributes.hpp"
#include "net/nfs4/file_handle.hpp"
#include "net/nfs4/status.hpp"
#include "net/nfs4/wire.hpp"
#include "net/rpc/call.hpp"
#include "net/rpc/message.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dpfs::nfs4 {

/// Who opens a file, or locks a range, in a server's eyes: bytes unique under our client id.
struct StateOwner {
    std::uint64_t client = 0;
    std::span<const std::byte> bytes;
};

struct OpenArguments {
    std::uint32_t access;  ///< share::access_*
    StateOwner owner;
    Claim claim = Claim::file_handle;
    std::string_view name = {};        ///< Claim::null
    bool wants_delegation = false;     ///< for reading, if the server likes
    bool reclaims_delegation = false;  ///< the same, Claim::previous
    /// Makes the file if it is not there (Claim::null).
    bool create = false;
    CreateMode mode = CreateMode::unchecked;
    Verifier verifier = {};  ///< exclusive4_1
    NewAttributes attributes = {};
};

struct LockArguments {
    LockType type;
    bool reclaim = false;
    std::uint64_t offset;
    std::uint64_t length;  ///< all ones: to the end, wherever that is
    bool first;            ///< the owner has no lock state of this file yet
    StateId state;         ///< of the open if `first`, else of the lock
    StateOwner owner = {};
};

/// One COMPOUND: operations are put into it, a Lane runs it, and results are taken from it in
/// the same order. Source: RFC 8881, 16.2.
class Request final : rpc::PayloadFinder {
  public:
    Request() = default;

    /// Begins anew; with SEQUENCE as its first operation unless `sessionless`.
    void begin(std::uint32_t minor_version, const rpc::AuthSys& who, bool sessionless = false);

    // --- operations without more arguments than a number of bytes
    void put(Op op);
    void put_file(const FileHandle& handle);
    void put_name(Op op, std::string_view name);
    void put_getattr(const AttributeSet& wanted);
    void put_open(const OpenArguments& open);
    void put_close(const StateId& state);
    void put_setattr(const StateId& state, const NewAttributes& attributes);
    /// Source: 18.4. `target` for links; numbers for devices.
    struct Make {
        FileType type;
        std::string_view name;
        std::string_view target = {};
        std::uint32_t device_major = 0, device_minor = 0;
        NewAttributes attributes = {};
    };
    void put_create(const Make& make);
    void put_rename(std::string_view from, std::string_view to);
    void put_readdir(std::uint64_t cookie,
                     const Verifier& verifier,
                     std::uint32_t size_max,
                     const AttributeSet& wanted);
    /// The last operation of its compound; the data go straight to `to`.
    void put_read(const StateId& state, std::uint64_t offset, std::span<const iovec> to);
    /// READ_PLUS: take_read_plus() reads the result. Data that are in one piece go straight to
    /// `to`. The last operation of its compound (RFC 7862, 15.10).
    void put_read_plus(const StateId& state, std::uint64_t offset, std::span<const iovec> to);
    /// The last operation of its compound; the data come straight from `from`.
    void put_write(const StateId& state,
                   std::uint64_t offset,
                   Stable stable,
                   std::span<const iovec> from);
    void put_commit(std::uint64_t offset, std::uint32_t size);
    void put_lock(const LockArguments& lock);
    void put_lock_test(LockType type,
                       std::uint64_t offset,
                       std::uint64_t length,
                       StateOwner owner);
    void put_unlock(const StateId& state, std::uint64_t offset, std::uint64_t length);
    void put_test_states(std::span<const StateId> states);
    void put_state(Op op, const StateId& state);  ///< FREE_STATEID, DELEGRETURN
    /// ALLOCATE, DEALLOCATE (RFC 7862, 15.1 and 15.4).
    void put_range(Op op, const StateId& state, std::uint64_t offset, std::uint64_t length);

    /// For operations that only the client itself uses.
    [[nodiscard]] rpc::XdrWriter& writer() noexcept { return out_; }

    /// The answer must be kept by the server until the next call in the slot: for what must
    /// not be done twice. Without it a lost answer means that the call is made anew.
    /// To be called before the operation that changes something is put: all before it only
    /// look.
    void must_be_cached() noexcept {
        cached_ = true;
        changing_op_ = op_count_ + 1;
    }
    [[nodiscard]] bool is_cached() const noexcept { return cached_; }
    [[nodiscard]] std::uint32_t op_count() const noexcept { return op_count_; }

    // --- results
    /// The next result, which must be `op`'s: its data are read from the reader. Errors: what
    /// its status stands for; EBADMSG: the server sent something else.
    Result<void> take(Op op) noexcept;
    [[nodiscard]] rpc::XdrReader& reader() noexcept { return in_; }
    /// After the last item: EBADMSG if any was not there.
    [[nodiscard]] Result<void> taken() const noexcept {
        if (!in_.ok()) return fail(Errno::bad_message);
        return {};
    }
    /// Of the compound, that is of its last operation that was tried; BADXDR also when the
    /// server's RPC layer says that it cannot read the arguments.
    [[nodiscard]] Status status() const noexcept { return status_; }
    /// Client::incarnation() as it was for who has answered.
    [[nodiscard]] std::uint64_t incarnation() const noexcept { return incarnation_; }
    [[nodiscard]] std::uint32_t result_count() const noexcept { return result_count_; }
    /// Bytes of a READ's data.
    [[nodiscard]] std::size_t data_size() const noexcept { return call.taken.value_or(0); }

    Result<FileHandle> take_file_handle() noexcept;
    Result<Attributes> take_attributes(const AttributeSet& wanted) noexcept;

    /// Lane's and Client's.
    rpc::Call call;

  private:
    friend class Lane;
    friend class Client;

    void put_owner(StateOwner owner);
    void put_reading(Op op,
                     const StateId& state,
                     std::uint64_t offset,
                     std::span<const iovec> to);
    Answer find(std::span<const std::byte> beginning, rpc::PayloadPlace& place) override;

    void set_sequence(const SessionId& session,
                      std::uint32_t sequence,
                      std::uint32_t slot,
                      std::uint32_t slot_highest) noexcept;
    void seal() noexcept;
    /// Reads up to the first result. Errors: EBADMSG.
    Result<rpc::ReplyStatus> open_reply() noexcept;
    /// What SEQUENCE alone says in the answer, which may be that of another request (in the
    /// same slot). Errors: EBADMSG.
    [[nodiscard]] Result<Status> sequence_status() const noexcept;

    /// What all requests of one caller begin with: kept, because the next one's caller is the
    /// same as a rule.
    struct Beginning {
        std::vector<std::byte> bytes;  // empty: none yet
        std::uint32_t minor_version = 0;
        std::uint32_t uid = 0, gid = 0;
        std::vector<std::uint32_t> groups;
        std::string machine;
        std::size_t count_at = 0, sequence_at = 0;

        [[nodiscard]] bool is_for(std::uint32_t minor, const rpc::AuthSys& who) const noexcept;
    };
    void write_beginning(std::uint32_t minor_version, const rpc::AuthSys& who);

    Beginning beginning_;
    rpc::XdrWriter out_{call.record};
    rpc::XdrReader in_;
    bool cached_ = false;
    bool has_sequence_ = false;
    std::uint32_t op_count_ = 0;
    std::uint64_t read_offset_ = 0;  // of READ_PLUS
    std::uint32_t changing_op_ = 0;  // its place; all ones: nothing changes anything
    std::size_t count_at_ = 0;
    std::size_t sequence_at_ = 0;
    Status status_ = Status::ok;
    std::uint64_t incarnation_ = 0;
    std::uint32_t result_count_ = 0;
    std::uint32_t results_left_ = 0;
};

void put_state_id(rpc::XdrWriter& out, const StateId& state);
[[nodiscard]] StateId take_state_id(rpc::XdrReader& in) noexcept;
[[nodiscard]] Verifier take_verifier(rpc::XdrReader& in) noexcept;

/// What OPEN answers (18.16.2), the delegation if one was given nevertheless.
struct Opened {
    StateId state;
    AttributeSet attributes_set;      ///< of those that were to be set by an exclusive creation
    bool preserves_unlinked = false;  ///< OPEN4_RESULT_PRESERVE_UNLINKED
    bool delegated = false;
    bool is_write_delegation = false;
    bool is_wanted_back = false;  ///< the delegation: recalled as it came
    StateId delegation;
};
Opened take_opened(rpc::XdrReader& in) noexcept;

}  // namespace dpfs::nfs4
