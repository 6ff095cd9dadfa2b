// SPDX-License-Identifier: Apache-2.0
// Goal: a connection with TLS talks to the right server only, and loses nothing when a session
// is cut. Method: servers of the library's on a thread, with certificates made here. A first
// connection that must fail is followed by one that works, so a refusal shows without waiting.
#include "net/rpc/connection.hpp"
#include "net/rpc/starttls.hpp"
#include "net/rpc/tls_context.hpp"
#include "reactor/blocking_pool.hpp"
#include "reactor/make_reactor.hpp"
#include "reactor/run_to_completion.hpp"
#include "tls_peer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dpfs::rpc {
namespace {

using testing::HasSubstr;

constexpr Procedure procedure = {.program = 400'000, .version = 1, .number = 7};

/// Keeps what is logged. One thread writes.
class Lines final : public LogSink {
  public:
    void write(LogLevel, std::string_view, std::string_view message) override {
        text += message;
        text += '\n';
    }
    [[nodiscard]] bool enabled(LogLevel) const override { return true; }
    std::string text;
};

class Greeter final : public ConnectionOwner {
  public:
    Task<Result<void>> greet(Connection&) override { return Task<Result<void>>::ready({}); }
    Result<void> answer(std::span<const std::byte>, std::vector<std::byte>&) override {
        return {};
    }
    void refused() override { ++refusal_count; }
    int refusal_count = 0;
};

class TlsTest : public testing::Test {
  protected:
    TlsTest() {
        tls_.mode = TlsMode::on;
        tls_.ca_file = folder_.certificate(authority_);
    }

    /// Performs `count` calls one after the other; the outcome of the last.
    Result<void> perform(const PeerServer& server, int count = 1) {
        ConnectionOptions options;
        options.addresses = {server.address()};
        options.retry_time_min = milliseconds(1);
        options.tls = TlsContext::make(tls_).value();
        options.tls_procedure = procedure;
        Connection connection(*reactor_, std::move(options), owner_, Logger(log_, ""));
        const auto outcome =
            reactor::run_to_completion(*reactor_, perform_all(connection, count));
        counters_ = connection.counters();
        return outcome;
    }
    Task<Result<void>> perform_all(Connection& connection, int count) {
        connection.start();
        Result<void> outcome;
        for (int i = 0; i < count && outcome; ++i) {
            begin_call(call_.record, procedure);
            outcome = co_await connection.perform(call_);
        }
        co_await connection.stop();
        co_return outcome;
    }
    std::uint32_t answer() {
        XdrReader in(call_.reply);
        if (take_reply_header(in) != ReplyStatus::success) return 0;
        return in.u32();
    }
    /// A call that meets `bad` first and a good server then. What was logged.
    std::string log_of_refusal(const PeerOptions& bad) {
        const PeerServer server(2, [&](int fd, int number) {
            PeerSession session(fd, number == 0 ? bad : PeerOptions{.identity = &good_});
            // Also what seems to be accepted: in TLS 1.3 the client learns of it later.
            if (session.accept()) session.serve_on();
        });
        EXPECT_TRUE(perform(server));
        EXPECT_EQ(answer(), 42U);
        EXPECT_EQ(counters_.connects, 1U);
        EXPECT_EQ(owner_.refusal_count, 1);
        return log_.text;
    }
    std::string make_error() {
        const auto made = TlsContext::make(tls_);
        return made ? "" : made.error();
    }

    PemFolder folder_;
    Identity authority_ = make_identity({.names = "DNS:ca", .is_authority = true});
    Identity good_ = make_identity({}, &authority_);
    TlsOptions tls_;
    Lines log_;
    std::unique_ptr<LogSink> quiet_ = make_stderr_sink(LogLevel::off);
    reactor::BlockingPool pool_{{}};
    std::unique_ptr<reactor::EventLoop> reactor_ =
        std::move(reactor::make_reactor({}, pool_, Logger(*quiet_, "test")).value());
    Greeter owner_;
    Call call_;
    Connection::Counters counters_;
};

TEST_F(TlsTest, brings_calls_and_replies_and_says_goodbye) {
    bool said_goodbye = false;
    {
        const PeerServer server(1, [&](int fd, int) {
            PeerSession session(fd, {.identity = &good_});
            said_goodbye = session.accept() && session.serve_on();
        });
        ASSERT_TRUE(perform(server, 100));
    }
    EXPECT_EQ(answer(), 42U);
    EXPECT_EQ(counters_.connects, 1U);
    EXPECT_TRUE(said_goodbye);
    EXPECT_THAT(log_.text, HasSubstr("TLSv1.3 TLS_AES_256_GCM_SHA384, verified as 'nas.test'"));
}

TEST_F(TlsTest, refuses_a_certificate_of_another_host) {
    const Identity other = make_identity({.names = "DNS:evil.test"}, &authority_);
    EXPECT_THAT(log_of_refusal({.identity = &other}),
                HasSubstr("its certificate is for evil.test, not for 'nas.test'"));
}

TEST_F(TlsTest, verifies_the_configured_name_instead_of_the_host) {
    const Identity other = make_identity({.names = "DNS:other.test"}, &authority_);
    tls_.server_name = "other.test";
    const PeerServer server(1, [&](int fd, int) {
        PeerSession session(fd, {.identity = &other});
        if (session.accept()) session.serve_on();
    });
    EXPECT_TRUE(perform(server));
    EXPECT_EQ(counters_.connects, 1U);
}

TEST_F(TlsTest, verifies_a_numeric_address_against_addresses_only) {
    tls_.server_name = "192.0.2.1";
    const Identity as_name = make_identity({.names = "DNS:192.0.2.1"}, &authority_);
    good_ = make_identity({.names = "IP:192.0.2.1"}, &authority_);
    EXPECT_THAT(log_of_refusal({.identity = &as_name}),
                HasSubstr("its certificate is for 192.0.2.1, not for '192.0.2.1'"));
}

TEST_F(TlsTest, refuses_an_expired_certificate) {
    const Identity old = make_identity({.days_left = -1}, &authority_);
    EXPECT_THAT(log_of_refusal({.identity = &old}), HasSubstr("expired); renew it"));
}

TEST_F(TlsTest, refuses_the_certificate_of_an_unknown_authority) {
    const Identity unknown = make_identity({.names = "DNS:ca", .is_authority = true});
    const Identity other = make_identity({}, &unknown);
    EXPECT_THAT(log_of_refusal({.identity = &other}),
                HasSubstr("name the certificate of the CA that signed it as the CA file"));
}

TEST_F(TlsTest, refuses_a_self_signed_certificate) {
    const Identity own = make_identity({});
    EXPECT_THAT(log_of_refusal({.identity = &own}),
                HasSubstr("self-signed certificate); if it is the server's, name it"));
}

TEST_F(TlsTest, believes_anybody_only_if_told_to) {
    tls_.unchecked_server = true;
    const Identity own = make_identity({.names = "DNS:evil.test"});
    const PeerServer server(1, [&](int fd, int) {
        PeerSession session(fd, {.identity = &own});
        if (session.accept()) session.serve_on();
    });
    EXPECT_TRUE(perform(server));
    EXPECT_EQ(counters_.connects, 1U);
    EXPECT_THAT(log_.text, HasSubstr("NOT VERIFIED"));
}

TEST_F(TlsTest, shows_its_own_certificate_to_a_server_that_asks) {
    const Identity own = make_identity({.names = "DNS:client"}, &authority_);
    tls_.certificate_file = folder_.certificate(own);
    tls_.key_file = folder_.key(own);
    const PeerServer server(1, [&](int fd, int) {
        PeerSession session(fd, {.identity = &good_, .client_authority = &authority_});
        if (session.accept()) session.serve_on();
    });
    EXPECT_TRUE(perform(server));
    EXPECT_EQ(counters_.connects, 1U);
}

TEST_F(TlsTest, says_that_a_server_asks_for_a_certificate) {
    const PeerServer server(2, [&](int fd, int number) {
        PeerSession session(
            fd, {.identity = &good_, .client_authority = number == 0 ? &authority_ : nullptr});
        if (session.accept()) session.serve_on();
    });
    EXPECT_TRUE(perform(server));
    EXPECT_THAT(log_.text, HasSubstr("it asks for a certificate of this client"));
}

TEST_F(TlsTest, refuses_older_versions_of_tls) {
    EXPECT_THAT(log_of_refusal({.identity = &good_, .version_max = TLS1_2_VERSION}),
                HasSubstr("it has no TLS 1.3"));
}

TEST_F(TlsTest, refuses_a_server_that_does_not_speak_rpc) {
    EXPECT_THAT(log_of_refusal({.identity = &good_, .has_alpn = false}),
                HasSubstr("no ALPN protocol"));
}

TEST_F(TlsTest, refuses_a_server_without_tls) {
    const PeerServer server(3, [&](int fd, int number) {
        PeerSession session(fd, {.identity = &good_});
        if (number == 2) {
            if (session.accept()) session.serve_on();
            return;
        }
        // A server of old answers the NULL call, or denies the flavor.
        const auto probe = read_plain_record(fd);
        std::vector<std::byte> reply;
        begin_reply(reply, XdrReader(probe).u32(), ReplyStatus::success);
        finish_record(reply, 0);
        send_all(fd, reply);
        EXPECT_TRUE(read_plain_record(fd).empty());
    });
    EXPECT_TRUE(perform(server));
    EXPECT_EQ(counters_.connects, 1U);
    const std::string said = "it does not offer TLS (TLS refused), which is required here";
    EXPECT_THAT(log_.text, HasSubstr(said));
    EXPECT_EQ(log_.text.find(said), log_.text.rfind(said)) << "said once only";
    EXPECT_EQ(owner_.refusal_count, 2);
}

TEST_F(TlsTest, sends_again_after_a_cut_in_the_handshake_and_in_a_record) {
    const PeerServer server(4, [&](int fd, int number) {
        PeerSession session(fd, {.identity = &good_});
        if (number == 0) {
            send_all(fd, starttls_answer(read_plain_record(fd)));
            std::array<std::byte, 100> hello = {};
            EXPECT_GT(::recv(fd, hello.data(), hello.size(), 0), 0);
            return;  // in the middle of the handshake
        }
        if (!session.accept()) return;
        const auto call = session.read_record();
        if (number == 3) {
            session.write(reply_to_call(call));
            session.serve_on();
            return;
        }
        auto bytes = session.encrypted(reply_to_call(call));
        // A session that ends without close_notify, in a record or between records.
        bytes.resize(number == 1 ? bytes.size() / 2 : 0);
        send_all(fd, bytes);
    });
    ASSERT_TRUE(perform(server));
    EXPECT_EQ(answer(), 42U);
    EXPECT_EQ(counters_.sent_again, 2U);
    EXPECT_EQ(owner_.refusal_count, 0) << "the next attempt may do";
}

TEST_F(TlsTest, leaves_a_session_with_a_forged_record) {
    const PeerServer server(2, [&](int fd, int number) {
        PeerSession session(fd, {.identity = &good_});
        if (!session.accept()) return;
        auto bytes = session.encrypted(reply_to_call(session.read_record()));
        if (number == 0) bytes.back() ^= std::byte{1};
        send_all(fd, bytes);
        EXPECT_EQ(session.read_record().size(), 0U);
    });
    ASSERT_TRUE(perform(server));
    EXPECT_EQ(answer(), 42U);
    EXPECT_EQ(counters_.connects, 2U);
    EXPECT_THAT(log_.text, HasSubstr("bad record mac"));
    EXPECT_EQ(owner_.refusal_count, 0);
}

TEST_F(TlsTest, takes_no_plain_bytes_for_the_session) {
    const PeerServer server(2, [&](int fd, int number) {
        PeerSession session(fd, {.identity = &good_});
        if (number == 0) {
            auto answer = starttls_answer(read_plain_record(fd));
            const auto smuggled = reply_to_call(answer);
            answer.insert(answer.end(), smuggled.begin(), smuggled.end());
            send_all(fd, answer);
            EXPECT_FALSE(session.shake_hands());
        } else if (session.accept()) {
            session.serve_on();
        }
    });
    ASSERT_TRUE(perform(server));
    EXPECT_EQ(counters_.connects, 1U);
    EXPECT_EQ(counters_.strays, 0U);
}

TEST_F(TlsTest, puts_a_session_in_single_bytes_together) {
    const PeerServer server(1, [&](int fd, int) {
        PeerSession session(fd, {.identity = &good_});
        if (!session.accept()) return;
        for (const std::byte each : session.encrypted(reply_to_call(session.read_record()))) {
            send_all(fd, {&each, 1});
        }
        session.read_record();
    });
    ASSERT_TRUE(perform(server));
    EXPECT_EQ(answer(), 42U);
    EXPECT_EQ(counters_.connects, 1U);
}

TEST_F(TlsTest, carries_large_records_both_ways) {
    constexpr std::size_t size = 5 << 20;
    std::vector<std::byte> data(size);
    for (std::size_t i = 0; i < size; ++i) data[i] = std::byte(i * 31 % 251);
    const iovec payload = {.iov_base = data.data(), .iov_len = size};
    bool is_same = false;
    {
        const PeerServer server(1, [&](int fd, int) {
            PeerSession session(fd, {.identity = &good_});
            if (!session.accept()) return;
            const auto call = session.read_record();
            is_same = call.size() > size &&
                      std::ranges::equal(std::span(call).last(size), std::span(data));
            session.write(reply_to_call(call, size));
            session.serve_on();
        });
        call_.payload = {&payload, 1};
        call_.payload_size = size;
        ASSERT_TRUE(perform(server));
    }
    EXPECT_TRUE(is_same);
    EXPECT_EQ(answer(), 42U);
    ASSERT_GT(call_.reply.size(), size);
    EXPECT_TRUE(std::ranges::all_of(std::span(call_.reply).last(size),
                                    [](std::byte each) { return each == std::byte{0x5a}; }));
}

TEST_F(TlsTest, changes_keys_when_either_side_wants_to) {
    tls_.records_per_key_max = 4;
    const PeerServer server(1, [&](int fd, int) {
        PeerSession session(fd, {.identity = &good_});
        if (!session.accept()) return;
        while (true) {
            const auto call = session.read_record();
            if (call.empty()) return;
            EXPECT_EQ(::SSL_key_update(session.session(), SSL_KEY_UPDATE_REQUESTED), 1);
            if (!session.write(reply_to_call(call))) return;
        }
    });
    ASSERT_TRUE(perform(server, 50));
    EXPECT_EQ(counters_.connects, 1U);
}

TEST_F(TlsTest, says_which_file_is_wrong) {
    const Identity own = make_identity({}, &authority_);
    tls_.ca_file = "/nonexistent/ca.pem";
    EXPECT_THAT(make_error(),
                HasSubstr("CA file '/nonexistent/ca.pem' cannot be read (ENOENT)"));
    tls_.ca_file = folder_.text("no certificate");
    EXPECT_THAT(make_error(), HasSubstr("has no certificate"));
    tls_.ca_file.clear();
    tls_.key_file = folder_.key(own);
    EXPECT_THAT(make_error(), HasSubstr("name both files, or neither"));
    tls_.certificate_file = folder_.certificate(good_);
    EXPECT_THAT(make_error(), HasSubstr("has no key of certificate"));
    tls_.certificate_file = folder_.certificate(own);
    EXPECT_EQ(make_error(), "");
    tls_.key_file = folder_.key(own, "secret");
    EXPECT_THAT(make_error(), HasSubstr("without a password"));
}

}  // namespace
}  // namespace dpfs::rpc
