// SPDX-License-Identifier: Apache-2.0
// A connection against a server on a thread of its own, which misbehaves as each test says.
#include "net/rpc/connection.hpp"

#include "base/socket_address.hpp"
#include "net/rpc/message.hpp"
#include "reactor/blocking_pool.hpp"
#include "reactor/make_reactor.hpp"
#include "reactor/run_to_completion.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <linux/filter.h>
#include <netinet/in.h>
#include <optional>
#include <poll.h>
#include <thread>

namespace dpfs::rpc {
namespace {

constexpr Procedure procedure = {.program = 400'000, .version = 1, .number = 7};

bool read_all(int fd, void* to, std::size_t size) {
    return ::recv(fd, to, size, MSG_WAITALL) == static_cast<ssize_t>(size);
}

void write_all(int fd, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const auto sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent <= 0) return;
        bytes = bytes.subspan(static_cast<std::size_t>(sent));
    }
}

/// A whole record of one fragment; empty at the end.
std::vector<std::byte> read_record(int fd) {
    std::array<std::byte, 4> mark = {};
    if (!read_all(fd, mark.data(), mark.size())) return {};
    const std::uint32_t size = XdrReader(mark).u32() & ~last_fragment;
    std::vector<std::byte> record(size);
    if (!read_all(fd, record.data(), size)) return {};
    return record;
}

/// A good reply to `call`, with its mark.
std::vector<std::byte> reply_to(std::span<const std::byte> call) {
    std::vector<std::byte> reply;
    begin_reply(reply, XdrReader(call).u32(), ReplyStatus::success);
    XdrWriter(reply).u32(42);
    finish_record(reply, 0);
    return reply;
}

/// Listens; `serve` is called with each connection and its number, from 0 on.
class Server {
  public:
    template <class Serve>
    explicit Server(int connection_count, Serve serve)
        : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in any = {};
        any.sin_family = AF_INET;
        any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof any;
        EXPECT_EQ(::bind(listener_.get(), as_sockaddr(any), size), 0);
        EXPECT_EQ(::listen(listener_.get(), 8), 0);
        EXPECT_EQ(::getsockname(listener_.get(), as_sockaddr(any), &size), 0);
        std::memcpy(&address_.address, &any, sizeof any);
        address_.size = sizeof any;
        address_.text = "test";
        thread_ = std::thread([this, connection_count, serve] {
            for (int i = 0; i < connection_count; ++i) {
                const UniqueFd fd(::accept(listener_.get(), nullptr, nullptr));
                if (!fd) return;
                serve(fd.get(), i);
            }
        });
    }
    ~Server() {
        close();
        thread_.join();
    }
    /// Nobody can connect from now on. Thread: any.
    void close() { ::shutdown(listener_.get(), SHUT_RDWR); }
    [[nodiscard]] const ServerAddress& address() const { return address_; }

  private:
    UniqueFd listener_;
    ServerAddress address_;
    std::thread thread_;
};

class Owner final : public ConnectionOwner {
  public:
    Task<Result<void>> greet(Connection& connection) override {
        static_cast<void>(connection);
        ++greetings;
        greeted.wake_all();
        return Task<Result<void>>::ready({});
    }
    Result<void> answer(std::span<const std::byte> call,
                        std::vector<std::byte>& reply) override {
        ++calls;
        begin_reply(reply, XdrReader(call).u32(), ReplyStatus::success);
        reply.resize(reply.size() + more_in_answer);
        finish_record(reply, 0);
        return {};
    }
    int calls = 0;
    std::size_t more_in_answer = 0;  // bytes
    int greetings = 0;
    WaitList greeted;
};

/// Where a READ-like reply's data begin: behind the header and a size.
class Finder final : public PayloadFinder {
  public:
    Answer find(std::span<const std::byte> beginning, PayloadPlace& place) override {
        XdrReader in(beginning);
        const ReplyStatus status = take_reply_header(in);
        const std::uint32_t size = in.u32();
        if (!in.ok()) return Answer::more_needed;
        if (status != ReplyStatus::success) return Answer::none;
        place = {.offset = beginning.size() - in.left(), .size = size};
        return Answer::found;
    }
};

