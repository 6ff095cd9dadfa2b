// SPDX-License-Identifier: Apache-2.0
// Goal: files that TLS cannot use are refused before anything starts, with the line and what to
// write. Method: a catalogue of wrong files, made when the test runs.
#include "daemon/config_check.hpp"
#include "daemon/config_file.hpp"
#include "tls_certificates.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace dpfs::daemon {
namespace {

using rpc::make_identity;
using testing::HasSubstr;
using testing::StartsWith;

class TlsConfig : public testing::Test {
  protected:
    /// What is said of a device with TLS and these options; empty: nothing is wrong.
    std::string wrong(const std::string& options) {
        const std::string text =
            "[[device]]\nbackend = \"nfs\"\ntag = \"t\"\nserver = [\"127.0.0.1\"]\n" +
            ("socket = \"" + folder_.next_path() + "\"\n") +
            "export = \"/vol\"\nnfs_tls = \"on\"\n" + options;
        const auto config = parse_config(text, "f.toml");
        if (!config) return config.error();
        if (auto agrees = check_agreement(*config); !agrees) return agrees.error();
        const auto checked = check_surroundings(*config);
        return checked ? "" : checked.error();
    }
    std::string wrong_ca(const std::string& path) {
        return wrong("nfs_tls_ca_file = \"" + path + "\"\n");
    }
    std::string wrong_pair(const std::string& certificate, const std::string& key) {
        return wrong("nfs_tls_certificate_file = \"" + certificate +
                     "\"\nnfs_tls_key_file = \"" + key + "\"\n");
    }

    rpc::PemFolder folder_;
    rpc::Identity authority_ = make_identity({.names = "DNS:ca", .is_authority = true});
    rpc::Identity own_ = make_identity({}, &authority_);
};

TEST_F(TlsConfig, takes_files_that_are_right) {
    EXPECT_EQ(wrong_ca(folder_.certificate(authority_)), "");
    EXPECT_EQ(wrong_pair(folder_.certificate(own_), folder_.key(own_)), "");
}

TEST_F(TlsConfig, refuses_a_file_that_is_not_there) {
    EXPECT_THAT(wrong_ca("/nonexistent/ca.pem"), StartsWith("f.toml:7: nfs_tls: "));
    EXPECT_THAT(wrong_ca("/nonexistent/ca.pem"), HasSubstr("cannot be read (ENOENT)"));
    EXPECT_THAT(wrong_pair("/nonexistent/own.pem", folder_.key(own_)),
                HasSubstr("certificate file '/nonexistent/own.pem' cannot be read (ENOENT)"));
    EXPECT_THAT(wrong_pair(folder_.certificate(own_), "/nonexistent/own.key"),
                HasSubstr("key file '/nonexistent/own.key' cannot be read (ENOENT)"));
}

TEST_F(TlsConfig, refuses_a_directory) {
    EXPECT_THAT(wrong_ca("/"), HasSubstr("CA file '/' is no file"));
    EXPECT_THAT(wrong_pair(folder_.certificate(own_), "/"),
                HasSubstr("key file '/' is no file"));
}

TEST_F(TlsConfig, refuses_a_file_that_is_not_pem) {
    const std::string path = folder_.text("not PEM");
    EXPECT_THAT(wrong_ca(path), HasSubstr("has no certificate"));
    EXPECT_THAT(wrong_pair(path, folder_.key(own_)), HasSubstr("has no certificate"));
    EXPECT_THAT(wrong_pair(folder_.certificate(own_), path), HasSubstr("has no key of"));
}

TEST_F(TlsConfig, refuses_a_key_of_another_certificate) {
    EXPECT_THAT(wrong_pair(folder_.certificate(own_), folder_.key(authority_)),
                HasSubstr("name a PEM file with the key that belongs to it"));
}

TEST_F(TlsConfig, refuses_a_certificate_without_a_key) {
    EXPECT_THAT(wrong("nfs_tls_certificate_file = \"" + folder_.certificate(own_) + "\"\n"),
                HasSubstr("name both files, or neither"));
}

}  // namespace
}  // namespace dpfs::daemon
