// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace dpfs::rpc {

enum class TlsMode : std::uint8_t {
    off,
    on,  ///< required: a server without TLS is refused
};

/// Whether a connection is encrypted, and whom it trusts.
struct TlsOptions {
    TlsMode mode = TlsMode::off;
    std::string ca_file = {};           ///< PEM; empty: the CAs that the system trusts
    std::string certificate_file = {};  ///< PEM, ours, with its chain; empty: we have none
    std::string key_file = {};          ///< PEM, of our certificate
    std::string server_name = {};       ///< to verify; empty: the host that was connected to
    bool unchecked_server = false;      ///< dangerous: whoever answers is believed
    /// Records after which new keys are agreed on, in either direction: long before what
    /// AES-GCM allows (RFC 8446, 5.5).
    std::uint64_t records_per_key_max = std::uint64_t{1} << 22;

    bool operator==(const TlsOptions&) const = default;
};

}  // namespace dpfs::rpc