class ConnectionTest : public testing::Test {
  protected:
    static ConnectionOptions options_for(std::vector<ServerAddress> addresses) {
        ConnectionOptions options;
        options.addresses = std::move(addresses);
        options.retry_time_min = milliseconds(1);
        options.reply_size_max = 1 << 20;
        return options;
    }
    /// Performs `count` calls one after the other; the outcome of the last.
    Result<void> perform(const Server& server, int count = 1) {
        return perform(options_for({server.address()}), count);
    }
    Result<void> perform(const ConnectionOptions& options, int count = 1) {
        Connection connection(*reactor_, options, owner_, Logger(*sink_, "test"));
        const auto outcome =
            reactor::run_to_completion(*reactor_, perform_all(connection, call_, count));
        counters_ = connection.counters();
        return outcome;
    }
    static Task<Result<void>> perform_all(Connection& connection, Call& call, int count) {
        connection.start();
        Result<void> outcome;
        for (int i = 0; i < count && outcome; ++i) {
            begin_call(call.record, procedure);
            outcome = co_await connection.perform(call);
        }
        co_await connection.stop();
        co_return outcome;
    }
    std::uint32_t answer() {
        XdrReader in(call_.reply);
        if (take_reply_header(in) != ReplyStatus::success) return 0;
        return in.u32();
    }

    std::unique_ptr<LogSink> sink_ = make_stderr_sink(LogLevel::off);
    reactor::BlockingPool pool_{{}};
    std::unique_ptr<reactor::EventLoop> reactor_ =
        std::move(reactor::make_reactor({}, pool_, Logger(*sink_, "test")).value());
    Owner owner_;
    Call call_;
    Connection::Counters counters_;
};

TEST_F(ConnectionTest, brings_a_call_and_its_reply) {
    const Server server(1, [](int fd, int) {
        while (true) {
            const auto call = read_record(fd);
            if (call.empty()) return;
            write_all(fd, reply_to(call));
        }
    });
    ASSERT_TRUE(perform(server, 100));
    EXPECT_EQ(answer(), 42U);
    EXPECT_EQ(counters_.connects, 1U);
}

TEST_F(ConnectionTest, sends_again_over_a_new_connection_what_was_not_answered) {
    const Server server(3, [](int fd, int number) {
        const auto call = read_record(fd);
        if (number < 2) return;
        write_all(fd, reply_to(call));
        read_record(fd);
    });
    ASSERT_TRUE(perform(server));
    EXPECT_EQ(answer(), 42U);
    EXPECT_EQ(counters_.sent_again, 2U);
}

TEST_F(ConnectionTest, puts_a_record_of_many_fragments_together) {
    const Server server(1, [](int fd, int) {
        const auto reply = reply_to(read_record(fd));
        for (std::size_t i = 4; i < reply.size(); ++i) {
            std::vector<std::byte> piece;
            XdrWriter(piece).u32((i + 1 == reply.size() ? last_fragment : 0) | 1);
            piece.push_back(reply[i]);
            write_all(fd, piece);
        }
        read_record(fd);
    });
    ASSERT_TRUE(perform(server));
    EXPECT_EQ(answer(), 42U);
}

TEST_F(ConnectionTest, takes_fragments_without_bytes) {
    const Server server(1, [](int fd, int) {
        const auto reply = reply_to(read_record(fd));
        std::vector<std::byte> pieces;
        XdrWriter out(pieces);
        out.u32(0);  // before anything else: there is no memory to put it into
        out.u32(static_cast<std::uint32_t>(reply.size() - 4));
        out.fixed(std::span(reply).subspan(4));
        out.u32(last_fragment);
        write_all(fd, pieces);
        read_record(fd);
    });
    ASSERT_TRUE(perform(server));
    EXPECT_EQ(answer(), 42U);
}

TEST_F(ConnectionTest, ignores_replies_that_nobody_waits_for) {
    const Server server(1, [](int fd, int) {
        const auto call = read_record(fd);
        auto stray = reply_to(call);
        stray[4] ^= std::byte{0x55};
        write_all(fd, stray);
        write_all(fd, reply_to(call));
        write_all(fd, reply_to(call));
        read_record(fd);
    });
    ASSERT_TRUE(perform(server));
    EXPECT_EQ(answer(), 42U);
    EXPECT_GE(counters_.strays, 1U);
}

