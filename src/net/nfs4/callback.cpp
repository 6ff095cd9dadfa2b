// SPDX-License-Identifier: Apache-2.0
#include "net/nfs4/client.hpp"
#include "net/nfs4/copy.hpp"

#include <algorithm>

namespace dpfs::nfs4 {
namespace {

constexpr std::uint32_t procedure_null = 0;
constexpr std::uint32_t callback_version = 1;
constexpr std::size_t callback_tag_size_max = 1024;
constexpr std::uint32_t callback_count_max = 8;

/// What RFC 8881 and 7862 define is 3 to 15; for what they do not, there is a name (20.13).
CallbackOp known_or_illegal(std::uint32_t number) noexcept {
    return number >= 3 && number <= 15 ? CallbackOp{number} : CallbackOp::illegal;
}

/// The arguments of CB_OFFLOAD: write_response4 with the count and verifier if all went well,
/// the number of bytes alone if not (RFC 7862, 16.1.1).
CopyOutcome take_copy_outcome(rpc::XdrReader& in) {
    CopyOutcome outcome;
    outcome.handle = FileHandle(in.opaque(file_handle_size_max));
    outcome.copy = take_state_id(in);
    outcome.status = Status{in.u32()};
    if (outcome.status != Status::ok) {
        outcome.size = in.u64();
        return outcome;
    }
    const WriteResponse written = take_write_response(in);
    outcome.size = written.size;
    outcome.stable = written.stable;
    outcome.verifier = written.verifier;
    return outcome;
}

}  // namespace

/// The server's calls to us (RFC 8881, 20). All are answered at once; what takes time is done
/// afterwards.
Result<void> Client::answer_callback(std::span<const std::byte> call,
                                     std::vector<std::byte>& reply) {
    rpc::XdrReader in(call);
    const auto header = rpc::take_call_header(in);
    if (!header) return fail(header.error());
    auto status = rpc::ReplyStatus::success;
    if (header->procedure.program != callback_program) {
        status = rpc::ReplyStatus::program_unavailable;
    } else if (header->procedure.version != callback_version) {
        status = rpc::ReplyStatus::program_mismatch;
    } else if (header->procedure.number == procedure_compound) {
        rpc::begin_reply(reply, header->xid, status);
        if (answer_compound(in, reply)) {
            rpc::XdrWriter(reply).patch_u32(rpc::xid_position, header->xid);
            rpc::finish_record(reply, 0);
            return {};
        }
        reply.clear();
        status = rpc::ReplyStatus::garbage_arguments;
    } else if (header->procedure.number != procedure_null) {
        status = rpc::ReplyStatus::procedure_unavailable;
    }
    rpc::begin_reply(reply, header->xid, status);
    if (status == rpc::ReplyStatus::program_mismatch) {
        rpc::XdrWriter out(reply);
        out.u32(callback_version);
        out.u32(callback_version);
    }
    rpc::finish_record(reply, 0);
    return {};
}

/// CB_COMPOUND: CB_SEQUENCE first, then what the server wants of us.
bool Client::answer_compound(rpc::XdrReader& in, std::vector<std::byte>& reply) {
    rpc::XdrWriter out(reply);
    const std::string_view tag = in.string(callback_tag_size_max);
    in.u32();  // minor version
    in.u32();  // callback_ident: of 4.0
    const std::uint32_t count = in.u32();
    if (!in.ok() || count > callback_count_max) return false;
    if (is_repeated(in)) {
        // The answer was lost: what was done is not done again (2.10.6.1).
        reply = callback_reply_;
        return true;
    }
    const std::size_t status_at = out.position();
    out.u32(0);
    out.string(tag);
    const std::size_t count_at = out.position();
    out.u32(0);

    Status status = Status::ok;
    std::uint32_t done = 0;
    for (; done < count && status == Status::ok; ++done) {
        const CallbackOp op = known_or_illegal(in.u32());
        out.u32(static_cast<std::uint32_t>(op));
        if (done == 0 && op != CallbackOp::sequence) {
            status = Status::op_not_in_session;
            out.u32(static_cast<std::uint32_t>(status));
            continue;
        }
        status = answer_operation(op, in, out);
        if (!in.ok()) return false;
    }
    out.patch_u32(status_at, static_cast<std::uint32_t>(status));
    out.patch_u32(count_at, done);
    if (done > 1 || status == Status::ok) callback_reply_ = reply;
    return true;
}

/// Whether what follows is the CB_SEQUENCE that was answered last.
bool Client::is_repeated(rpc::XdrReader in) const noexcept {
    const CallbackOp op{in.u32()};
    const auto id = in.fixed(session_id_size);
    const std::uint32_t sequence = in.u32();
    const std::uint32_t slot = in.u32();
    return in.ok() && op == CallbackOp::sequence && std::ranges::equal(id, session_.id) &&
           slot == 0 && sequence == callback_sequence_ && !callback_reply_.empty();
}

Status Client::answer_operation(CallbackOp op, rpc::XdrReader& in, rpc::XdrWriter& out) {
    Status status = Status::ok;
    switch (op) {
        case CallbackOp::sequence:
            return answer_sequence(in, out);
        case CallbackOp::recall: {
            const StateId delegation = take_state_id(in);
            in.boolean();  // the file is about to be truncated: what is cached need not be kept
            const FileHandle handle(in.opaque(file_handle_size_max));
            status = in.ok() ? recall(handle, delegation) : Status::badxdr;
            break;
        }
        case CallbackOp::recall_any: {
            const std::uint32_t kept_count_max = in.u32();
            const std::uint32_t word_count = in.count(sizeof(std::uint32_t));
            const std::uint32_t kinds = word_count > 0 ? in.u32() : 0;
            for (std::uint32_t i = 1; i < word_count; ++i) in.u32();
            constexpr std::uint32_t read_delegations = 1;  // RCA4_TYPE_MASK_RDATA_DLG
            // We have nothing else that could be asked for.
            if (!in.ok() || (kinds & read_delegations) == 0) break;
            for (StateHolder* const holder : holders_) holder->recall_any(kept_count_max);
            break;
        }
        case CallbackOp::recall_slot:
            if (const std::uint32_t highest = in.u32(); in.ok()) {
                want_slots(highest, session_.epoch);
            }
            break;
        case CallbackOp::notify_lock: {
            const FileHandle handle(in.opaque(file_handle_size_max));
            in.u64();
            in.opaque(opaque_max);
            if (!in.ok()) break;
            for (StateHolder* const holder : holders_) holder->lock_may_be_free(handle);
            break;
        }
        case CallbackOp::offload: {
            const CopyOutcome outcome = take_copy_outcome(in);
            if (!in.ok()) break;
            for (StateHolder* const holder : holders_) holder->copy_ended(outcome);
            break;
        }
        case CallbackOp::illegal:
            status = Status::op_illegal;
            break;
        default:
            status = Status::notsupp;
            break;
    }
    out.u32(static_cast<std::uint32_t>(status));
    return status;
}

/// CB_SEQUENCE (20.9). The back channel has one slot. Who holds the states knows that a recall
/// may come before the answer that gave what is recalled: the lists of calls that it may refer
/// to are not needed.
Status Client::answer_sequence(rpc::XdrReader& in, rpc::XdrWriter& out) {
    const auto id = in.fixed(session_id_size);
    const std::uint32_t sequence = in.u32();
    const std::uint32_t slot = in.u32();
    const std::uint32_t highest = in.u32();
    in.boolean();  // csa_cachethis
    const std::uint32_t lists = in.count(session_id_size + 4);
    for (std::uint32_t i = 0; i < lists && in.ok(); ++i) {
        in.fixed(session_id_size);
        const std::uint32_t calls = in.count(8);
        for (std::uint32_t j = 0; j < calls && in.ok(); ++j) in.u64();
    }
    if (!in.ok()) return Status::badxdr;
    Status status = Status::ok;
    if (!std::ranges::equal(id, session_.id)) {
        status = Status::badsession;
    } else if (slot != 0) {
        status = Status::badslot;
    } else if (sequence == callback_sequence_) {
        status = Status::retry_uncached_rep;
    } else if (sequence != callback_sequence_ + 1) {
        status = Status::seq_misordered;
    }
    out.u32(static_cast<std::uint32_t>(status));
    if (status != Status::ok) return status;
    callback_sequence_ = sequence;
    out.fixed(id);
    out.u32(sequence);
    out.u32(slot);
    out.u32(highest);
    out.u32(0);  // our own highest slot
    return status;
}

/// Whose it is, nobody here knows.
Status Client::recall(const FileHandle& handle, const StateId& delegation) {
    Status status = Status::bad_stateid;
    for (StateHolder* const holder : holders_) {
        if (holder->recall(handle, delegation) == Status::ok) status = Status::ok;
    }
    return status;
}

}  // namespace dpfs::nfs4
