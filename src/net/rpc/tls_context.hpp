// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "net/rpc/tls_options.hpp"

#include <expected>
#include <memory>
#include <string>

struct bio_method_st;
struct ssl_ctx_st;

namespace dpfs::rpc {

/// What all TLS connections of a client have in common: certificates, and what is allowed.
/// Only TLS 1.3 is.
///
/// Thread  any: nothing in it changes.
class TlsContext {
  public:
    /// Reads the files: blocks, for start-up. Errors: one line that names the file.
    static std::expected<std::shared_ptr<const TlsContext>, std::string> make(
        TlsOptions options);

    [[nodiscard]] const TlsOptions& options() const noexcept { return options_; }
    [[nodiscard]] ssl_ctx_st* ssl_context() const noexcept { return context_.get(); }
    /// Of the transport that a TlsEngine is.
    [[nodiscard]] const bio_method_st* transport() const noexcept { return transport_.get(); }

  private:
    struct Free {
        void operator()(ssl_ctx_st* context) const noexcept;
        void operator()(bio_method_st* method) const noexcept;
    };
    explicit TlsContext(TlsOptions options) noexcept : options_(std::move(options)) {}

    std::expected<void, std::string> read_trusted();
    std::expected<void, std::string> read_own_certificate();

    TlsOptions options_;
    std::unique_ptr<ssl_ctx_st, Free> context_;
    std::unique_ptr<bio_method_st, Free> transport_;
};

}  // namespace dpfs::rpc