TEST_F(ConnectionTest, leaves_a_server_that_sends_too_much) {
    const Server server(2, [](int fd, int number) {
        const auto call = read_record(fd);
        if (number == 0) {
            std::vector<std::byte> huge;
            XdrWriter(huge).u32(last_fragment | 0x7fff'ffff);
            write_all(fd, huge);
        } else {
            write_all(fd, reply_to(call));
        }
        read_record(fd);
    });
    ASSERT_TRUE(perform(server));
    EXPECT_EQ(counters_.connects, 2U);
}

TEST_F(ConnectionTest, leaves_a_server_that_sends_too_little_to_be_a_record) {
    const Server server(2, [](int fd, int number) {
        const auto call = read_record(fd);
        if (number == 0) {
            std::vector<std::byte> tiny;
            XdrWriter(tiny).u32(last_fragment | 4);
            XdrWriter(tiny).u32(0);
            write_all(fd, tiny);
        } else {
            write_all(fd, reply_to(call));
        }
        read_record(fd);
    });
    ASSERT_TRUE(perform(server));
    EXPECT_EQ(counters_.connects, 2U);
}

TEST_F(ConnectionTest, answers_the_servers_own_calls) {
    const Server server(1, [](int fd, int) {
        const auto call = read_record(fd);
        std::vector<std::byte> callback;
        begin_call(callback, procedure);
        finish_record(callback, 0);
        write_all(fd, callback);
        const auto answered = read_record(fd);
        if (answered.size() == 24) write_all(fd, reply_to(call));
        read_record(fd);
    });
    ASSERT_TRUE(perform(server));
    EXPECT_EQ(owner_.calls, 1);
}

TEST_F(ConnectionTest, leaves_a_server_that_calls_back_and_reads_no_answers) {
    // With 4 KiB each, many more answers than sockets have room for.
    constexpr int callback_count = 20'000;
    owner_.more_in_answer = 4096;
    const Server server(2, [](int fd, int number) {
        const auto call = read_record(fd);
        std::vector<std::byte> callback;
        begin_call(callback, procedure);
        finish_record(callback, 0);
        for (int i = 0; number == 0 && i < callback_count; ++i) write_all(fd, callback);
        if (number == 1) write_all(fd, reply_to(call));
        // Until the client leaves; it does so long before this time is over.
        constexpr int patience_ms = 5000;
        pollfd end = {.fd = fd, .events = POLLRDHUP, .revents = 0};
        ::poll(&end, 1, patience_ms);
    });
    ASSERT_TRUE(perform(server));
    EXPECT_EQ(counters_.connects, 2U);
    EXPECT_LT(owner_.calls, callback_count / 2);
}

/// Where nobody listens.
class ClosedPort {
  public:
    ClosedPort() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in any = {};
        any.sin_family = AF_INET;
        any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof any;
        EXPECT_EQ(::bind(fd_.get(), as_sockaddr(any), size), 0);
        EXPECT_EQ(::getsockname(fd_.get(), as_sockaddr(any), &size), 0);
        std::memcpy(&address_.address, &any, sizeof any);
        address_.size = sizeof any;
    }
    [[nodiscard]] const ServerAddress& address() const { return address_; }

  private:
    UniqueFd fd_;
    ServerAddress address_;
};

TEST_F(ConnectionTest, tries_the_servers_addresses_in_turn) {
    const ClosedPort first;
    const ClosedPort second;
    const Server third(1, [](int fd, int) {
        write_all(fd, reply_to(read_record(fd)));
        read_record(fd);
    });
    ASSERT_TRUE(perform(options_for({first.address(), second.address(), third.address()})));
    EXPECT_EQ(answer(), 42U);
    EXPECT_EQ(counters_.connects, 1U);
}

TEST_F(ConnectionTest, goes_to_the_next_address_when_the_one_in_use_is_gone) {
    const Server second(1, [](int fd, int) {
        write_all(fd, reply_to(read_record(fd)));
        read_record(fd);
    });
    std::optional<Server> first;
    first.emplace(1, [&first](int fd, int) {
        write_all(fd, reply_to(read_record(fd)));
        first->close();  // before the next call can come
    });
    ASSERT_TRUE(perform(options_for({first->address(), second.address()}), 2));
    EXPECT_EQ(answer(), 42U);
    EXPECT_EQ(counters_.connects, 2U);
}

/// From now on nothing that is sent to `fd` arrives, and nothing acknowledges it: as if the
/// machine, or the way to it, were gone.
void fall_silent(int fd) {
    sock_filter drop_all = {.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = 0};
    const sock_fprog program = {.len = 1, .filter = &drop_all};
    EXPECT_EQ(::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program), 0);
}

class SilenceTest : public ConnectionTest {
  protected:
    static constexpr Duration dead_time_max = seconds(4);
    ConnectionOptions impatient(const Server& server) {
        ConnectionOptions options = options_for({server.address()});
        options.tcp.dead_time_max = dead_time_max;
        return options;
    }
    /// One call, then none until the second connection is there.
    Task<Result<void>> call_and_be_idle(Connection& connection) {
        connection.start();
        begin_call(call_.record, procedure);
        const auto outcome = co_await connection.perform(call_);
        while (outcome && owner_.greetings < 2) {
            static_cast<void>(co_await owner_.greeted.wait(*reactor_));
        }
        co_await connection.stop();
        co_return outcome;
    }
    UniqueFd kept_;  // the silent connection's: its end would be heard
};

