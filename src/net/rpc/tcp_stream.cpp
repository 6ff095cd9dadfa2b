// SPDX-License-Identifier: Apache-2.0
#include "net/rpc/tcp_stream.hpp"

#include "base/or_return.hpp"
#include "base/socket_address.hpp"

#include <algorithm>
#include <netinet/in.h>
#include <netinet/tcp.h>

namespace dpfs::rpc {
namespace {

constexpr std::size_t iovec_count_max = 1024;  // IOV_MAX

void set_option(int fd, int level, int name, int value) noexcept {
    // What a socket cannot do it does without: none of these is needed for being right.
    ::setsockopt(fd, level, name, &value, sizeof value);
}

void set_options(int fd, Duration dead_time_max) noexcept {
    constexpr int probe_count = 3;
    const auto time_s = static_cast<int>(
        std::max<std::int64_t>(dead_time_max.ns / 1'000'000'000, probe_count + 1));
    // Half of the time nothing is heard, then that is asked about.
    const int interval_s = std::max(time_s / (2 * probe_count), 1);
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, time_s - interval_s * probe_count);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, interval_s);
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, probe_count);
    // No probes are sent while bytes wait to be acknowledged.
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, time_s * 1000);
}

/// To `port` of whatever address of this machine. False: errno says why.
bool bind_to(int fd, sa_family_t family, std::uint16_t port) noexcept {
    if (family == AF_INET) {
        sockaddr_in address = {};
        address.sin_family = family;
        address.sin_port = htons(port);
        return ::bind(fd, as_sockaddr(address), sizeof address) == 0;
    }
    sockaddr_in6 address = {};
    address.sin6_family = family;
    address.sin6_port = htons(port);
    return ::bind(fd, as_sockaddr(address), sizeof address) == 0;
}

/// A port that only root may have. Errors: EADDRINUSE, EACCES.
Result<void> bind_privileged(int fd, sa_family_t family) noexcept {
    constexpr std::uint16_t first = 1023;
    constexpr std::uint16_t last = 600;
    for (std::uint16_t port = first; port >= last; --port) {
        if (bind_to(fd, family, port)) return {};
        if (errno != EADDRINUSE) return fail_errno();
    }
    return fail(Errno::address_in_use);
}

/// Leaves out what has been sent.
std::span<iovec> without(std::span<iovec> buffers, std::size_t size) noexcept {
    while (!buffers.empty() && size >= buffers.front().iov_len) {
        size -= buffers.front().iov_len;
        buffers = buffers.subspan(1);
    }
    if (!buffers.empty()) {
        buffers.front().iov_base = static_cast<std::byte*>(buffers.front().iov_base) + size;
        buffers.front().iov_len -= size;
    }
    return buffers;
}

}  // namespace

Task<Result<std::unique_ptr<TcpStream>>> TcpStream::connect(reactor::Reactor& reactor,
                                                            const ServerAddress& to,
                                                            TcpOptions options,
                                                            reactor::CancelSource& cancel) {
    const sa_family_t family = to.address.ss_family;
    UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd) co_return fail_errno();
    set_options(fd.get(), options.dead_time_max);
    if (options.privileged_port) {
        co_await or_return(bind_privileged(fd.get(), family));
    }
    const reactor::Limit limit = {.deadline = reactor.now() + options.connect_time_max,
                                  .cancel = &cancel};
    co_await or_return(
        co_await reactor.connect(fd.get(), as_sockaddr(to.address), to.size, limit));
    co_return std::make_unique<TcpStream>(reactor, std::move(fd));
}

Task<Result<void>> TcpStream::send(std::span<iovec> buffers, reactor::CancelSource& cancel) {
    while (!buffers.empty()) {
        msghdr message = {};
        message.msg_iov = buffers.data();
        message.msg_iovlen = std::min(buffers.size(), iovec_count_max);
        const reactor::Limit limit = {.deadline = deadline_, .cancel = &cancel};
        const auto sent = co_await reactor_.sendmsg(fd_.get(), message, 0, limit);
        if (!sent) co_return fail(sent.error());
        buffers = without(buffers, *sent);
    }
    co_return Result<void>();
}

Task<Result<std::size_t>> TcpStream::receive(std::span<iovec> to,
                                             reactor::CancelSource& cancel) {
    msghdr message = {};
    message.msg_iov = to.data();
    message.msg_iovlen = to.size();
    const reactor::Limit limit = {.deadline = deadline_, .cancel = &cancel};
    const auto received = co_await reactor_.recvmsg(fd_.get(), message, 0, limit);
    if (!received) co_return fail(received.error());
    if (*received == 0) co_return fail(Errno::connection_reset);
    co_return *received;
}

}  // namespace dpfs::rpc
