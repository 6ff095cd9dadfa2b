// SPDX-License-Identifier: Apache-2.0
#include "floor/wire.hpp"

#include "base/as_text.hpp"
#include "base/socket_address.hpp"
#include "net/rpc/message.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

namespace dpfs::nfs_floor {

using nfs4::Op;

namespace {

constexpr std::size_t opaque_max = 1 << 20;
constexpr rpc::Procedure compound_procedure = {
    nfs4::program, nfs4::program_version, nfs4::procedure_compound};

void begin(std::vector<std::byte>& record, std::uint32_t op_count) {
    rpc::begin_call(record, compound_procedure, {.machine = "floor", .groups = {}});
    rpc::XdrWriter out(record);
    out.u32(0);  // no tag
    out.u32(1);  // NFSv4.1
    out.u32(op_count);
}

void put_channel(rpc::XdrWriter& out, std::uint32_t size, std::uint32_t slot_count) {
    constexpr std::uint32_t cached_size = 1024;
    constexpr std::uint32_t op_count = 16;
    for (const std::uint32_t each : {0U, size, size, cached_size, op_count, slot_count, 0U}) {
        out.u32(each);
    }
}

}  // namespace

void give_up(std::string_view what) {
    std::fprintf(stderr, "nfs_floor: %.*s\n", static_cast<int>(what.size()), what.data());
    std::exit(1);
}

Compound::Compound(const nfs4::SessionId& session, std::uint32_t slot, std::uint32_t op_count) {
    begin(record_, op_count + 1);
    put(Op::sequence);
    out_.fixed(session);
    sequence_at_ = out_.position();
    out_.u32(0);
    out_.u32(slot);
    out_.u32(slot);
    out_.u32(0);
}

std::span<const std::byte> Compound::ready(std::uint32_t xid,
                                           std::uint32_t sequence,
                                           std::size_t extra) {
    rpc::finish_record(record_, extra);
    out_.patch_u32(rpc::xid_position, xid);
    out_.patch_u32(sequence_at_, sequence);
    return record_;
}

void Compound::patch_u64(std::size_t position, std::uint64_t value) noexcept {
    out_.patch_u32(position, static_cast<std::uint32_t>(value >> 32));
    out_.patch_u32(position + 4, static_cast<std::uint32_t>(value));
}

void expect(rpc::XdrReader& in, Op op) {
    const bool is_op = in.u32() == static_cast<std::uint32_t>(op);
    const std::uint32_t status = in.u32();
    if (!in.ok() || !is_op || status != 0) {
        give_up("operation " + std::to_string(static_cast<std::uint32_t>(op)) + " failed (" +
                std::to_string(status) + ")");
    }
}

std::uint32_t take_header(rpc::XdrReader& in) {
    if (rpc::take_reply_header(in) != rpc::ReplyStatus::success) give_up("a call is refused");
    const std::uint32_t status = in.u32();
    in.opaque(opaque_max);
    in.u32();
    return status;
}

void take_sequence(rpc::XdrReader& in) {
    expect(in, Op::sequence);
    in.fixed(nfs4::session_id_size + 20);
}

Session::Session(std::string_view host, std::uint16_t port)
    : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    if (::inet_pton(AF_INET, std::string(host).c_str(), &address.sin_addr) != 1 ||
        ::connect(fd_.get(), as_sockaddr(address), sizeof address) != 0) {
        give_up("the server cannot be reached");
    }
    const int one = 1;
    ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);

    std::vector<std::byte> record;
    begin(record, 1);
    rpc::XdrWriter out(record);
    out.u32(static_cast<std::uint32_t>(Op::exchange_id));
    out.u64(static_cast<std::uint64_t>(::getpid()));
    out.string("floor " + std::to_string(::getpid()));
    for (int i = 0; i < 3; ++i) out.u32(0);
    auto in = exchange(record);
    expect(in, Op::exchange_id);
    client_id_ = in.u64();
    const std::uint32_t sequence = in.u32();

    begin(record, 1);
    out.u32(static_cast<std::uint32_t>(Op::create_session));
    out.u64(client_id_);
    out.u32(sequence);
    out.u32(0);
    constexpr std::uint32_t message_size = (1 << 20) + 8192;
    put_channel(out, message_size, 256);
    put_channel(out, 4096, 1);
    out.u32(nfs4::callback_program);
    out.u32(1);
    out.u32(0);
    in = exchange(record);
    expect(in, Op::create_session);
    const auto id = in.fixed(id_.size());
    if (!in.ok()) give_up("no session");
    std::ranges::copy(id, id_.begin());
    constexpr std::size_t size_before_slots = 28;  // of sequence, flags, five other limits
    in.fixed(size_before_slots);
    slot_count_ = in.u32();

    Compound complete(id_, 0, 1);
    complete.put(Op::reclaim_complete);
    complete.writer().boolean(false);
    in = call(complete);
    expect(in, Op::reclaim_complete);
}

