// SPDX-License-Identifier: Apache-2.0
// Goal: sockets, pipes and eventfds are waited for without blocking the loop, on each reactor.
// Method: both ends in one process; one side waits before the other acts.
#include "base/unix_address.hpp"
#include "reactor_fixture.hpp"

#include <array>
#include <netinet/in.h>
#include <poll.h>

namespace dpfs::reactor {
namespace {

using StreamOperations = EachReactor;
constexpr std::uint64_t no_offset = ~std::uint64_t{0};

Task<void> receive(Reactor& reactor, int fd, std::string& text, std::uint32_t& size) {
    const iovec to = buffer_of(text);
    msghdr message = {};
    message.msg_iov = const_cast<iovec*>(&to);
    message.msg_iovlen = 1;
    const auto received = co_await reactor.recvmsg(fd, message);
    EXPECT_TRUE(received.has_value());
    size = *received;
}

Task<Result<std::uint32_t>> send(Reactor& reactor, int fd, std::string text) {
    const iovec from = buffer_of(text);
    msghdr message = {};
    message.msg_iov = const_cast<iovec*>(&from);
    message.msg_iovlen = 1;
    co_return co_await reactor.sendmsg(fd, message);
}

Task<void> receive_before_sending(Reactor& reactor, StreamPair& pair) {
    std::string text(8, '?');
    std::uint32_t size = 0;
    Gate gate;
    gate.spawn(receive(reactor, pair.left.get(), text, size));
    co_await reactor.yield();
    EXPECT_EQ(co_await send(reactor, pair.right.get(), "hello"), 5u);
    co_await gate.close();
    EXPECT_EQ(text.substr(0, size), "hello");
}

TEST_P(StreamOperations, recvmsg_waits_for_sendmsg) {
    StreamPair pair = make_socket_pair();
    run(receive_before_sending(reactor(), pair));
}

/// Fills the socket until its peer reads.
Task<void> send_much(Reactor& reactor, int fd, std::size_t size) {
    std::size_t sent = 0;
    while (sent < size) {
        const auto part = co_await send(reactor, fd, std::string(65536, 'x'));
        EXPECT_TRUE(part.has_value());
        sent += *part;
    }
}

Task<void> send_more_than_fits(Reactor& reactor, StreamPair& pair) {
    constexpr std::size_t total = std::size_t{64} * 65536;
    Gate gate;
    gate.spawn(send_much(reactor, pair.left.get(), total));
    std::size_t received = 0;
    while (received < total) {
        std::string text(100'000, '?');
        std::uint32_t size = 0;
        co_await receive(reactor, pair.right.get(), text, size);
        received += size;
    }
    co_await gate.close();
}

TEST_P(StreamOperations, sendmsg_waits_for_room) {
    StreamPair pair = make_socket_pair();
    run(send_more_than_fits(reactor(), pair));
}

TEST_P(StreamOperations, sendmsg_to_a_closed_peer_fails_without_a_signal) {
    StreamPair pair = make_socket_pair();
    pair.right.reset();
    const auto sent = run(send(reactor(), pair.left.get(), "hello"));
    EXPECT_EQ(sent.error(), Errno::broken_pipe);
}

Task<void> accept_one(Reactor& reactor, int listener, UniqueFd& accepted) {
    auto fd = co_await reactor.accept(listener);
    EXPECT_TRUE(fd.has_value());
    accepted = std::move(*fd);
}

Task<void> connect_and_greet(
    Reactor& reactor, int listener, int client, const sockaddr* address, socklen_t size) {
    UniqueFd server;
    Gate gate;
    gate.spawn(accept_one(reactor, listener, server));
    co_await reactor.yield();
    EXPECT_TRUE((co_await reactor.connect(client, address, size)).has_value());
    co_await gate.close();

    StreamPair pair = {std::move(server), UniqueFd(::dup(client))};
    co_await receive_before_sending(reactor, pair);
    EXPECT_TRUE((co_await reactor.shutdown(client, SHUT_WR)).has_value());
    std::string text(8, '?');
    std::uint32_t received = 1;
    co_await receive(reactor, pair.left.get(), text, received);
    EXPECT_EQ(received, 0u);
}

struct TcpListener {
    UniqueFd fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    union {
        sockaddr_in address = {};
        sockaddr any;  // the same bytes, as the system calls name them
    };

    TcpListener() {
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        EXPECT_EQ(::bind(fd.get(), generic(), size), 0);
        EXPECT_EQ(::listen(fd.get(), 8), 0);
        EXPECT_EQ(::getsockname(fd.get(), generic(), &size), 0);
    }
    sockaddr* generic() { return &any; }
};

TEST_P(StreamOperations, a_tcp_connection_is_made_used_and_shut_down) {
    TcpListener listener;
    const UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    run(connect_and_greet(reactor(),
                          listener.fd.get(),
                          client.get(),
                          listener.generic(),
                          sizeof listener.address));
    // Still in blocking mode, as it was given.
    EXPECT_EQ(::fcntl(client.get(), F_GETFL) & O_NONBLOCK, 0);
}

Task<Result<void>> connect_to(Reactor& reactor, int fd, const sockaddr* to, socklen_t size) {
    co_return co_await reactor.connect(fd, to, size);
}

TEST_P(StreamOperations, connect_to_nobody_is_refused) {
    TcpListener listener;
    listener.fd.reset();
    const UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const auto connected =
        run(connect_to(reactor(), client.get(), listener.generic(), sizeof listener.address));
    EXPECT_EQ(connected.error(), Errno::connection_refused);
}

TEST_P(StreamOperations, a_unix_connection_is_made_and_used) {
    const ScratchDirectory scratch;
    const auto address = UnixAddress::of(scratch.path("s"));
    ASSERT_TRUE(address.has_value());
    const UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::bind(listener.get(), address->get(), UnixAddress::size), 0);
    ASSERT_EQ(::listen(listener.get(), 8), 0);
    const UniqueFd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    run(connect_and_greet(
        reactor(), listener.get(), client.get(), address->get(), UnixAddress::size));
}

Task<void> read_count(Reactor& reactor, int fd, std::uint64_t& count) {
    const iovec to = {&count, sizeof count};
    EXPECT_EQ(co_await reactor.readv(fd, std::span(&to, 1), no_offset), sizeof count);
}

Task<void> wait_for_eventfd(Reactor& reactor, int fd) {
    std::uint64_t count = 0;
    Gate gate;
    gate.spawn(read_count(reactor, fd, count));
    co_await reactor.yield();
    const std::uint64_t three = 3;
    const iovec from = {const_cast<std::uint64_t*>(&three), sizeof three};
    EXPECT_EQ(co_await reactor.writev(fd, std::span(&from, 1), no_offset), sizeof three);
    co_await gate.close();
    EXPECT_EQ(count, 3u);
}

TEST_P(StreamOperations, readv_waits_for_an_eventfd) {
    const UniqueFd fd = make_eventfd();
    run(wait_for_eventfd(reactor(), fd.get()));
}

Task<void> fill_pipe(Reactor& reactor, int fd, std::size_t size) {
    std::string text(size, 'x');
    std::size_t sent = 0;
    while (sent < size) {
        const iovec from = {text.data() + sent, size - sent};
        const auto part = co_await reactor.writev(fd, std::span(&from, 1), no_offset);
        EXPECT_TRUE(part.has_value());
        sent += *part;
    }
}

Task<void> drain_pipe(Reactor& reactor, StreamPair& pipe) {
    constexpr std::size_t size = 1'000'000;  // more than a pipe holds
    Gate gate;
    gate.spawn(fill_pipe(reactor, pipe.right.get(), size));
    std::size_t received = 0;
    while (received < size) {
        std::string text(50'000, '?');
        const iovec to = buffer_of(text);
        const auto part = co_await reactor.readv(pipe.left.get(), std::span(&to, 1), no_offset);
        EXPECT_TRUE(part.has_value());
        received += *part;
    }
    co_await gate.close();
}

TEST_P(StreamOperations, a_pipe_is_filled_and_drained) {
    StreamPair pipe = make_pipe();
    run(drain_pipe(reactor(), pipe));
}

Task<void> poll_once(Reactor& reactor, int fd, std::uint32_t events, std::uint32_t& came) {
    const auto polled = co_await reactor.poll(fd, events);
    EXPECT_TRUE(polled.has_value());
    came = *polled;
}

Task<void> poll_several(Reactor& reactor, StreamPair& pair) {
    std::uint32_t readable = 0;
    std::uint32_t also_readable = 0;
    std::uint32_t writable = 0;
    std::uint32_t hung_up = 0;
    Gate gate;
    gate.spawn(poll_once(reactor, pair.left.get(), POLLIN, readable));
    gate.spawn(poll_once(reactor, pair.left.get(), POLLIN, also_readable));
    gate.spawn(poll_once(reactor, pair.left.get(), POLLOUT, writable));
    gate.spawn(poll_once(reactor, pair.left.get(), POLLHUP, hung_up));
    EXPECT_EQ(co_await send(reactor, pair.right.get(), "x"), 1u);
    pair.right.reset();
    co_await gate.close();
    EXPECT_NE(readable & POLLIN, 0u);
    EXPECT_NE(also_readable & POLLIN, 0u);
    EXPECT_NE(writable & POLLOUT, 0u);
    EXPECT_NE(hung_up & POLLHUP, 0u);
}

TEST_P(StreamOperations, several_wait_for_events_of_one_descriptor) {
    StreamPair pair = make_socket_pair();
    run(poll_several(reactor(), pair));
}

Task<void> poll_file(Reactor& reactor, int fd) {
    EXPECT_EQ(co_await reactor.poll(fd, POLLIN | POLLOUT),
              static_cast<std::uint32_t>(POLLIN | POLLOUT));
}

TEST_P(StreamOperations, a_regular_file_is_always_ready) {
    const UniqueFd file(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    run(poll_file(reactor(), file.get()));
}

/// The number of a descriptor that is closed while a duplicate lives, then used again.
Task<void> reuse_number(Reactor& reactor) {
    StreamPair pair = make_socket_pair();
    const int number = pair.left.get();
    const UniqueFd duplicate(::dup(number));
    std::uint32_t came = 0;
    co_await poll_once(reactor, number, POLLOUT, came);
    pair.left.reset();

    StreamPair other = make_socket_pair();
    EXPECT_EQ(other.left.get(), number);
    EXPECT_EQ(co_await send(reactor, pair.right.get(), "for the old one"), 15u);
    co_await receive_before_sending(reactor, other);
}

TEST_P(StreamOperations, a_descriptor_number_is_used_again) {
    run(reuse_number(reactor()));
}

DPFS_ON_EACH_REACTOR(StreamOperations);

}  // namespace
}  // namespace dpfs::reactor
