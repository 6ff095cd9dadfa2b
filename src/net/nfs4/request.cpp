// SPDX-License-Identifier: Apache-2.0
#include "net/nfs4/request.hpp"

#include "base/iovec_cursor.hpp"

#include <algorithm>

namespace dpfs::nfs4 {
namespace {

constexpr std::uint32_t data_size_max = 1U << 30;  // bytes; a READ asks for less
constexpr std::size_t tag_size_max = 1024;

/// Nothing but what stands before the data of [SEQUENCE,] PUTFH, READ, all of which succeeded;
/// or of READ_PLUS, if data at `offset` are all of its answer.
bool take_until_data(rpc::XdrReader& in, std::uint64_t offset) {
    if (rpc::take_reply_header(in) != rpc::ReplyStatus::success) return false;
    if (in.u32() != 0) return false;  // the compound's status
    in.opaque(tag_size_max);
    const std::uint32_t count = in.u32();
    if (count < 2 || count > 3) return false;
    for (std::uint32_t i = 0; i < count; ++i) {
        const Op op{in.u32()};
        if (in.u32() != 0) return false;
        if (op == Op::sequence) in.fixed(session_id_size + 20);
        if (op == Op::read) {
            in.u32();  // eof
            return in.ok() && i + 1 == count;
        }
        if (op == Op::read_plus) {
            in.u32();                         // eof
            if (in.u32() != 1) return false;  // segments
            if (in.u32() != 0) return false;  // a hole
            return in.u64() == offset && in.ok() && i + 1 == count;
        }
    }
    return false;
}

}  // namespace

bool Request::Beginning::is_for(std::uint32_t minor, const rpc::AuthSys& who) const noexcept {
    return !bytes.empty() && minor == minor_version && who.uid == uid && who.gid == gid &&
           who.machine == machine && std::ranges::equal(who.groups, groups);
}

void Request::begin(std::uint32_t minor_version, const rpc::AuthSys& who, bool sessionless) {
    call.recycle();
    status_ = Status::ok;
    op_count_ = 0;
    cached_ = false;
    changing_op_ = ~std::uint32_t{0};
    has_sequence_ = !sessionless;
    if (sessionless) {
        rpc::begin_call(call.record, {program, program_version, procedure_compound}, who);
        out_.u32(0);  // no tag
        out_.u32(minor_version);
        count_at_ = out_.position();
        out_.u32(0);
        return;
    }
    if (!beginning_.is_for(minor_version, who)) write_beginning(minor_version, who);
    call.record.assign(beginning_.bytes.begin(), beginning_.bytes.end());
    count_at_ = beginning_.count_at;
    sequence_at_ = beginning_.sequence_at;
    op_count_ = 1;
}

void Request::write_beginning(std::uint32_t minor_version, const rpc::AuthSys& who) {
    begin(minor_version, who, true);
    has_sequence_ = true;
    put(Op::sequence);
    sequence_at_ = out_.position();
    out_.fixed(SessionId{});
    for (int i = 0; i < 4; ++i) out_.u32(0);
    beginning_ = {.bytes = call.record,
                  .minor_version = minor_version,
                  .uid = who.uid,
                  .gid = who.gid,
                  .groups = {who.groups.begin(), who.groups.end()},
                  .machine = std::string(who.machine),
                  .count_at = count_at_,
                  .sequence_at = sequence_at_};
}

void Request::put(Op op) {
    ++op_count_;
    out_.u32(static_cast<std::uint32_t>(op));
}

void Request::put_file(const FileHandle& handle) {
    put(Op::putfh);
    out_.opaque(handle.bytes());
}

void Request::put_name(Op op, std::string_view name) {
    put(op);
    out_.string(name);
}

void Request::put_getattr(const AttributeSet& wanted) {
    put(Op::getattr);
    wanted.put(out_);
}

void put_state_id(rpc::XdrWriter& out, const StateId& state) {
    out.u32(state.sequence);
    out.fixed(state.other);
}

void Request::put_owner(StateOwner owner) {
    out_.u64(owner.client);
    out_.opaque(owner.bytes);
}

void Request::put_open(const OpenArguments& open) {
    put(Op::open);
    out_.u32(0);  // seqid: not used since 4.1 (RFC 8881, 8.13)
    out_.u32(open.access | (open.wants_delegation ? 0 : share::want_no_delegation));
    out_.u32(share::deny_none);
    put_owner(open.owner);
    out_.boolean(open.create);
    if (open.create) {
        out_.u32(static_cast<std::uint32_t>(open.mode));
        if (open.mode == CreateMode::exclusive4_1) out_.fixed(open.verifier);
        put_attributes(out_, open.attributes);
    }
    out_.u32(static_cast<std::uint32_t>(open.claim));
    if (open.claim == Claim::null) out_.string(open.name);
    if (open.claim == Claim::previous) out_.u32(open.reclaims_delegation ? 1 : 0);
}

void Request::put_close(const StateId& state) {
    put(Op::close);
    out_.u32(0);
    put_state_id(out_, state);
}

void Request::put_setattr(const StateId& state, const NewAttributes& attributes) {
    put(Op::setattr);
    put_state_id(out_, state);
    put_attributes(out_, attributes);
}

void Request::put_create(const Make& make) {
    put(Op::create);
    out_.u32(static_cast<std::uint32_t>(make.type));
    if (make.type == FileType::link) out_.string(make.target);
    if (make.type == FileType::block || make.type == FileType::character) {
        out_.u32(make.device_major);
        out_.u32(make.device_minor);
    }
    out_.string(make.name);
    put_attributes(out_, make.attributes);
}

void Request::put_rename(std::string_view from, std::string_view to) {
    put(Op::rename);
    out_.string(from);
    out_.string(to);
}

void Request::put_readdir(std::uint64_t cookie,
                          const Verifier& verifier,
                          std::uint32_t size_max,
                          const AttributeSet& wanted) {
    put(Op::readdir);
    out_.u64(cookie);
    out_.fixed(verifier);
    out_.u32(size_max);  // dircount: a hint
    out_.u32(size_max);
    wanted.put(out_);
}

void Request::put_read(const StateId& state, std::uint64_t offset, std::span<const iovec> to) {
    put_reading(Op::read, state, offset, to);
}

void Request::put_read_plus(const StateId& state,
                            std::uint64_t offset,
                            std::span<const iovec> to) {
    put_reading(Op::read_plus, state, offset, to);
    read_offset_ = offset;
}

void Request::put_reading(Op op,
                          const StateId& state,
                          std::uint64_t offset,
                          std::span<const iovec> to) {
    put(op);
    put_state_id(out_, state);
    out_.u64(offset);
    out_.u32(static_cast<std::uint32_t>(total_size(to)));
    call.room = to;
    call.finder = this;
}

void Request::put_write(const StateId& state,
                        std::uint64_t offset,
                        Stable stable,
                        std::span<const iovec> from) {
    put(Op::write);
    put_state_id(out_, state);
    out_.u64(offset);
    out_.u32(static_cast<std::uint32_t>(stable));
    call.payload = from;
    call.payload_size = total_size(from);
    out_.u32(static_cast<std::uint32_t>(call.payload_size));
}

void Request::put_commit(std::uint64_t offset, std::uint32_t size) {
    put(Op::commit);
    out_.u64(offset);
    out_.u32(size);
}

void Request::put_lock(const LockArguments& lock) {
    put(Op::lock);
    out_.u32(static_cast<std::uint32_t>(lock.type));
    out_.boolean(lock.reclaim);
    out_.u64(lock.offset);
    out_.u64(lock.length);
    out_.boolean(lock.first);
    if (lock.first) out_.u32(0);
    put_state_id(out_, lock.state);
    out_.u32(0);
    if (lock.first) put_owner(lock.owner);
}

void Request::put_lock_test(LockType type,
                            std::uint64_t offset,
                            std::uint64_t length,
                            StateOwner owner) {
    put(Op::lockt);
    out_.u32(static_cast<std::uint32_t>(type));
    out_.u64(offset);
    out_.u64(length);
    put_owner(owner);
}

void Request::put_unlock(const StateId& state, std::uint64_t offset, std::uint64_t length) {
    put(Op::locku);
    out_.u32(static_cast<std::uint32_t>(LockType::read));  // any: it is not looked at
    out_.u32(0);
    put_state_id(out_, state);
    out_.u64(offset);
    out_.u64(length);
}

void Request::put_state(Op op, const StateId& state) {
    put(op);
    put_state_id(out_, state);
}

void Request::put_test_states(std::span<const StateId> states) {
    put(Op::test_stateid);
    out_.u32(static_cast<std::uint32_t>(states.size()));
    for (const StateId& each : states) put_state_id(out_, each);
}

void Request::put_range(Op op,
                        const StateId& state,
                        std::uint64_t offset,
                        std::uint64_t length) {
    put(op);
    put_state_id(out_, state);
    out_.u64(offset);
    out_.u64(length);
}

void Request::set_sequence(const SessionId& session,
                           std::uint32_t sequence,
                           std::uint32_t slot,
                           std::uint32_t slot_highest) noexcept {
    std::copy(session.begin(),
              session.end(),
              call.record.begin() + static_cast<std::ptrdiff_t>(sequence_at_));
    const std::size_t numbers_at = sequence_at_ + session_id_size;
    out_.patch_u32(numbers_at, sequence);
    out_.patch_u32(numbers_at + 4, slot);
    out_.patch_u32(numbers_at + 8, slot_highest);
    out_.patch_u32(numbers_at + 12, cached_ ? 1 : 0);
}

void Request::seal() noexcept {
    out_.patch_u32(count_at_, op_count_);
    call.reply.clear();
    call.taken.reset();
}

Result<rpc::ReplyStatus> Request::open_reply() noexcept {
    in_ = rpc::XdrReader(call.reply);
    status_ = Status::ok;
    result_count_ = results_left_ = 0;
    const rpc::ReplyStatus reply = rpc::take_reply_header(in_);
    if (reply == rpc::ReplyStatus::garbage_arguments) status_ = Status::badxdr;
    if (reply != rpc::ReplyStatus::success) return reply;
    status_ = Status{in_.u32()};
    in_.opaque(tag_size_max);
    result_count_ = results_left_ = in_.u32();
    if (!in_.ok() || result_count_ > op_count_) return fail(Errno::bad_message);
    // A server that leaves operations out, and says that all went well, is not believed.
    if (status_ == Status::ok && result_count_ != op_count_) return fail(Errno::bad_message);
    return reply;
}

Result<Status> Request::sequence_status() const noexcept {
    rpc::XdrReader in(call.reply);
    if (rpc::take_reply_header(in) != rpc::ReplyStatus::success) {
        return fail(Errno::bad_message);
    }
    in.u32();  // of the compound
    in.opaque(tag_size_max);
    const std::uint32_t count = in.u32();
    const Op op{in.u32()};
    const Status status{in.u32()};
    if (!in.ok() || count == 0 || op != Op::sequence) return fail(Errno::bad_message);
    return status;
}

Result<void> Request::take(Op op) noexcept {
    if (results_left_ == 0) {
        // The compound ended before: what was tried last says why.
        if (status_ == Status::ok) return fail(Errno::bad_message);
        return fail(to_errno(status_));
    }
    --results_left_;
    const Op sent{in_.u32()};
    const Status status{in_.u32()};
    if (!in_.ok() || sent != op) return fail(Errno::bad_message);
    if (status == Status::ok) {
        // All went well, and the compound failed: one of the two is not true.
        if (results_left_ == 0 && status_ != Status::ok) return fail(Errno::bad_message);
        return {};
    }
    if (results_left_ != 0 || status != status_) return fail(Errno::bad_message);
    return fail(to_errno(status));
}

Result<FileHandle> Request::take_file_handle() noexcept {
    if (const auto found = take(Op::getfh); !found) return fail(found.error());
    const auto bytes = in_.opaque(file_handle_size_max);
    if (!in_.ok() || bytes.empty()) return fail(Errno::bad_message);
    return FileHandle(bytes);
}

Result<Attributes> Request::take_attributes(const AttributeSet& wanted) noexcept {
    if (const auto found = take(Op::getattr); !found) return fail(found.error());
    const Attributes attributes = nfs4::take_attributes(in_, wanted);
    if (!in_.ok()) return fail(Errno::bad_message);
    return attributes;
}

rpc::PayloadFinder::Answer Request::find(std::span<const std::byte> beginning,
                                         rpc::PayloadPlace& place) {
    rpc::XdrReader in(beginning);
    const bool is_data = take_until_data(in, read_offset_);
    if (!is_data) return in.ok() ? Answer::none : Answer::more_needed;
    const std::uint32_t size = in.u32();
    if (!in.ok()) return Answer::more_needed;
    if (size > data_size_max) return Answer::none;
    place = {.offset = beginning.size() - in.left(), .size = size};
    return Answer::found;
}

StateId take_state_id(rpc::XdrReader& in) noexcept {
    StateId state;
    state.sequence = in.u32();
    const auto other = in.fixed(state.other.size());
    if (in.ok()) std::copy(other.begin(), other.end(), state.other.begin());
    return state;
}

Verifier take_verifier(rpc::XdrReader& in) noexcept {
    Verifier verifier = {};
    const auto bytes = in.fixed(verifier.size());
    if (in.ok()) std::copy(bytes.begin(), bytes.end(), verifier.begin());
    return verifier;
}

namespace {

void skip_access_entry(rpc::XdrReader& in) noexcept {
    in.fixed(12);
    in.string(opaque_max);
}

}  // namespace

Opened take_opened(rpc::XdrReader& in) noexcept {
    Opened opened;
    opened.state = take_state_id(in);
    in.fixed(20);  // change_info4 of the directory
    constexpr std::uint32_t preserve_unlinked = 8;
    opened.preserves_unlinked = (in.u32() & preserve_unlinked) != 0;
    opened.attributes_set = AttributeSet::take(in);
    switch (in.u32()) {  // open_delegation4
        case 0:
            break;
        case 1:  // READ
            opened.delegated = true;
            opened.delegation = take_state_id(in);
            opened.is_wanted_back = in.boolean();
            skip_access_entry(in);
            break;
        case 2:  // WRITE
            opened.delegated = opened.is_write_delegation = true;
            opened.delegation = take_state_id(in);
            opened.is_wanted_back = in.boolean();
            in.u32();
            in.u64();  // a size, or two numbers of blocks
            skip_access_entry(in);
            break;
        case 3: {  // NONE_EXT: why not
            const std::uint32_t why = in.u32();
            constexpr std::uint32_t contention = 1;
            constexpr std::uint32_t resource = 2;
            if (why == contention || why == resource) in.boolean();
            break;
        }
        default:
            in.fail();
    }
    return opened;
}

}  // namespace dpfs::nfs4
