// SPDX-License-Identifier: Apache-2.0
#include "net/rpc/tls_context.hpp"

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "net/rpc/tls_transport.hpp"

#include <fmt/format.h>

#include <array>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/stat.h>

namespace dpfs::rpc {
namespace {

constexpr std::array<unsigned char, 7> protocols = {6, 's', 'u', 'n', 'r', 'p', 'c'};

using Outcome = std::expected<void, std::string>;

/// What a library says of a file is not worth reading if it is not there at all.
Outcome check_readable(std::string_view what, const std::string& path) {
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat status = {};
    if (file && ::fstat(file.get(), &status) == 0) {
        if (!S_ISDIR(status.st_mode)) return {};
        return std::unexpected(fmt::format("{} '{}' is no file; name a PEM file", what, path));
    }
    return std::unexpected(fmt::format("{} '{}' cannot be read ({}); name a PEM file",
                                       what,
                                       path,
                                       errno_name(fail_errno().error())));
}

/// The library's last word, for who knows it.
std::string reason() {
    const char* const text = ::ERR_reason_error_string(::ERR_peek_last_error());
    std::string found = text == nullptr ? "no reason given" : text;
    ::ERR_clear_error();
    return found;
}

/// A daemon has nobody to ask for the password of a key.
int no_password(char* to, int size, int for_writing, void* user) noexcept {
    static_cast<void>(to);
    static_cast<void>(size);
    static_cast<void>(for_writing);
    static_cast<void>(user);
    return -1;
}

}  // namespace

void TlsContext::Free::operator()(ssl_ctx_st* context) const noexcept {
    ::SSL_CTX_free(context);
}

void TlsContext::Free::operator()(bio_method_st* method) const noexcept {
    ::BIO_meth_free(method);
}

std::expected<std::shared_ptr<const TlsContext>, std::string> TlsContext::make(
    TlsOptions options) {
    std::shared_ptr<TlsContext> made(new TlsContext(std::move(options)));
    made->transport_.reset(make_tls_transport());
    made->context_.reset(::SSL_CTX_new(::TLS_client_method()));
    SSL_CTX* const context = made->context_.get();
    if (context == nullptr || made->transport_ == nullptr ||
        ::SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_3_VERSION, nullptr) != 1 ||
        // Its result is the other way round.
        ::SSL_CTX_set_alpn_protos(context, protocols.data(), protocols.size()) != 0) {
        return std::unexpected(fmt::format("the TLS library does not start ({})", reason()));
    }
    // A batch that waits for input is given again from another place.
    ::SSL_CTX_ctrl(context, SSL_CTRL_MODE, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER, nullptr);
    // Each session begins with the server's certificate: none is resumed.
    ::SSL_CTX_ctrl(context, SSL_CTRL_SET_SESS_CACHE_MODE, SSL_SESS_CACHE_OFF, nullptr);
    ::SSL_CTX_set_default_passwd_cb(context, no_password);
    if (made->options_.unchecked_server) {
        ::SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nullptr);
    } else {
        ::SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
        if (auto read = made->read_trusted(); !read) {
            return std::unexpected(std::move(read.error()));
        }
    }
    if (auto read = made->read_own_certificate(); !read) {
        return std::unexpected(std::move(read.error()));
    }
    return made;
}

Outcome TlsContext::read_trusted() {
    const std::string& path = options_.ca_file;
    if (path.empty()) {
        if (::SSL_CTX_set_default_verify_paths(context_.get()) == 1) return {};
        return std::unexpected(
            fmt::format("the system's CAs cannot be read ({}); name a CA file", reason()));
    }
    if (auto readable = check_readable("CA file", path); !readable) return readable;
    if (::SSL_CTX_load_verify_file(context_.get(), path.c_str()) == 1) return {};
    return std::unexpected(
        fmt::format("CA file '{}' has no certificate ({}); name a PEM file of CA certificates",
                    path,
                    reason()));
}

Outcome TlsContext::read_own_certificate() {
    const std::string& certificate = options_.certificate_file;
    const std::string& key = options_.key_file;
    if (certificate.empty() && key.empty()) return {};
    if (certificate.empty() || key.empty()) {
        return std::unexpected<std::string>(
            "a client has a certificate and its key, or none; name both files, or neither");
    }
    if (auto readable = check_readable("certificate file", certificate); !readable) {
        return readable;
    }
    if (auto readable = check_readable("key file", key); !readable) return readable;
    SSL_CTX* const context = context_.get();
    if (::SSL_CTX_use_certificate_chain_file(context, certificate.c_str()) != 1) {
        return std::unexpected(
            fmt::format("certificate file '{}' has no certificate ({}); name a PEM file",
                        certificate,
                        reason()));
    }
    // Compares it with the certificate, too.
    if (::SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1) {
        return std::unexpected(fmt::format(
            "key file '{}' has no key of certificate '{}' ({}); name a PEM file with the key "
            "that belongs to it, without a password",
            key,
            certificate,
            reason()));
    }
    return {};
}

}  // namespace dpfs::rpc
