// SPDX-License-Identifier: Apache-2.0
#include "fake_nfs/compound.hpp"

#include "net/rpc/message.hpp"

#include <algorithm>
#include <cstring>

namespace dpfs::fake_nfs {

using nfs4::Op;
using nfs4::Status;

namespace {

constexpr std::size_t opaque_max = 1 << 20;
constexpr std::string_view server_name = "fake";

/// Bytes of the pieces from the one at `first` on.
std::size_t pieces_size(const Output& out, std::size_t first) {
    std::size_t size = 0;
    for (const auto& piece : std::span(out.pieces).subspan(first)) size += piece.part.size();
    return size;
}

void skip_auth_sys(rpc::XdrReader& in) {
    in.u32();  // stamp
    in.opaque(opaque_max);
    in.u32();
    in.u32();
    const std::uint32_t group_count = in.count(4);
    for (std::uint32_t i = 0; i < group_count; ++i) in.u32();
}

}  // namespace

bool Compound::answer(std::span<const std::byte> record, Output& out) {
    in_ = rpc::XdrReader(record);
    const auto call = rpc::take_call_header(in_);
    if (!call) return false;
    output_ = &out;
    out_ = rpc::XdrWriter(out.bytes);
    const std::size_t begin = out.bytes.size();
    const std::size_t first_piece = out.pieces.size();
    out_.u32(0);  // the mark, below
    out_.u32(call->xid);
    out_.u32(static_cast<std::uint32_t>(rpc::Direction::reply));
    for (int i = 0; i < 4; ++i) out_.u32(0);  // accepted, AUTH_NONE, success
    if (call->procedure.number == nfs4::procedure_compound) {
        const auto tag = in_.opaque(opaque_max);
        in_.u32();  // the minor version
        const std::uint32_t count = in_.u32();
        const std::size_t status_at = out_.position();
        out_.u32(0);
        out_.opaque(tag);
        const std::size_t count_at = out_.position();
        out_.u32(0);
        current_ = saved_ = nullptr;
        auto status = Status::ok;
        std::uint32_t done = 0;
        for (; done < count && status == Status::ok; ++done) {
            const Op op{in_.u32()};
            out_.u32(static_cast<std::uint32_t>(op));
            const std::size_t op_status_at = out_.position();
            out_.u32(0);
            status = run(op);
            if (!in_.ok()) return false;
            if (status != Status::ok) {
                out_.patch_u32(op_status_at, static_cast<std::uint32_t>(status));
            }
        }
        out_.patch_u32(status_at, static_cast<std::uint32_t>(status));
        out_.patch_u32(count_at, done);
    }
    const std::size_t size = out_.position() - begin - rpc::record_mark_size;
    const std::size_t all = size + pieces_size(out, first_piece);
    out_.patch_u32(begin, rpc::last_fragment | static_cast<std::uint32_t>(all));
    return true;
}

Status Compound::run(Op op) {
    // NOLINTBEGIN(clang-diagnostic-switch-enum): what is not here is not supported
    switch (static_cast<std::uint32_t>(op)) {
        case std::uint32_t(Op::exchange_id):
            return exchange_id();
        case std::uint32_t(Op::create_session):
            return create_session();
        case std::uint32_t(Op::bind_conn_to_session):
            return bind_connection();
        case std::uint32_t(Op::destroy_session):
            in_.fixed(nfs4::session_id_size);
            return Status::ok;
        case std::uint32_t(Op::destroy_clientid):
            in_.u64();
            return Status::ok;
        case std::uint32_t(Op::reclaim_complete):
            in_.boolean();
            return Status::ok;
        case std::uint32_t(Op::sequence):
            return sequence();
        case std::uint32_t(Op::putrootfh):
            current_ = &tree_.root();
            return Status::ok;
        case std::uint32_t(Op::putfh):
            return put_file();
        case std::uint32_t(Op::savefh):
            saved_ = current_;
            return Status::ok;
        case std::uint32_t(Op::restorefh):
            current_ = saved_;
            return Status::ok;
        default:
            break;
    }
    if (current_ == nullptr) return Status::nofilehandle;
    switch (static_cast<std::uint32_t>(op)) {
        case 3:
            return access();
        case std::uint32_t(Op::getfh):
            return get_file_handle();
        case std::uint32_t(Op::lookup):
            return lookup();
        case std::uint32_t(Op::lookupp):
            return lookup_parent();
        case std::uint32_t(Op::getattr):
            return getattr();
        case std::uint32_t(Op::setattr):
            return setattr();
        case std::uint32_t(Op::create):
            return make_directory();
        case std::uint32_t(Op::remove):
            return remove();
        case std::uint32_t(Op::rename):
            return rename();
        case std::uint32_t(Op::readdir):
            return readdir();
        case std::uint32_t(Op::open):
            return open();
        case std::uint32_t(Op::close):
            return close();
        case std::uint32_t(Op::read):
            return read();
        case std::uint32_t(Op::write):
            return write();
        case std::uint32_t(Op::commit):
            return commit();
        default:
            return Status::notsupp;
    }
    // NOLINTEND(clang-diagnostic-switch-enum)
}

// --- sessions

Status Compound::exchange_id() {
    in_.fixed(nfs4::verifier_size);
    in_.opaque(opaque_max);
    in_.u32();  // flags
    in_.u32();  // no state protection
    const std::uint32_t implementation_count = in_.u32();
    if (implementation_count != 0) return Status::inval;
    constexpr std::uint32_t no_pnfs = 0x10000;
    out_.u64(1);  // one client is all there is
    out_.u32(1);
    out_.u32(no_pnfs | (client_count_ > 0 ? nfs4::exchange::confirmed : 0));
    out_.u32(0);
    out_.u64(0);
    out_.string(server_name);
    out_.string(server_name);
    out_.u32(0);
    return Status::ok;
}

Status Compound::create_session() {
    in_.u64();
    const std::uint32_t sequence = in_.u32();
    const std::uint32_t flags = in_.u32();
    struct Channel {
        std::array<std::uint32_t, 6> numbers;
    };
    const auto take_channel = [this] {
        Channel channel = {};
        for (auto& each : channel.numbers) each = in_.u32();
        const std::uint32_t rdma_count = in_.count(4);
        for (std::uint32_t i = 0; i < rdma_count; ++i) in_.u32();
        return channel;
    };
    Channel fore = take_channel();
    const Channel back = take_channel();
    in_.u32();  // the callback program; its credentials end the compound's argument
    const std::uint32_t security_count = in_.count(4);
    for (std::uint32_t i = 0; i < security_count; ++i) {
        const std::uint32_t flavor = in_.u32();
        if (flavor > 1) return Status::inval;
        if (flavor == 1) skip_auth_sys(in_);
    }
    fore.numbers[1] = std::min(fore.numbers[1], limits_.message_size_max);
    fore.numbers[2] = std::min(fore.numbers[2], limits_.message_size_max);
    fore.numbers[5] = std::min(fore.numbers[5], limits_.slot_count);
    nfs4::SessionId id = {};
    ++client_count_;
    std::memcpy(id.data(), &client_count_, sizeof client_count_);
    out_.fixed(id);
    out_.u32(sequence);
    out_.u32(flags & nfs4::session_flag::back_channel);
    for (const Channel& channel : {fore, back}) {
        for (const std::uint32_t each : channel.numbers) out_.u32(each);
        out_.u32(0);
    }
    return Status::ok;
}

Status Compound::bind_connection() {
    const auto id = in_.fixed(nfs4::session_id_size);
    in_.u32();
    in_.boolean();
    constexpr std::uint32_t fore_channel = 1;
    out_.fixed(id);
    out_.u32(fore_channel);
    out_.boolean(false);
    return Status::ok;
}

Status Compound::sequence() {
    const auto id = in_.fixed(nfs4::session_id_size);
    const std::uint32_t sequence = in_.u32();
    const std::uint32_t slot = in_.u32();
    in_.u32();  // the highest in use
    in_.u32();  // whether to keep the reply
    if (!in_.ok()) return Status::badxdr;
    out_.fixed(id);
    out_.u32(sequence);
    out_.u32(slot);
    out_.u32(limits_.slot_count - 1);
    out_.u32(limits_.slot_count - 1);
    out_.u32(0);
    return Status::ok;
}

// --- open files and their data

void Compound::put_state_id(std::uint64_t number) {
    out_.u32(1);
    out_.u64(number);
    out_.u32(0);
}

void Compound::put_change(const Node& directory) {
    out_.boolean(true);
    out_.u64(directory.change - 1);
    out_.u64(directory.change);
}

Status Compound::open() {
    in_.u32();  // seqid
    in_.u32();  // access
    in_.u32();  // deny
    in_.u64();
    in_.opaque(opaque_max);  // the owner
    if (const Status status = open_claim(); status != Status::ok) return status;
    put_state_id(++state_count_);
    put_change(*current_);
    out_.u32(0);  // flags
    out_.u32(0);  // no attribute is named as set
    out_.u32(0);  // no delegation
    return Status::ok;
}

Status Compound::open_claim() {
    const bool creates = in_.boolean();
    auto mode = nfs4::CreateMode::unchecked;
    NewAttributes attributes;
    if (creates) {
        mode = nfs4::CreateMode{in_.u32()};
        if (mode == nfs4::CreateMode::exclusive4_1) in_.fixed(nfs4::verifier_size);
        attributes = take_attributes();
    }
    const nfs4::Claim claim{in_.u32()};
    if (claim == nfs4::Claim::file_handle) return Status::ok;
    if (claim != nfs4::Claim::null) return Status::notsupp;
    const std::string_view name = in_.string(nfs4::opaque_max);
    Node* const found = tree_.find(*current_, name);
    if (found != nullptr) {
        if (creates && mode != nfs4::CreateMode::unchecked) return Status::exist;
        current_ = found;
        return Status::ok;
    }
    if (!creates) return Status::noent;
    current_ = tree_.make(*current_, name, nfs4::FileType::regular);
    apply(attributes, *current_);
    return Status::ok;
}

Status Compound::close() {
    in_.u32();
    const auto state = in_.fixed(16);
    out_.fixed(state);
    return Status::ok;
}

Status Compound::read() {
    in_.fixed(16);  // the state
    const std::uint64_t offset = in_.u64();
    const std::uint32_t wanted = in_.u32();
    const Data& data = *current_->data;
    const std::size_t begin = std::min<std::size_t>(offset, data.size());
    const std::size_t size =
        std::min<std::size_t>({data.size() - begin, wanted, limits_.data_size_max});
    out_.boolean(begin + size == data.size());
    const auto part = std::span(data).subspan(begin, size);
    constexpr std::size_t copied_size_max = 8 << 10;
    if (size <= copied_size_max) {
        out_.opaque(part);
        return Status::ok;
    }
    out_.u32(static_cast<std::uint32_t>(size));
    output_->pieces.push_back(
        {.position = out_.position(), .data = current_->data, .part = part});
    output_->bytes.resize(output_->bytes.size() + rpc::padding_of(size));
    return Status::ok;
}

Status Compound::write() {
    in_.fixed(16);  // the state
    const std::uint64_t offset = in_.u64();
    in_.u32();  // how stable
    const auto from = in_.opaque(limits_.message_size_max);
    if (!in_.ok()) return Status::badxdr;
    if (offset + from.size() > current_->data->size()) {
        tree_.resize(*current_, offset + from.size());
    }
    std::ranges::copy(from, current_->data->begin() + static_cast<std::ptrdiff_t>(offset));
    ++current_->change;
    out_.u32(static_cast<std::uint32_t>(from.size()));
    out_.u32(static_cast<std::uint32_t>(nfs4::Stable::file));
    out_.u64(1);
    return Status::ok;
}

Status Compound::commit() {
    in_.u64();
    in_.u32();
    out_.u64(1);
    return Status::ok;
}

}  // namespace dpfs::fake_nfs
