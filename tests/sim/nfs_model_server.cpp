// SPDX-License-Identifier: Apache-2.0
#include "nfs_model_server.hpp"

#include "base/endian.hpp"
#include "net/rpc/message.hpp"
#include "net/rpc/wait_list.hpp"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

namespace dpfs::sim {
namespace {

constexpr std::uint64_t endless = ~std::uint64_t{0};
constexpr std::size_t record_size_max = 4 << 20;

}  // namespace

/// One connection of a client.
struct ModelServer::Link {
    std::uint64_t id = 0;
    UniqueFd fd = {};
    bool open = true;
    std::uint64_t receive_left = endless;  // bytes until it breaks
    std::uint64_t send_left = endless;
    std::deque<Bytes> out = {};
    rpc::WaitList send_wake = {};
    reactor::CancelSource io = {};
};

ModelServer::ModelServer(reactor::SimWorld& world,
                         reactor::Reactor& reactor,
                         NfsHistory& history,
                         ModelState::Times times,
                         Logger log)
    : world_(world),
      reactor_(reactor),
      random_(world.random()),
      core_{.files = {},
            .history = history,
            .state = ModelState(history, core_.files, times),
            .random = world.random(),
            .behaviour = {},
            .lies = {},
            .limits = {.lease_time = static_cast<std::uint32_t>(times.lease.seconds())},
            .log = std::move(log)} {
    world_.set_network(this);
}

ModelServer::~ModelServer() {
    world_.set_network(nullptr);
}

std::int32_t ModelServer::connect(int fd, const sockaddr& address) noexcept {
    static_cast<void>(address);  // there is one server
    if (!reachable_ || !running_) return -ECONNREFUSED;
    std::array<int, 2> ends = {};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) !=
        0) {
        return -errno;
    }
    const UniqueFd theirs(ends[0]);
    UniqueFd ours(ends[1]);
    if (::dup3(theirs.get(), fd, O_CLOEXEC) < 0) return -errno;
    const auto link = std::make_shared<Link>();
    link->id = ++link_count_;
    link->fd = std::move(ours);
    if (random_.chance(wire_.cut)) {
        auto& left = random_.chance(500) ? link->receive_left : link->send_left;
        left = random_.below(wire_.cut_size_max);
    }
    links_[link->id] = link;
    work_.spawn(serve(link));
    return 0;
}

Task<void> ModelServer::stop() {
    ending_.cancel();
    running_ = false;
    cut_all();
    co_await work_.close();
}

void ModelServer::close(Link& link) {
    if (!link.open) return;
    link.open = false;
    ++cut_count_;
    ::shutdown(link.fd.get(), SHUT_RDWR);
    link.io.cancel();
    link.send_wake.wake_all();
    links_.erase(link.id);
    for (auto& [id, session] : core_.state.sessions()) {
        session.connections.erase(link.id);
        if (session.back_connection == link.id) session.back_connection = 0;
    }
}

void ModelServer::cut_all() {
    const auto links = links_;
    for (const auto& [id, link] : links) close(*link);
}

void ModelServer::set_reachable(bool reachable) {
    reachable_ = reachable;
    if (!reachable) cut_all();
}

void ModelServer::crash() {
    ++life_;
    running_ = false;
    cut_all();
    callbacks_.clear();
    core_.files.crash(random_);
    if (core_.lies.loses_names) core_.files.root().entries.clear();
    core_.state.restart(now());
}

void ModelServer::start_again() {
    running_ = true;
    core_.state.begin_grace(now());
}

void ModelServer::lose_sessions() {
    std::vector<nfs4::SessionId> all;
    for (const auto& [id, session] : core_.state.sessions()) all.push_back(id);
    for (const nfs4::SessionId& id : all) core_.state.lose_session(id, now());
}

void ModelServer::forget_a_client() {
    const auto& clients = core_.state.clients();
    if (clients.empty()) return;
    const auto chosen =
        std::next(clients.begin(), static_cast<std::ptrdiff_t>(random_.below(clients.size())));
    core_.state.forget_client(chosen->first, now());
}

Task<void> ModelServer::pause() {
    const Duration longest = random_.chance(wire_.late) ? wire_.late_max : wire_.time_max;
    const auto time = random_.below(static_cast<std::uint64_t>(longest.ns) + 1);
    const auto slept =
        co_await reactor_.sleep(nanoseconds(static_cast<std::int64_t>(time)), &ending_);
    static_cast<void>(slept);
}

Task<void> ModelServer::serve(LinkPointer link) {
    co_await reactor::Reactor::switch_to(reactor_);
    Gate sending;
    sending.spawn(send_loop(link));
    Bytes record;
    for (;;) {
        const bool received = co_await receive_record(link, record);
        if (!received) break;
        work_.spawn(handle(link, record));
    }
    close(*link);
    co_await sending.close();
    link->fd.reset();
}

Task<bool> ModelServer::receive(LinkPointer link, std::span<std::byte> to) {
    while (!to.empty()) {
        if (!link->open || link->receive_left == 0) co_return false;
        iovec piece = {.iov_base = to.data(),
                       .iov_len = std::min<std::size_t>(to.size(), link->receive_left)};
        msghdr message = {};
        message.msg_iov = &piece;
        message.msg_iovlen = 1;
        const auto received =
            co_await reactor_.recvmsg(link->fd.get(), message, 0, {.cancel = &link->io});
        if (!received || *received == 0) co_return false;
        if (link->receive_left != endless) link->receive_left -= *received;
        to = to.subspan(*received);
    }
    co_return true;
}

