// SPDX-License-Identifier: Apache-2.0
#include "net/rpc/tls_engine.hpp"

#include "net/rpc/tls_problem.hpp"
#include "net/rpc/tls_transport.hpp"

#include <fmt/format.h>

#include <arpa/inet.h>
#include <array>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

namespace dpfs::rpc {
namespace {

constexpr std::string_view protocol = "sunrpc";  // RFC 9289, 7.2

bool is_numeric_address(const std::string& name) noexcept {
    std::array<std::byte, sizeof(in6_addr)> address = {};
    return ::inet_pton(AF_INET, name.c_str(), address.data()) == 1 ||
           ::inet_pton(AF_INET6, name.c_str(), address.data()) == 1;
}

StreamProblem refusal(std::string text) {
    return {.text = std::move(text), .is_refusal = true};
}

}  // namespace

TlsEngine::TlsEngine(std::shared_ptr<const TlsContext> context, std::string_view host)
    : context_(std::move(context)),
      name_(context_->options().server_name.empty() ? host : context_->options().server_name),
      input_(std::make_unique_for_overwrite<std::byte[]>(input_size)),
      ssl_(::SSL_new(context_->ssl_context())) {
    BIO* const bio = open_tls_transport(context_->transport(), *this);
    if (ssl_ == nullptr || bio == nullptr) {
        ::BIO_free(bio);
        failure_ = Errno::no_memory;
        return;
    }
    ::SSL_set_bio(ssl_, bio, bio);
    ::SSL_set_connect_state(ssl_);
    expect_name(name_);
    if (context_->options().unchecked_server) return;
    ::SSL_set_ex_data(ssl_, 0, this);
    ::SSL_set_verify(ssl_, SSL_VERIFY_PEER, on_certificate);
}

TlsEngine::~TlsEngine() {
    ::SSL_free(ssl_);
}

void TlsEngine::expect_name(std::string_view name) {
    const std::string text(name);
    bool is_set = false;
    if (is_numeric_address(text)) {
        is_set = ::X509_VERIFY_PARAM_set1_ip_asc(::SSL_get0_param(ssl_), text.c_str()) == 1;
    } else {
        ::SSL_set_hostflags(ssl_, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        std::string indication = text;  // the library wants it writable
        is_set =
            ::SSL_set1_host(ssl_, text.c_str()) == 1 && ::SSL_ctrl(ssl_,
                                                                   SSL_CTRL_SET_TLSEXT_HOSTNAME,
                                                                   TLSEXT_NAMETYPE_host_name,
                                                                   indication.data()) == 1;
    }
    if (is_set && !text.empty()) return;
    ::ERR_clear_error();
    failure_ = Errno::protocol;
    problem_ = refusal(
        fmt::format("'{}' is no name that a certificate can have; name the server", name));
}

int TlsEngine::on_certificate(int is_good, x509_store_ctx_st* check) {
    if (is_good == 1) return 1;
    auto* const session = static_cast<SSL*>(
        ::X509_STORE_CTX_get_ex_data(check, ::SSL_get_ex_data_X509_STORE_CTX_idx()));
    auto& engine = *static_cast<TlsEngine*>(::SSL_get_ex_data(session, 0));
    engine.problem_ = refusal(certificate_problem(::X509_STORE_CTX_get_error(check),
                                                  engine.name_,
                                                  ::X509_STORE_CTX_get_current_cert(check)));
    return 0;
}

std::span<std::byte> TlsEngine::input_room() noexcept {
    if (begin_ == end_) begin_ = end_ = 0;
    return {input_.get() + end_, input_size - end_};
}

void TlsEngine::add_input(std::size_t size) noexcept {
    end_ += size;
}

Result<bool> TlsEngine::handshake() {
    if (failure_) return fail(*failure_);
    ::ERR_clear_error();
    const int outcome = ::SSL_do_handshake(ssl_);
    if (outcome != 1) {
        if (needs_input(outcome)) return false;
        return fail(failure_.value_or(Errno::io_error));
    }
    const unsigned char* chosen = nullptr;
    unsigned size = 0;
    ::SSL_get0_alpn_selected(ssl_, &chosen, &size);
    const auto bytes = std::as_bytes(std::span(chosen, size));
    if (!std::ranges::equal(bytes, std::as_bytes(std::span(protocol)))) {
        failure_ = Errno::protocol;
        problem_ = refusal(
            "it has TLS, but not for RPC (no ALPN protocol \"sunrpc\"); connect to an "
            "NFS server's port");
        return fail(*failure_);
    }
    return true;
}

Result<std::size_t> TlsEngine::read(std::span<const iovec> to) {
    std::size_t total = 0;
    for (const iovec& piece : to) {
        auto* const base = static_cast<std::byte*>(piece.iov_base);
        for (std::size_t filled = 0; filled < piece.iov_len;) {
            if (failure_) {
                // What came before it is good.
                if (total == 0) return fail(*failure_);
                return total;
            }
            ::ERR_clear_error();
            std::size_t size = 0;
            const int outcome =
                ::SSL_read_ex(ssl_, base + filled, piece.iov_len - filled, &size);
            if (outcome == 1) {
                filled += size;
                total += size;
                ++records_;
            } else if (needs_input(outcome)) {
                return total;
            }
        }
    }
    return total;
}

Result<bool> TlsEngine::write(std::span<const std::byte> bytes) {
    if (failure_) return fail(*failure_);
    if (auto renewed = renew_keys(); !renewed) return fail(renewed.error());
    ::ERR_clear_error();
    std::size_t size = 0;
    const int outcome = ::SSL_write_ex(ssl_, bytes.data(), bytes.size(), &size);
    if (outcome == 1) {
        ++records_;
        return true;
    }
    if (needs_input(outcome)) return false;
    return fail(failure_.value_or(Errno::io_error));
}

Result<void> TlsEngine::renew_keys() {
    if (records_ < context_->options().records_per_key_max) return {};
    // Not while a message of the server's is half read: the next write comes soon.
    if (::SSL_in_init(ssl_) == 1) return {};
    records_ = 0;
    if (::SSL_key_update(ssl_, SSL_KEY_UPDATE_REQUESTED) == 1) return {};
    failure_ = Errno::io_error;
    return fail(*failure_);
}

void TlsEngine::end() noexcept {
    if (!failure_ && ssl_ != nullptr && ::SSL_in_init(ssl_) == 0) ::SSL_shutdown(ssl_);
    ::ERR_clear_error();
}

bool TlsEngine::needs_input(int outcome) {
    // A server that keeps asking for answers to its own messages, and reads none.
    constexpr std::size_t unsent_size_max = 1 << 20;
    const int reason = ::SSL_get_error(ssl_, outcome);
    if (reason == SSL_ERROR_WANT_READ && output_.size() <= unsent_size_max) return true;
    note_failure(reason);
    return false;
}

void TlsEngine::note_failure(int reason) {
    const unsigned long error = ::ERR_peek_last_error();
    ::ERR_clear_error();
    if (reason == SSL_ERROR_ZERO_RETURN) {
        failure_ = Errno::connection_reset;
        return;
    }
    if (ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
        failure_ = Errno::protocol;  // on_certificate() has said why
        return;
    }
    const bool is_alert = ERR_GET_REASON(error) >= SSL_AD_REASON_OFFSET;
    failure_ = is_alert ? Errno::connection_reset : Errno::bad_message;
    problem_ = {.text = session_problem(error), .is_refusal = is_alert};
}

std::string TlsEngine::description() const {
    std::string text =
        fmt::format("{} {}", ::SSL_get_version(ssl_), ::SSL_get_cipher_name(ssl_));
    if (context_->options().unchecked_server) return text;
    return fmt::format("{}, verified as '{}'", text, name_);
}

}  // namespace dpfs::rpc
