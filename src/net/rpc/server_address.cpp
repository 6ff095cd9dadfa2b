// SPDX-License-Identifier: Apache-2.0
#include "net/rpc/server_address.hpp"

#include <fmt/format.h>

#include <cstring>
#include <memory>
#include <netdb.h>

namespace dpfs::rpc {
namespace {

struct HostAndPort {
    std::string host;
    std::string port;
};

HostAndPort split(std::string_view text, std::uint16_t default_port) {
    const std::string port_else = std::to_string(default_port);
    if (text.starts_with('[')) {
        const std::size_t end = text.find(']');
        if (end == text.npos) return {std::string(text), port_else};
        const std::string_view rest = text.substr(end + 1);
        const bool has_port = rest.starts_with(':');
        return {std::string(text.substr(1, end - 1)),
                has_port ? std::string(rest.substr(1)) : port_else};
    }
    const std::size_t colon = text.find(':');
    // More than one colon: a bare IPv6 address.
    if (colon == text.npos || text.find(':', colon + 1) != text.npos) {
        return {std::string(text), port_else};
    }
    return {std::string(text.substr(0, colon)), std::string(text.substr(colon + 1))};
}

struct FreeAddresses {
    void operator()(addrinfo* list) const noexcept { ::freeaddrinfo(list); }
};

}  // namespace

std::expected<std::vector<ServerAddress>, std::string> resolve_server(
    std::string_view text, std::uint16_t default_port) {
    const HostAndPort parts = split(text, default_port);
    addrinfo hints = {};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV;
    addrinfo* found = nullptr;
    const int failed = ::getaddrinfo(parts.host.c_str(), parts.port.c_str(), &hints, &found);
    if (failed != 0) {
        return std::unexpected(fmt::format("server '{}' has no address ({}); write HOST[:PORT]",
                                           text,
                                           ::gai_strerror(failed)));
    }
    const std::unique_ptr<addrinfo, FreeAddresses> list(found);
    std::vector<ServerAddress> addresses;
    for (const addrinfo* each = list.get(); each != nullptr; each = each->ai_next) {
        ServerAddress address{
            .size = each->ai_addrlen, .text = std::string(text), .host = parts.host};
        std::memcpy(&address.address, each->ai_addr, each->ai_addrlen);
        addresses.push_back(std::move(address));
    }
    return addresses;
}

}  // namespace dpfs::rpc
