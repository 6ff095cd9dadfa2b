// SPDX-License-Identifier: Apache-2.0
#include "hostile_nfs_server.hpp"

#include "net/nfs4/request.hpp"
#include "net/rpc/message.hpp"

#include <array>
#include <fcntl.h>
#include <sys/socket.h>

namespace dpfs::fuzz {
namespace {

using nfs4::CallbackOp;
using nfs4::Op;

constexpr std::size_t call_size_max = 1 << 20;
constexpr std::size_t sequence_size = nfs4::session_id_size + 16;
constexpr nfs4::SessionId session_id = {std::byte{'s'}};

void put_channel(rpc::XdrWriter& out) {
    for (const std::uint32_t number : {0U, 1U << 17, 1U << 17, 1U << 16, 16U, 4U, 0U}) {
        out.u32(number);
    }
}

void put_result(rpc::XdrWriter& out, Op op) {
    out.u32(static_cast<std::uint32_t>(op));
    out.u32(0);
}

/// A compound's reply that went well, up to its results.
std::vector<std::byte> begin_compound(std::uint32_t xid, std::uint32_t count) {
    std::vector<std::byte> record;
    rpc::begin_reply(record, xid, rpc::ReplyStatus::success);
    rpc::XdrWriter out(record);
    out.u32(0);  // status
    out.u32(0);  // no tag
    out.u32(count);
    return record;
}

}  // namespace

HostileNfsServer::HostileNfsServer(reactor::SimWorld& world,
                                   reactor::Reactor& reactor,
                                   ScriptReader& script)
    : world_(world), reactor_(reactor), script_(script) {
    spoiled_greeting_ = script_.below(16);
    spoiled_at_ = script_.number<std::uint16_t>();
    spoiled_by_ = script_.number();
    world_.set_network(this);
}

HostileNfsServer::~HostileNfsServer() {
    world_.set_network(nullptr);
}

std::int32_t HostileNfsServer::connect(int fd, const sockaddr& address) noexcept {
    static_cast<void>(address);
    std::array<int, 2> ends = {};
    constexpr int type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
    if (::socketpair(AF_UNIX, type, 0, ends.data()) != 0) return -errno;
    const UniqueFd theirs(ends[0]);
    const auto link = std::make_shared<Link>();
    link->fd = UniqueFd(ends[1]);
    if (::dup3(theirs.get(), fd, O_CLOEXEC) < 0) return -errno;
    links_.push_back(link);
    work_.spawn(serve(link));
    return 0;
}

Task<void> HostileNfsServer::stop() {
    for (const LinkPointer& link : links_) link->io.cancel();
    co_await work_.close();
}

Task<void> HostileNfsServer::serve(LinkPointer link) {
    co_await reactor::Reactor::switch_to(reactor_);
    Bytes record;
    for (bool goes_on = true; goes_on;) {
        goes_on = co_await receive_record(link, record);
        if (goes_on) goes_on = answer(*link, record);
    }
    link->fd.reset();
}

Task<bool> HostileNfsServer::receive(LinkPointer link, std::span<std::byte> to) {
    while (!to.empty()) {
        iovec piece = {.iov_base = to.data(), .iov_len = to.size()};
        msghdr message = {};
        message.msg_iov = &piece;
        message.msg_iovlen = 1;
        const auto received =
            co_await reactor_.recvmsg(link->fd.get(), message, 0, {.cancel = &link->io});
        if (!received || *received == 0) co_return false;
        to = to.subspan(*received);
    }
    co_return true;
}

Task<bool> HostileNfsServer::receive_record(LinkPointer link, Bytes& record) {
    std::array<std::byte, rpc::record_mark_size> mark = {};
    const bool is_marked = co_await receive(link, mark);
    if (!is_marked) co_return false;
    const std::uint32_t size = rpc::XdrReader(mark).u32() & ~rpc::last_fragment;
    if (size > call_size_max) co_return false;
    record.resize(size);
    const bool is_whole = co_await receive(link, record);
    co_return is_whole;
}

bool HostileNfsServer::send(Link& link, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const auto sent =
            ::send(link.fd.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        // What does not fit into a socket that nobody reads is lost with it.
        if (sent <= 0) return false;
        bytes = bytes.subspan(static_cast<std::size_t>(sent));
    }
    return true;
}

bool HostileNfsServer::answer(Link& link, std::span<const std::byte> call) {
    rpc::XdrReader in(call);
    const auto header = rpc::take_call_header(in);
    if (!header) return true;  // the answer to a call of ours
    in.string(1024);           // tag
    in.u32();                  // minor version
    in.u32();                  // count
    const Op first{in.u32()};
    if (!in.ok()) return false;
    Bytes greeting = answer_greeting(header->xid, first, in);
    if (!greeting.empty()) {
        spoil(greeting);
        return send(link, greeting);
    }
    const auto sequence = in.fixed(sequence_size);
    const Op second{in.u32()};
    const Op third{in.u32()};
    const bool is_limits = second == Op::putrootfh && third == Op::getattr;
    if (second != Op::reclaim_complete && !is_limits) {
        return answer_by_script(link, header->xid, sequence);
    }
    greeting = begin_compound(header->xid, is_limits ? 3 : 2);
    rpc::XdrWriter out(greeting);
    put_sequence(out, sequence);
    put_result(out, second);
    if (is_limits) {
        put_result(out, Op::getattr);
        for (const std::uint32_t word : {1U, 1U << 10, 4U, 90U}) out.u32(word);
    }
    rpc::finish_record(greeting, 0);
    spoil(greeting);
    return send(link, greeting);
}

HostileNfsServer::Bytes HostileNfsServer::answer_greeting(std::uint32_t xid,
                                                          Op first,
                                                          rpc::XdrReader& call) {
    Bytes record = begin_compound(xid, 1);
    rpc::XdrWriter out(record);
    put_result(out, first);
    if (first == Op::exchange_id) {
        out.u64(1);  // client id
        for (const std::uint32_t word : {1U, 0U, 0U}) out.u32(word);
        out.u64(0);  // server owner
        out.string("o");
        out.string("s");
        out.u32(0);  // no implementation id
    } else if (first == Op::create_session) {
        out.fixed(session_id);
        out.u32(1);
        out.u32(nfs4::session_flag::back_channel);
        put_channel(out);
        put_channel(out);
        callback_count_ = 0;
    } else if (first == Op::bind_conn_to_session) {
        out.fixed(call.fixed(nfs4::session_id_size));
        out.u32(3);
        out.boolean(false);
    } else if (first != Op::destroy_session && first != Op::destroy_clientid) {
        return {};
    }
    rpc::finish_record(record, 0);
    return record;
}

void HostileNfsServer::spoil(Bytes& record) {
    if (greeting_count_++ != spoiled_greeting_) return;
    const std::size_t at = rpc::record_mark_size + 4;  // it still is the answer to this call
    record[at + spoiled_at_ % (record.size() - at)] ^= std::byte{spoiled_by_};
}

void HostileNfsServer::put_sequence(rpc::XdrWriter& out, std::span<const std::byte> sequence) {
    put_result(out, Op::sequence);
    rpc::XdrReader in(sequence);
    out.fixed(in.fixed(nfs4::session_id_size));
    out.u32(in.u32());                                                 // sequence
    out.u32(in.u32());                                                 // slot
    out.u32(3);                                                        // highest
    out.u32(script_.one_in(8) ? script_.number() : 3);                 // target
    out.u32(script_.one_in(8) ? script_.number<std::uint16_t>() : 0);  // flags
}

/// Results of what was asked for, each with any content; the last one may have failed.
void HostileNfsServer::put_results(rpc::XdrWriter& out, std::span<const std::byte> sequence) {
    put_sequence(out, sequence);
    put_result(out, Op::putfh);
    for (const Op op : expected_) {
        put_result(out, op);
        out.fixed(some_bytes());
    }
}

bool HostileNfsServer::answer_by_script(Link& link,
                                        std::uint32_t xid,
                                        std::span<const std::byte> sequence) {
    while (script_.one_in(4)) {
        if (!send(link, callback())) return false;
    }
    Bytes record;
    switch (script_.below(8)) {
        case 0: {  // a failure: of the compound, of SEQUENCE or of what comes behind it
            record = begin_compound(xid, 1 + script_.below(2));
            rpc::XdrWriter out(record);
            const std::uint32_t status = 10'000 + script_.below(100);
            out.patch_u32(record.size() - 12, status);
            if (script_.one_in(2)) {
                put_result(out, Op::sequence);
                out.patch_u32(record.size() - 4, status);
            } else {
                put_sequence(out, sequence);
                put_result(out, Op::putfh);
                out.patch_u32(record.size() - 4, status);
            }
            break;
        }
        case 1:
            rpc::begin_reply(record, xid, static_cast<rpc::ReplyStatus>(script_.below(6)));
            rpc::XdrWriter(record).fixed(some_bytes());
            break;
        case 2: {
            const Bytes body = some_bytes();
            record.resize(rpc::record_mark_size);
            record.insert(record.end(), body.begin(), body.end());
            break;
        }
        case 3:  // no record at all, or half of one
            return send(link, some_bytes());
        case 4:
            return !script_.one_in(2);
        default: {
            record = begin_compound(xid, static_cast<std::uint32_t>(2 + expected_.size()));
            rpc::XdrWriter out(record);
            put_results(out, sequence);
        }
    }
    rpc::finish_record(record, 0);
    return send(link, record);
}

/// A call of the server's: after a good CB_SEQUENCE anything, or nothing that makes sense.
HostileNfsServer::Bytes HostileNfsServer::callback() {
    Bytes record;
    rpc::begin_call(record,
                    {.program = nfs4::callback_program,
                     .version = 1,
                     .number = script_.one_in(8) ? 0U : nfs4::procedure_compound});
    rpc::XdrWriter out(record);
    if (!script_.one_in(8)) {
        out.u32(0);  // no tag
        out.u32(2);  // minor version
        out.u32(0);
        out.u32(1 + script_.below(4));
        out.u32(static_cast<std::uint32_t>(CallbackOp::sequence));
        out.fixed(session_id);
        if (!script_.one_in(4)) ++callback_count_;  // else it is the last one again
        out.u32(callback_count_);
        for (const std::uint32_t word : {0U, 0U, 0U}) out.u32(word);
        out.u32(0);  // no calls that it refers to
        constexpr std::array known = {CallbackOp::recall,
                                      CallbackOp::recall_slot,
                                      CallbackOp::notify_lock,
                                      CallbackOp::offload};
        out.u32(static_cast<std::uint32_t>(known[script_.below(known.size())]));
    }
    out.fixed(some_bytes());
    rpc::finish_record(record, 0);
    return record;
}

/// XDR that libFuzzer can learn: whole words, small ones by a single byte.
HostileNfsServer::Bytes HostileNfsServer::some_bytes() {
    Bytes bytes;
    rpc::XdrWriter out(bytes);
    const std::uint32_t count = script_.below(64);
    for (std::uint32_t i = 0; i < count && !script_.at_end(); ++i) {
        const std::uint8_t word = script_.number();
        if (word < 0xf0) {
            out.u32(word);
        } else if (word < 0xf8) {
            out.u32(script_.number<std::uint32_t>());
        } else {  // data
            out.fixed(script_.bytes(std::size_t{4} << (word - 0xf8)));
        }
    }
    return bytes;
}

}  // namespace dpfs::fuzz
