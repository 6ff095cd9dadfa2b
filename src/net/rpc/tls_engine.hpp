// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "net/rpc/stream.hpp"
#include "net/rpc/tls_context.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <sys/uio.h>
#include <vector>

struct bio_st;
struct ssl_st;
struct x509_store_ctx_st;

namespace dpfs::rpc {

/// The client's end of one TLS session, without a socket: bytes of the wire are put in and
/// taken out, and nothing waits. Source: RFC 8446; RFC 9289, 5.
///
/// Thread  one.
/// Errors  ECONNRESET: the server has ended the session; EPROTO: it is not who it should be, or
///         has not TLS as it must be; EBADMSG: what came is no TLS, or was forged. problem()
///         says more, and nothing works any more.
class TlsEngine {
  public:
    /// `host`: what is verified if the options name nothing, a name or a numeric address.
    TlsEngine(std::shared_ptr<const TlsContext> context, std::string_view host);
    TlsEngine(const TlsEngine&) = delete;
    TlsEngine& operator=(const TlsEngine&) = delete;
    ~TlsEngine();

    /// Where the next bytes of the wire go, all earlier ones being used up; at least one.
    [[nodiscard]] std::span<std::byte> input_room() noexcept;
    /// `size` bytes have been put there.
    void add_input(std::size_t size) noexcept;
    /// Bytes for the wire; who sends them takes them away.
    [[nodiscard]] std::vector<std::byte>& output() noexcept { return output_; }

    /// True: done, and the server is who it should be. False: more input is needed; output()
    /// goes first.
    Result<bool> handshake();
    /// Decrypts what has come, as far as `to` has room. 0: more input is needed.
    Result<std::size_t> read(std::span<const iovec> to);
    /// Encrypts all of `bytes`, at most record_size_max. False: nothing was, before more input
    /// has been read; the same bytes are to be given again.
    Result<bool> write(std::span<const std::byte> bytes);
    /// Says goodbye, in output(): to be called once at most, and nothing after it.
    void end() noexcept;

    /// What went wrong.
    [[nodiscard]] const StreamProblem& problem() const noexcept { return problem_; }
    /// Protocol, cipher and peer, after the handshake.
    [[nodiscard]] std::string description() const;

    static constexpr std::size_t record_size_max = 16 << 10;

  private:
    friend struct Transport;
    static constexpr std::size_t input_size = 256 << 10;

    /// The library does not trust a certificate: keeps why.
    static int on_certificate(int is_good, x509_store_ctx_st* check);
    void expect_name(std::string_view name);
    /// After a call of the library's that did not succeed: true if it needs input.
    bool needs_input(int outcome);
    void note_failure(int reason);
    /// Agrees on new keys in time. Errors: EIO (no memory).
    Result<void> renew_keys();

    std::shared_ptr<const TlsContext> context_;
    std::string name_;
    std::unique_ptr<std::byte[]> input_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    std::vector<std::byte> output_;
    ssl_st* ssl_ = nullptr;
    std::uint64_t records_ = 0;  // with the keys that there are
    std::optional<Errno> failure_;
    StreamProblem problem_;
};

}  // namespace dpfs::rpc
