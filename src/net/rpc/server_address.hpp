// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <vector>

namespace dpfs::rpc {

/// Where a server listens: a name or a numeric address, and a port.
struct ServerAddress {
    sockaddr_storage address = {};
    socklen_t size = 0;
    std::string text = {};  ///< as it was written, for messages
    std::string host = {};  ///< of it, without the port
};

/// Reads HOST, HOST:PORT or [V6]:PORT, and asks the resolver: blocks, for start-up. All the
/// addresses that the name has, in the resolver's order. Errors: one line.
std::expected<std::vector<ServerAddress>, std::string> resolve_server(
    std::string_view text, std::uint16_t default_port);

}  // namespace dpfs::rpc
