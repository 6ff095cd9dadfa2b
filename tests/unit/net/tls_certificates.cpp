// SPDX-License-Identifier: Apache-2.0
#include "tls_certificates.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <vector>

namespace dpfs::rpc {
namespace {

struct CloseFile {
    void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

void add_extension(X509* to, X509* issuer, int id, const std::string& value) {
    X509V3_CTX context;
    ::X509V3_set_ctx(&context, issuer, to, nullptr, nullptr, 0);
    X509_EXTENSION* const extension =
        ::X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str());
    ::X509_add_ext(to, extension, -1);
    ::X509_EXTENSION_free(extension);
}

}  // namespace

Identity make_identity(const Claims& claims, const Identity* issuer) {
    constexpr long day_s = 86'400;
    static long serial = 1;
    Identity made;
    made.key.reset(::EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
    made.certificate.reset(::X509_new());
    X509* const certificate = made.certificate.get();
    ::X509_set_version(certificate, X509_VERSION_3);
    ::ASN1_INTEGER_set(::X509_get_serialNumber(certificate), ++serial);
    ::X509_gmtime_adj(::X509_getm_notBefore(certificate), -10 * day_s);
    ::X509_gmtime_adj(::X509_getm_notAfter(certificate), claims.days_left * day_s);
    ::X509_set_pubkey(certificate, made.key.get());
    const std::string name = "dpfs test " + std::to_string(serial);
    std::vector<unsigned char> bytes(name.begin(), name.end());
    ::X509_NAME_add_entry_by_txt(::X509_get_subject_name(certificate),
                                 "CN",
                                 MBSTRING_ASC,
                                 bytes.data(),
                                 static_cast<int>(bytes.size()),
                                 -1,
                                 0);
    const Identity& signer = issuer == nullptr ? made : *issuer;
    ::X509_set_issuer_name(certificate, ::X509_get_subject_name(signer.certificate.get()));
    add_extension(certificate,
                  signer.certificate.get(),
                  NID_basic_constraints,
                  claims.is_authority ? "critical,CA:TRUE" : "CA:FALSE");
    add_extension(certificate, signer.certificate.get(), NID_subject_alt_name, claims.names);
    ::X509_sign(certificate, signer.key.get(), ::EVP_sha256());
    return made;
}

PemFolder::PemFolder() {
    std::string pattern = std::filesystem::temp_directory_path() / "dpfs-tls-XXXXXX";
    path_ = ::mkdtemp(pattern.data());
}

PemFolder::~PemFolder() {
    std::filesystem::remove_all(path_);
}

std::string PemFolder::next_path() const {
    return path_ / (std::to_string(count_++) + ".pem");
}

std::string PemFolder::certificate(const Identity& identity) const {
    std::string path = next_path();
    const File file(std::fopen(path.c_str(), "w"));
    ::PEM_write_X509(file.get(), identity.certificate.get());
    return path;
}

std::string PemFolder::key(const Identity& identity, const char* password) const {
    std::string path = next_path();
    const File file(std::fopen(path.c_str(), "w"));
    const bool is_open = *password == '\0';
    std::string text = password;
    ::PEM_write_PrivateKey(file.get(),
                           identity.key.get(),
                           is_open ? nullptr : ::EVP_aes_256_cbc(),
                           nullptr,
                           0,
                           nullptr,
                           is_open ? nullptr : text.data());
    return path;
}

std::string PemFolder::text(const std::string& content) const {
    std::string path = next_path();
    std::ofstream(path) << content;
    return path;
}

}  // namespace dpfs::rpc