TEST_F(SilenceTest, a_server_that_is_silently_gone_is_noticed_though_nothing_is_asked) {
    const Server server(2, [this](int fd, int number) {
        if (number == 1) return;
        const auto call = read_record(fd);
        kept_.reset(::dup(fd));
        write_all(fd, reply_to(call));
        fall_silent(fd);
    });
    Connection connection(*reactor_, impatient(server), owner_, Logger(*sink_, "test"));
    const Instant began = reactor_->now();
    ASSERT_TRUE(reactor::run_to_completion(*reactor_, call_and_be_idle(connection)));
    EXPECT_LT((reactor_->now() - began).ns, seconds(30).ns);
}

TEST_F(SilenceTest, a_call_that_is_never_acknowledged_is_sent_over_a_new_connection) {
    const Server server(2, [this](int fd, int number) {
        const auto call = read_record(fd);
        if (number == 0) {
            kept_.reset(::dup(fd));
            fall_silent(fd);  // the reply goes out, but the next call does not come in
        }
        write_all(fd, reply_to(call));
        if (number == 1) read_record(fd);
    });
    // Far below answer_time_max, which is for servers that live.
    const Instant began = reactor_->now();
    ASSERT_TRUE(perform(impatient(server), 2));
    EXPECT_LT((reactor_->now() - began).ns, seconds(30).ns);
    EXPECT_EQ(counters_.connects, 2U);
}

/// A reply with `size` bytes of data, each its offset's low byte.
std::vector<std::byte> data_reply(std::span<const std::byte> call,
                                  std::uint32_t said,
                                  std::size_t size) {
    std::vector<std::byte> reply;
    begin_reply(reply, XdrReader(call).u32(), ReplyStatus::success);
    XdrWriter(reply).u32(said);
    for (std::size_t i = 0; i < size + padding_of(size); ++i) {
        reply.push_back(static_cast<std::byte>(i & 0xff));
    }
    finish_record(reply, 0);
    return reply;
}

class ReadTest : public ConnectionTest, public testing::WithParamInterface<std::size_t> {};

TEST_P(ReadTest, data_lie_where_the_caller_wants_them) {
    const std::size_t size = GetParam();
    const Server server(1, [size](int fd, int) {
        const auto call = read_record(fd);
        write_all(fd, data_reply(call, static_cast<std::uint32_t>(size), size));
        const auto next = read_record(fd);
        write_all(fd, data_reply(next, static_cast<std::uint32_t>(size), size));
        read_record(fd);
    });
    std::vector<std::byte> room(size);
    const std::size_t middle = size / 3;
    const std::array<iovec, 2> buffers = {
        iovec{.iov_base = room.data(), .iov_len = middle},
        iovec{.iov_base = room.data() + middle, .iov_len = size - middle}};
    Finder finder;
    call_.finder = &finder;
    call_.room = buffers;
    ASSERT_TRUE(perform(server, 2));
    ASSERT_EQ(call_.taken, size);
    for (std::size_t i = 0; i < size; ++i) {
        ASSERT_EQ(room[i], static_cast<std::byte>(i & 0xff)) << i;
    }
}

INSTANTIATE_TEST_SUITE_P(
    Sizes, ReadTest, testing::Values(0, 1, 3, 4096, 5001, 65500, 65536, 300'001, 1'000'000));

TEST_F(ConnectionTest, data_that_do_not_fit_are_never_written) {
    for (const std::uint32_t said : {101U, 4096U, 0xffff'ffffU}) {
        const Server server(2, [said](int fd, int number) {
            const auto call = read_record(fd);
            write_all(fd, number == 0 ? data_reply(call, said, 8192) : data_reply(call, 4, 4));
            read_record(fd);
        });
        std::vector<std::byte> room(200, std::byte{0xee});
        const std::array<iovec, 1> buffers = {iovec{.iov_base = room.data(), .iov_len = 100}};
        Finder finder;
        call_.finder = &finder;
        call_.room = buffers;
        ASSERT_TRUE(perform(server));
        EXPECT_EQ(counters_.connects, 2U);
        EXPECT_EQ(call_.taken, 4U);
        EXPECT_EQ(room[100], std::byte{0xee});
    }
}

}  // namespace
}  // namespace dpfs::rpc
