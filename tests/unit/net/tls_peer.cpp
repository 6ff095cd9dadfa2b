// SPDX-License-Identifier: Apache-2.0
#include "tls_peer.hpp"

#include "base/socket_address.hpp"
#include "net/rpc/message.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>
#include <netinet/in.h>
#include <sys/socket.h>

namespace dpfs::rpc {
namespace {

constexpr std::string_view sunrpc = "sunrpc";

int choose_protocol(SSL* session,
                    const unsigned char** chosen,
                    unsigned char* size,
                    const unsigned char* offered,
                    unsigned offered_size,
                    void* user) {
    static_cast<void>(session);
    static_cast<void>(user);
    const auto bytes = std::as_bytes(std::span(offered + 1, offered_size - 1));
    if (!std::ranges::equal(bytes, std::as_bytes(std::span(sunrpc)))) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *chosen = offered + 1;
    *size = sunrpc.size();
    return SSL_TLSEXT_ERR_OK;
}

bool read_socket(int fd, std::span<std::byte> to) {
    return ::recv(fd, to.data(), to.size(), MSG_WAITALL) == static_cast<ssize_t>(to.size());
}

template <class Read>
std::vector<std::byte> read_record_by(Read read) {
    std::array<std::byte, record_mark_size> mark = {};
    if (!read(std::span(mark))) return {};
    std::vector<std::byte> record(XdrReader(mark).u32() & ~last_fragment);
    if (!read(std::span(record))) return {};
    return record;
}

}  // namespace

std::vector<std::byte> read_plain_record(int fd) {
    return read_record_by([fd](auto to) { return read_socket(fd, to); });
}

void send_all(int fd, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const auto sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent <= 0) return;
        bytes = bytes.subspan(static_cast<std::size_t>(sent));
    }
}

std::vector<std::byte> starttls_answer(std::span<const std::byte> probe) {
    std::vector<std::byte> answer;
    XdrWriter out(answer);
    out.u32(0);  // the mark
    out.u32(XdrReader(probe).u32());
    out.u32(1);  // a reply
    out.u32(0);  // accepted
    out.u32(0);  // AUTH_NONE
    out.string("STARTTLS");
    out.u32(0);  // success
    finish_record(answer, 0);
    return answer;
}

std::vector<std::byte> reply_to_call(std::span<const std::byte> call, std::size_t extra) {
    std::vector<std::byte> reply;
    begin_reply(reply, XdrReader(call).u32(), ReplyStatus::success);
    XdrWriter(reply).u32(42);
    reply.resize(reply.size() + extra, std::byte{0x5a});
    finish_record(reply, 0);
    return reply;
}

PeerSession::PeerSession(int fd, const PeerOptions& options)
    : fd_(fd), context_(::SSL_CTX_new(::TLS_server_method())) {
    SSL_CTX* const context = context_.get();
    ::SSL_CTX_ctrl(context, SSL_CTRL_SET_MAX_PROTO_VERSION, options.version_max, nullptr);
    ::SSL_CTX_use_certificate(context, options.identity->certificate.get());
    ::SSL_CTX_use_PrivateKey(context, options.identity->key.get());
    if (options.has_alpn) ::SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
    if (options.client_authority != nullptr) {
        ::X509_STORE_add_cert(::SSL_CTX_get_cert_store(context),
                              options.client_authority->certificate.get());
        ::SSL_CTX_set_verify(
            context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    }
    session_.reset(::SSL_new(context));
    ::SSL_set_fd(session_.get(), fd);
}

bool PeerSession::accept() {
    const auto probe = read_plain_record(fd_);
    if (probe.empty()) return false;
    send_all(fd_, starttls_answer(probe));
    return shake_hands();
}

bool PeerSession::read(std::span<std::byte> to) {
    while (!to.empty()) {
        std::size_t size = 0;
        if (::SSL_read_ex(session_.get(), to.data(), to.size(), &size) != 1) return false;
        to = to.subspan(size);
    }
    return true;
}

std::vector<std::byte> PeerSession::read_record() {
    return read_record_by([this](auto to) { return read(to); });
}

bool PeerSession::write(std::span<const std::byte> bytes) {
    std::size_t size = 0;
    return ::SSL_write_ex(session_.get(), bytes.data(), bytes.size(), &size) == 1;
}

std::vector<std::byte> PeerSession::encrypted(std::span<const std::byte> bytes) {
    BIO* const memory = ::BIO_new(::BIO_s_mem());
    ::SSL_set0_wbio(session_.get(), memory);
    write(bytes);
    std::vector<std::byte> result(::BIO_ctrl_pending(memory));
    ::BIO_read(memory, result.data(), static_cast<int>(result.size()));
    return result;
}

bool PeerSession::serve_on() {
    while (true) {
        const auto call = read_record();
        if (call.empty()) break;
        if (!write(reply_to_call(call))) return false;
    }
    return (::SSL_get_shutdown(session_.get()) & SSL_RECEIVED_SHUTDOWN) != 0;
}

PeerServer::PeerServer(int connection_count, Serve serve)
    : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    // The library writes to sockets that a client has left.
    std::signal(SIGPIPE, SIG_IGN);
    sockaddr_in any = {};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof any;
    EXPECT_EQ(::bind(listener_.get(), as_sockaddr(any), size), 0);
    EXPECT_EQ(::listen(listener_.get(), 8), 0);
    EXPECT_EQ(::getsockname(listener_.get(), as_sockaddr(any), &size), 0);
    std::memcpy(&address_.address, &any, sizeof any);
    address_.size = sizeof any;
    address_.text = "test";
    address_.host = "nas.test";
    thread_ = std::thread([this, connection_count, serve = std::move(serve)]() mutable {
        for (int i = 0; i < connection_count; ++i) {
            const UniqueFd fd(::accept(listener_.get(), nullptr, nullptr));
            if (!fd) return;
            serve(fd.get(), i);
        }
    });
}

PeerServer::~PeerServer() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
}

}  // namespace dpfs::rpc
