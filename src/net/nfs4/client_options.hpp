// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/time.hpp"
#include "net/rpc/tls_options.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace dpfs::nfs4 {

/// Which server, and how it is used.
struct ClientOptions {
    /// HOST[:PORT], all of the same server: tried in turn.
    std::vector<std::string> servers = {};
    std::uint32_t minor_version = 2;  ///< 1 or 2
    /// Requests under way at once, over all connections; the server may grant fewer.
    std::uint32_t slot_count = 256;
    /// Bytes of data of one READ or WRITE; the server may allow less.
    std::uint32_t data_size_max = 1 << 20;
    /// Names this client to the server; empty: made up from the host's name and `instance`, of
    /// printable characters other than '/', which not all servers remember. The
    /// same name with another verifier makes the server forget the state of the one before.
    std::string owner = {};
    std::string instance = {};
    /// Tells one start of this client from the next; 0: random. The same again keeps the state
    /// of the start before at the server, until the lease is over.
    std::uint64_t verifier = 0;
    bool privileged_port = false;
    rpc::TlsOptions tls = {};
    Duration answer_time_max = seconds(60);  ///< without an answer the connection is made anew
    /// A request that takes longer, whatever the reason, fails with ETIMEDOUT; 0: never.
    Duration request_time_max = {};
    Duration start_time_max = seconds(30);  ///< for the first session

    bool operator==(const ClientOptions&) const = default;
};

}  // namespace dpfs::nfs4
