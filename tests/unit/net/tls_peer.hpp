// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/unique_fd.hpp"
#include "net/rpc/server_address.hpp"
#include "tls_certificates.hpp"

#include <cstddef>
#include <functional>
#include <memory>
#include <openssl/ssl.h>
#include <span>
#include <thread>
#include <vector>

namespace dpfs::rpc {

/// How the server's end of a session is.
struct PeerOptions {
    const Identity* identity = nullptr;
    const Identity* client_authority = nullptr;  ///< clients must have a certificate of it
    bool has_alpn = true;
    int version_max = TLS1_3_VERSION;
};

struct FreeSession {
    void operator()(SSL_CTX* context) const noexcept { ::SSL_CTX_free(context); }
    void operator()(SSL* session) const noexcept { ::SSL_free(session); }
};

/// Reads a whole record of one fragment from a socket; empty at the end.
std::vector<std::byte> read_plain_record(int fd);
void send_all(int fd, std::span<const std::byte> bytes);
/// The answer to `probe` that says: now TLS.
std::vector<std::byte> starttls_answer(std::span<const std::byte> probe);
/// A good reply to `call`, with its mark, and 42 and `extra` bytes of results.
std::vector<std::byte> reply_to_call(std::span<const std::byte> call, std::size_t extra = 0);

/// The server's end of a session, on a thread that may block.
class PeerSession {
  public:
    PeerSession(int fd, const PeerOptions& options);

    /// Answers the probe and shakes hands. False: the client did not want to.
    bool accept();
    bool shake_hands() { return ::SSL_accept(session_.get()) == 1; }
    /// Empty at the session's end.
    std::vector<std::byte> read_record();
    bool write(std::span<const std::byte> bytes);
    /// What write() would send, for who sends it otherwise. Nothing can be written after it.
    std::vector<std::byte> encrypted(std::span<const std::byte> bytes);
    /// Answers calls until the client leaves. Whether it said goodbye.
    bool serve_on();
    [[nodiscard]] SSL* session() { return session_.get(); }

  private:
    bool read(std::span<std::byte> to);
    int fd_;
    std::unique_ptr<SSL_CTX, FreeSession> context_;
    std::unique_ptr<SSL, FreeSession> session_;
};

/// Listens on a thread; `serve` gets each connection and its number, from 0 on.
class PeerServer {
  public:
    using Serve = std::move_only_function<void(int fd, int number)>;
    PeerServer(int connection_count, Serve serve);
    PeerServer(const PeerServer&) = delete;
    PeerServer& operator=(const PeerServer&) = delete;
    ~PeerServer();
    [[nodiscard]] const ServerAddress& address() const noexcept { return address_; }

  private:
    UniqueFd listener_;
    ServerAddress address_;
    std::thread thread_;
};

}  // namespace dpfs::rpc