rpc::XdrReader Session::exchange(std::span<const std::byte> record) {
    std::vector<std::byte> whole(record.begin(), record.end());
    rpc::finish_record(whole, 0);
    if (::send(fd_.get(), whole.data(), whole.size(), 0) < 0) give_up("send");
    std::array<std::byte, rpc::record_mark_size> mark = {};
    if (::recv(fd_.get(), mark.data(), mark.size(), MSG_WAITALL) <= 0) give_up("recv");
    reply_.resize(rpc::XdrReader(mark).u32() & ~rpc::last_fragment);
    if (::recv(fd_.get(), reply_.data(), reply_.size(), MSG_WAITALL) <= 0) give_up("recv");
    rpc::XdrReader in(reply_);
    take_header(in);
    return in;
}

rpc::XdrReader Session::call(Compound& compound) {
    auto in = exchange(compound.ready(0, ++sequence_));
    take_sequence(in);
    return in;
}

std::string Session::find(std::string_view path) {
    std::vector<std::string_view> names;
    while (!path.empty()) {
        const std::size_t end = std::min(path.find('/'), path.size());
        if (end > 0) names.push_back(path.substr(0, end));
        path.remove_prefix(std::min(end + 1, path.size()));
    }
    Compound look(id_, 0, static_cast<std::uint32_t>(names.size()) + 2);
    look.put(Op::putrootfh);
    for (const auto& name : names) {
        look.put(Op::lookup);
        look.writer().string(name);
    }
    look.put(Op::getfh);
    auto in = call(look);
    expect(in, Op::putrootfh);
    for (std::size_t i = 0; i < names.size(); ++i) expect(in, Op::lookup);
    expect(in, Op::getfh);
    return std::string(as_text(in.opaque(nfs4::file_handle_size_max)));
}

std::string Session::open(std::string_view handle) {
    Compound opening(id_, 0, 2);
    opening.put_file(handle);
    opening.put(Op::open);
    auto& out = opening.writer();
    out.u32(0);
    out.u32(nfs4::share::access_read | nfs4::share::access_write |
            nfs4::share::want_no_delegation);
    out.u32(nfs4::share::deny_none);
    out.u64(client_id_);
    out.string("floor");
    out.u32(0);
    out.u32(static_cast<std::uint32_t>(nfs4::Claim::file_handle));
    auto in = call(opening);
    expect(in, Op::putfh);
    expect(in, Op::open);
    return std::string(as_text(in.fixed(16)));
}

void Session::end() {
    std::vector<std::byte> record;
    begin(record, 1);
    rpc::XdrWriter out(record);
    out.u32(static_cast<std::uint32_t>(Op::destroy_session));
    out.fixed(id_);
    exchange(record);
    begin(record, 1);
    out.u32(static_cast<std::uint32_t>(Op::destroy_clientid));
    out.u64(client_id_);
    exchange(record);
}

}  // namespace dpfs::nfs_floor