Task<bool> ModelServer::receive_record(LinkPointer link, Bytes& record) {
    record.clear();
    for (bool last = false; !last;) {
        be<std::uint32_t> wire = 0;
        const bool marked = co_await receive(link, std::as_writable_bytes(std::span(&wire, 1)));
        if (!marked) co_return false;
        const std::uint32_t mark = wire;
        last = (mark & rpc::last_fragment) != 0;
        const std::size_t before = record.size();
        const std::size_t size = mark & ~rpc::last_fragment;
        if (size > record_size_max - before) co_return false;
        record.resize(before + size);
        const bool received = co_await receive(link, std::span(record).subspan(before));
        if (!received) co_return false;
    }
    co_return true;
}

Task<void> ModelServer::handle(LinkPointer link, Bytes record) {
    const std::uint64_t life = life_;
    co_await pause();
    if (life != life_ || !running_) co_return;
    rpc::XdrReader in(record);
    const auto header = rpc::take_call_header(in);
    if (!header) {
        take_callback_answer(record);
        co_return;
    }
    Bytes reply;
    std::size_t data_size = 0;
    rpc::begin_reply(reply, header->xid, rpc::ReplyStatus::success);
    if (header->procedure.number != 0) {
        // A connection that has gone does not undo what it brought.
        ModelCompound compound(core_, link->id, std::span(record).last(in.left()), now());
        if (!compound.begin()) {
            if (random_.chance(wire_.slow)) co_await pause();
            if (life != life_ || !running_) co_return;
            compound.finish(now());
        }
        reply.insert(reply.end(), compound.answer().begin(), compound.answer().end());
        data_size = compound.data_size();
    }
    rpc::finish_record(reply, 0);
    if (random_.chance(wire_.silent)) co_return;
    co_await pause();
    if (life != life_) co_return;
    spoil(reply, data_size);
    if (random_.chance(wire_.duplicated)) send(*link, reply);
    send(*link, std::move(reply));
}

/// What a server that is out of its mind does to an answer.
void ModelServer::spoil(Bytes& record, std::size_t data_size) {
    const std::size_t begin = rpc::record_mark_size;
    if (random_.chance(wire_.corrupt)) {
        record[begin + random_.below(record.size() - begin - data_size)] ^=
            std::byte(1 + random_.below(255));
    }
    if (random_.chance(wire_.truncated)) {
        record.resize(begin + random_.below(record.size() - begin));
        rpc::finish_record(record, 0);
    }
    if (random_.chance(wire_.oversized))
        rpc::finish_record(record, random_.next() & 0x7fff'ffff);
}

void ModelServer::send(Link& link, Bytes record) {
    if (!link.open) return;
    link.out.push_back(std::move(record));
    link.send_wake.wake_one();
}

Task<void> ModelServer::send_loop(LinkPointer link) {
    while (link->open) {
        if (link->out.empty()) {
            const auto woken = co_await link->send_wake.wait(reactor_);
            static_cast<void>(woken);
            continue;
        }
        Bytes record = std::move(link->out.front());
        link->out.pop_front();
        std::span<std::byte> rest = record;
        while (!rest.empty() && link->open) {
            std::size_t size = std::min<std::size_t>(rest.size(), link->send_left);
            if (size == 0) {
                close(*link);
                co_return;
            }
            if (random_.chance(wire_.pieces)) {
                size = 1 + random_.below(size);
                co_await pause();
            }
            iovec piece = {.iov_base = rest.data(), .iov_len = size};
            msghdr message = {};
            message.msg_iov = &piece;
            message.msg_iovlen = 1;
            const auto sent =
                co_await reactor_.sendmsg(link->fd.get(), message, 0, {.cancel = &link->io});
            if (!sent) {
                close(*link);
                co_return;
            }
            if (link->send_left != endless) link->send_left -= *sent;
            rest = rest.subspan(*sent);
        }
    }
}

void ModelServer::recall_slots(std::uint32_t highest) {
    for (auto& [id, session] : core_.state.sessions()) {
        const auto link = links_.find(session.back_connection);
        if (link == links_.end()) continue;
        const bool is_busy = std::ranges::any_of(
            callbacks_, [&id](const auto& each) { return each.second == id; });
        if (is_busy) continue;
        Bytes record;
        rpc::begin_call(record, {nfs4::callback_program, 1, nfs4::procedure_compound});
        rpc::XdrWriter out(record);
        const std::uint32_t xid = ++callback_count_;
        out.patch_u32(rpc::xid_position, xid);
        out.u32(0);  // no tag
        out.u32(1);  // minor version
        out.u32(0);
        out.u32(2);
        out.u32(static_cast<std::uint32_t>(nfs4::CallbackOp::sequence));
        out.fixed(id);
        out.u32(session.callback_sequence + 1);
        for (int i = 0; i < 4; ++i) out.u32(0);  // slot, highest, not cached, no calls referred
        out.u32(static_cast<std::uint32_t>(nfs4::CallbackOp::recall_slot));
        out.u32(highest);
        rpc::finish_record(record, 0);
        callbacks_[xid] = id;
        const auto last = static_cast<std::uint32_t>(session.slots.size()) - 1;
        session.target = std::min(highest, last);
        session.target_since = now();
        session.target_told = 0;
        send(*link->second, std::move(record));
    }
}

void ModelServer::take_callback_answer(std::span<const std::byte> record) {
    rpc::XdrReader in(record);
    rpc::XdrReader ahead = in;
    const auto found = callbacks_.find(ahead.u32());
    if (found == callbacks_.end()) return;
    const nfs4::SessionId id = found->second;
    callbacks_.erase(found);
    if (rpc::take_reply_header(in) != rpc::ReplyStatus::success) return;
    if (ModelSession* const session = core_.state.session(id)) ++session->callback_sequence;
}

}  // namespace dpfs::sim
