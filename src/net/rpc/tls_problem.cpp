// SPDX-License-Identifier: Apache-2.0
#include "net/rpc/tls_problem.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <memory>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <span>

namespace dpfs::rpc {
namespace {

struct FreeNames {
    void operator()(GENERAL_NAMES* names) const noexcept { ::GENERAL_NAMES_free(names); }
};

std::span<const unsigned char> bytes_of(const ASN1_STRING* text) noexcept {
    return {::ASN1_STRING_get0_data(text),
            static_cast<std::size_t>(::ASN1_STRING_length(text))};
}

/// As hostile as its certificate.
std::string printable(std::span<const unsigned char> bytes) {
    constexpr std::size_t size_max = 128;
    std::string text;
    for (const unsigned char each : bytes.first(std::min(bytes.size(), size_max))) {
        text.push_back(each > 0x20 && each < 0x7f ? static_cast<char>(each) : '?');
    }
    return text;
}

std::string address_of(std::span<const unsigned char> bytes) {
    std::array<char, INET6_ADDRSTRLEN> text = {};
    const int family = bytes.size() == sizeof(in_addr) ? AF_INET : AF_INET6;
    if (bytes.size() != sizeof(in_addr) && bytes.size() != sizeof(in6_addr)) return "?";
    ::inet_ntop(family, bytes.data(), text.data(), text.size());
    return text.data();
}

/// The names and addresses that a certificate is for.
std::string names_of(const X509* certificate) {
    constexpr int count_max = 8;
    const std::unique_ptr<GENERAL_NAMES, FreeNames> names(static_cast<GENERAL_NAMES*>(
        ::X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
    std::string text;
    const int count = names == nullptr ? 0 : sk_GENERAL_NAME_num(names.get());
    for (int i = 0; i < std::min(count, count_max); ++i) {
        int type = 0;
        const void* const value =
            ::GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names.get(), i), &type);
        if (type != GEN_DNS && type != GEN_IPADD) continue;
        const auto bytes = bytes_of(static_cast<const ASN1_STRING*>(value));
        if (!text.empty()) text += ", ";
        text += type == GEN_DNS ? printable(bytes) : address_of(bytes);
    }
    return text.empty() ? "nobody" : text;
}

std::string_view advice_for(long verdict) noexcept {
    switch (verdict) {
        case X509_V_ERR_CERT_HAS_EXPIRED:
            return "renew it at the server, or set this machine's clock";
        case X509_V_ERR_CERT_NOT_YET_VALID:
            return "set this machine's clock, or the server's";
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
            return "if it is the server's, name it as the CA file";
        case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
        case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
            return "name the certificate of the CA that signed it as the CA file";
        default:
            return "give the server a certificate that is fit for it";
    }
}

}  // namespace

std::string certificate_problem(long verdict, std::string_view name, X509* certificate) {
    if (certificate != nullptr && (verdict == X509_V_ERR_HOSTNAME_MISMATCH ||
                                   verdict == X509_V_ERR_IP_ADDRESS_MISMATCH)) {
        return fmt::format(
            "its certificate is for {}, not for '{}'; name the server as its certificate does",
            names_of(certificate),
            name);
    }
    return fmt::format("its certificate is not trusted ({}); {}",
                       ::X509_verify_cert_error_string(verdict),
                       advice_for(verdict));
}

std::string session_problem(unsigned long error) {
    const char* const known = ::ERR_reason_error_string(error);
    const std::string_view reason = known == nullptr ? "no reason given" : known;
    switch (ERR_GET_REASON(error)) {
        case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
            return "it asks for a certificate of this client; name a certificate and its key";
        case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
        case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
        case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
        case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
        case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
        case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
        case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
            return fmt::format(
                "it does not accept this client's certificate ({}); name one that it does",
                reason);
        case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
        case SSL_R_UNSUPPORTED_PROTOCOL:
            return fmt::format("it has no TLS 1.3 ({}); turn it on at the server", reason);
        default:
            return fmt::format("the TLS session has ended ({}); look at the server's log",
                               reason);
    }
}

}  // namespace dpfs::rpc
