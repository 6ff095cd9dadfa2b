// SPDX-License-Identifier: Apache-2.0
#include "net/rpc/tls_stream.hpp"

#include "base/iovec_cursor.hpp"
#include "base/or_return.hpp"
#include "net/rpc/starttls.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <sys/socket.h>

namespace dpfs::rpc {
namespace {

constexpr Duration handshake_time_max = seconds(10);
/// So much is encrypted before it is sent: the server has work while the rest is.
constexpr std::size_t send_size_max = 128 << 10;
constexpr std::uint32_t probe_xid = 0x444f'5441;  // the only call of its time

}  // namespace

Task<Result<std::unique_ptr<TlsStream>>> TlsStream::open(reactor::Reactor& reactor,
                                                         std::unique_ptr<TcpStream> tcp,
                                                         Peer peer,
                                                         reactor::CancelSource& cancel,
                                                         StreamProblem& problem) {
    const Procedure procedure = peer.procedure;
    tcp->set_deadline(reactor.now() + handshake_time_max);
    auto stream = std::make_unique<TlsStream>(reactor, std::move(tcp), std::move(peer));
    co_await or_return(co_await stream->ask(procedure, cancel, problem));
    const auto shaken = co_await stream->shake_hands(cancel);
    if (!shaken) {
        problem = stream->problem();
        if (problem.text.empty()) {
            problem.text = fmt::format("the TLS handshake came to no end ({})",
                                       errno_name(shaken.error()));
        }
        co_return fail(shaken.error());
    }
    stream->tcp_->set_deadline(Instant::never());
    co_return stream;
}

TlsStream::TlsStream(reactor::Reactor& reactor, std::unique_ptr<TcpStream> tcp, Peer peer)
    : reactor_(reactor), tcp_(std::move(tcp)), engine_(std::move(peer.context), peer.host) {}

TlsStream::~TlsStream() {
    if (is_cut_) return;
    engine_.end();
    const std::vector<std::byte>& bytes = engine_.output();
    if (bytes.empty()) return;
    // Nobody waits for it: without it, the server sees the connection's end.
    const auto sent =
        ::send(tcp_->fd(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    static_cast<void>(sent);
}

Task<Result<void>> TlsStream::ask(Procedure procedure,
                                  reactor::CancelSource& cancel,
                                  StreamProblem& problem) {
    begin_tls_probe(plain_, procedure, probe_xid);
    iovec all = {.iov_base = plain_.data(), .iov_len = plain_.size()};
    co_await or_return(co_await tcp_->send({&all, 1}, cancel));
    // Not a byte more than the answer: what follows is the handshake, or was smuggled in.
    std::array<std::byte, record_mark_size> mark = {};
    co_await or_return(co_await receive_exactly(mark, cancel));
    const std::uint32_t size = XdrReader(mark).u32();
    auto answer = TlsAnswer::malformed;
    if ((size & last_fragment) != 0 && (size & ~last_fragment) <= tls_answer_size_max) {
        plain_.resize(size & ~last_fragment);
        co_await or_return(co_await receive_exactly(plain_, cancel));
        answer = read_tls_answer(plain_, probe_xid);
    }
    if (answer == TlsAnswer::begins) co_return Result<void>();
    problem.is_refusal = true;
    problem.text = fmt::format(
        "it does not offer TLS ({}), which is required here; turn it on at the server, or off "
        "here",
        name_of(answer));
    co_return fail(answer == TlsAnswer::refused ? Errno::not_supported : Errno::bad_message);
}

Task<Result<void>> TlsStream::shake_hands(reactor::CancelSource& cancel) {
    while (true) {
        const auto done = engine_.handshake();
        // Also after a failure: the alert tells the server's log why.
        const auto flushed = co_await flush(cancel);
        if (!done) co_return fail(done.error());
        if (!flushed) co_return fail(flushed.error());
        if (*done) co_return Result<void>();
        co_await or_return(co_await receive_input(cancel));
    }
}

Task<Result<void>> TlsStream::receive_exactly(std::span<std::byte> to,
                                              reactor::CancelSource& cancel) {
    while (!to.empty()) {
        iovec piece = {.iov_base = to.data(), .iov_len = to.size()};
        to = to.subspan(co_await or_return(co_await tcp_->receive({&piece, 1}, cancel)));
    }
    co_return Result<void>();
}

Task<Result<void>> TlsStream::receive_input(reactor::CancelSource& cancel) {
    const auto room = engine_.input_room();
    iovec piece = {.iov_base = room.data(), .iov_len = room.size()};
    engine_.add_input(co_await or_return(co_await tcp_->receive({&piece, 1}, cancel)));
    co_return Result<void>();
}

Task<Result<void>> TlsStream::flush(reactor::CancelSource& cancel) {
    if (engine_.output().empty()) co_return Result<void>();
    std::swap(sending_, engine_.output());
    engine_.output().clear();
    iovec all = {.iov_base = sending_.data(), .iov_len = sending_.size()};
    is_cut_ = true;
    co_await or_return(co_await tcp_->send({&all, 1}, cancel));
    is_cut_ = false;
    co_return Result<void>();
}

Task<Result<void>> TlsStream::send(std::span<iovec> buffers, reactor::CancelSource& cancel) {
    IovecCursor rest(buffers);
    bool is_written = true;  // what is in plain_
    while (rest.left() > 0 || !is_written) {
        if (is_written) {
            // Small pieces share a record: each costs a header, a tag and a cipher's start.
            plain_.resize(std::min(rest.left(), TlsEngine::record_size_max));
            co_await or_return(rest.copy_out(plain_));
        }
        is_written = co_await or_return(engine_.write(plain_));
        if (is_written && engine_.output().size() < send_size_max) continue;
        if (is_written || !engine_.output().empty()) {
            co_await or_return(co_await flush(cancel));
        } else {
            // The receiver is in the middle of a message that changes the session.
            const reactor::Limit limit = {.cancel = &cancel};
            co_await or_return(co_await input_came_.wait(reactor_, limit));
        }
    }
    co_return co_await flush(cancel);
}

Task<Result<std::size_t>> TlsStream::receive(std::span<iovec> to,
                                             reactor::CancelSource& cancel) {
    while (true) {
        // An answer that this asks for goes with what is sent next (RFC 8446, 4.6.3).
        const auto size = engine_.read(to);
        if (!size) co_return fail(size.error());
        if (*size > 0) co_return *size;
        co_await or_return(co_await receive_input(cancel));
        input_came_.wake_all();
    }
}

}  // namespace dpfs::rpc
