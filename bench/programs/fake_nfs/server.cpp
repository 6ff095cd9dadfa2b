// SPDX-License-Identifier: Apache-2.0
#include "fake_nfs/server.hpp"

#include "base/socket_address.hpp"
#include "net/rpc/message.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

namespace dpfs::fake_nfs {
namespace {

constexpr std::size_t input_size_max = 4 << 20;  // bytes: more than the largest call

void need(bool good, const char* what) {
    if (good) return;
    std::perror(what);
    std::exit(1);
}

void watch(int events, int fd, std::uint32_t wanted, void* who) {
    epoll_event event = {.events = wanted, .data = {.ptr = who}};
    need(::epoll_ctl(events, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
}

}  // namespace

struct Server::Connection {
    UniqueFd fd;
    int number = 0;
    bool ended = false;
    std::vector<std::byte> input = std::vector<std::byte>(input_size_max);
    std::size_t begin = 0, end = 0;  // of what has been received and not been answered
    Output output;
    std::vector<iovec> unsent;  // of `output`
    std::size_t first_unsent = 0;
};

Server::Server(ServerOptions options)
    : options_(options),
      listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)),
      events_(::epoll_create1(EPOLL_CLOEXEC)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      compound_(tree_, options.limits) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(options.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    const int one = 1;
    ::setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    need(::bind(listener_.get(), as_sockaddr(address), size) == 0, "bind");
    need(::listen(listener_.get(), 64) == 0, "listen");
    need(::getsockname(listener_.get(), as_sockaddr(address), &size) == 0, "getsockname");
    port_ = ntohs(address.sin_port);
    watch(events_.get(), listener_.get(), EPOLLIN, &listener_);
    watch(events_.get(), wake_.get(), EPOLLIN, &wake_);
}

Server::~Server() = default;

void Server::stop() noexcept {
    stopping_.store(true);
    ::eventfd_write(wake_.get(), 1);
}

void Server::stall(int number) noexcept {
    stalled_.store(number);
    ::eventfd_write(wake_.get(), 1);
}

void Server::run() {
    std::array<epoll_event, 64> found;
    bool busy = true;
    while (!stopping_.load(std::memory_order_relaxed)) {
        // Who spins, or has just done something, looks at its connections first.
        const int timeout = busy || options_.spins ? 0 : -1;
        if (!busy || timeout != 0 || connections_.empty()) {
            const int count = ::epoll_wait(
                events_.get(), found.data(), static_cast<int>(found.size()), timeout);
            for (int i = 0; i < count; ++i) {
                const void* const who = found[static_cast<std::size_t>(i)].data.ptr;
                if (who == &listener_) accept();
                eventfd_t ignored = 0;
                if (who == &wake_) ::eventfd_read(wake_.get(), &ignored);
            }
        }
        busy = false;
        for (const auto& each : connections_) {
            if (each->number != stalled_.load(std::memory_order_relaxed)) busy |= serve(*each);
        }
        remove_ended();
    }
}

void Server::accept() {
    auto made = std::make_unique<Connection>();
    made->fd.reset(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!made->fd) return;
    const int one = 1;
    ::setsockopt(made->fd.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    made->number = connection_count_++;
    watch(events_.get(), made->fd.get(), EPOLLIN | EPOLLOUT | EPOLLET, made.get());
    connections_.push_back(std::move(made));
}

void Server::remove_ended() {
    std::erase_if(connections_, [](const auto& each) { return each->ended; });
}

bool Server::serve(Connection& connection) {
    // What could not be sent comes first: a client that does not read gets no more answers.
    if (!connection.output.empty()) {
        if (!send(connection)) connection.ended = true;
        if (!connection.output.empty()) return false;
    }
    if (!receive(connection)) return false;
    if (!answer(connection) || !send(connection)) connection.ended = true;
    return true;
}

bool Server::receive(Connection& connection) {
    if (connection.begin == connection.end) connection.begin = connection.end = 0;
    if (connection.end > input_size_max / 2) {
        std::memmove(connection.input.data(),
                     connection.input.data() + connection.begin,
                     connection.end - connection.begin);
        connection.end -= connection.begin;
        connection.begin = 0;
    }
    const ssize_t received = ::recv(connection.fd.get(),
                                    connection.input.data() + connection.end,
                                    input_size_max - connection.end,
                                    MSG_DONTWAIT);
    if (received > 0) {
        connection.end += static_cast<std::size_t>(received);
        return true;
    }
    if (received == 0 || (errno != EAGAIN && errno != EINTR)) connection.ended = true;
    return false;
}

bool Server::answer(Connection& connection) {
    const std::span input(connection.input);
    while (connection.end - connection.begin >= rpc::record_mark_size) {
        const auto there = input.subspan(connection.begin, connection.end - connection.begin);
        const std::uint32_t mark = rpc::XdrReader(there).u32();
        const std::size_t size = mark & ~rpc::last_fragment;
        const bool is_whole = (mark & rpc::last_fragment) != 0;
        if (!is_whole || size > input_size_max / 2) return false;
        if (there.size() - rpc::record_mark_size < size) break;
        const auto record = there.subspan(rpc::record_mark_size, size);
        if (!compound_.answer(record, connection.output)) return false;
        connection.begin += rpc::record_mark_size + size;
    }
    // Its addresses are good from here on, until all has been sent.
    Output& output = connection.output;
    connection.unsent.clear();
    connection.first_unsent = 0;
    std::size_t position = 0;
    const auto add_bytes = [&](std::size_t until) {
        if (until == position) return;
        connection.unsent.push_back({output.bytes.data() + position, until - position});
        position = until;
    };
    for (const Output::Piece& piece : output.pieces) {
        add_bytes(piece.position);
        connection.unsent.push_back(
            {const_cast<std::byte*>(piece.part.data()), piece.part.size()});
    }
    add_bytes(output.bytes.size());
    return true;
}

bool Server::send(Connection& connection) {
    while (connection.first_unsent < connection.unsent.size()) {
        constexpr std::size_t iovec_count_max = 1024;  // IOV_MAX
        auto rest = std::span(connection.unsent).subspan(connection.first_unsent);
        msghdr message = {};
        message.msg_iov = rest.data();
        message.msg_iovlen = std::min(rest.size(), iovec_count_max);
        const ssize_t sent =
            ::sendmsg(connection.fd.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0) return errno == EAGAIN || errno == EINTR;
        for (auto left = static_cast<std::size_t>(sent); left > 0;) {
            iovec& first = rest.front();
            const std::size_t part = std::min(left, first.iov_len);
            first.iov_base = static_cast<std::byte*>(first.iov_base) + part;
            first.iov_len -= part;
            left -= part;
            if (first.iov_len > 0) break;
            rest = rest.subspan(1);
            ++connection.first_unsent;
        }
    }
    connection.output.clear();
    connection.unsent.clear();
    return true;
}

}  // namespace dpfs::fake_nfs
