// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <string>

namespace dpfs::rpc {

struct FreeTls {
    void operator()(X509* certificate) const noexcept { ::X509_free(certificate); }
    void operator()(EVP_PKEY* key) const noexcept { ::EVP_PKEY_free(key); }
};

/// A certificate and its key, made when the test runs: nothing in the tree expires.
struct Identity {
    std::unique_ptr<X509, FreeTls> certificate;
    std::unique_ptr<EVP_PKEY, FreeTls> key;
};

/// What a certificate says.
struct Claims {
    std::string names = "DNS:nas.test";  ///< a subjectAltName, as openssl.cnf writes it
    bool is_authority = false;
    long days_left = 1;  ///< negative: it has expired
};

/// Signed by `issuer`; by itself if that is nullptr.
Identity make_identity(const Claims& claims, const Identity* issuer = nullptr);

/// A directory with PEM files, as long as it lives.
class PemFolder {
  public:
    PemFolder();
    PemFolder(const PemFolder&) = delete;
    PemFolder& operator=(const PemFolder&) = delete;
    ~PemFolder();

    /// The path of a file with its certificate.
    [[nodiscard]] std::string certificate(const Identity& identity) const;
    [[nodiscard]] std::string key(const Identity& identity, const char* password = "") const;
    [[nodiscard]] std::string text(const std::string& content) const;

    /// Of a file that is not there yet.
    [[nodiscard]] std::string next_path() const;

  private:
    std::filesystem::path path_;
    mutable int count_ = 0;
};

}  // namespace dpfs::rpc
