// SPDX-License-Identifier: Apache-2.0
// Goal: a client whose server TLS does not let it talk to says so at once, instead of trying
// for as long as a server may take to come up. Method: a server of the library's on a thread,
// and a client that has an hour.
#include "net/nfs4/client.hpp"
#include "no_state.hpp"
#include "reactor/blocking_pool.hpp"
#include "reactor/make_reactor.hpp"
#include "reactor/run_to_completion.hpp"
#include "tls_peer.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <cstring>

namespace dpfs::nfs4 {
namespace {

using rpc::make_identity;
using rpc::PeerServer;
using rpc::PeerSession;

class TlsClientTest : public testing::Test {
  protected:
    /// What start() says of `server`, when it trusts `authority_`.
    Result<void> start(const PeerServer& server) {
        ClientOptions options;
        sockaddr_in address = {};
        std::memcpy(&address, &server.address().address, sizeof address);
        options.servers = {fmt::format("127.0.0.1:{}", ntohs(address.sin_port))};
        options.tls.mode = rpc::TlsMode::on;
        options.tls.server_name = "nas.test";
        options.tls.ca_file = folder_.certificate(authority_);
        options.start_time_max = seconds(3600);
        auto client = Client::make(options, {&*reactor_}, Logger(*quiet_, "test"));
        EXPECT_TRUE(client) << client.error();
        return reactor::run_to_completion(*reactor_, start_and_stop(**client));
    }
    Task<Result<void>> start_and_stop(Client& client) {
        const auto started = co_await client.start(holder_, *reactor_);
        co_await client.stop(holder_, *reactor_);
        co_return started;
    }

    rpc::PemFolder folder_;
    rpc::Identity authority_ = make_identity({.names = "DNS:ca", .is_authority = true});
    rpc::Identity good_ = make_identity({}, &authority_);
    NoState holder_;
    std::unique_ptr<LogSink> quiet_ = make_stderr_sink(LogLevel::off);
    reactor::BlockingPool pool_{{}};
    std::unique_ptr<reactor::EventLoop> reactor_ =
        std::move(reactor::make_reactor({}, pool_, Logger(*quiet_, "test")).value());
};

TEST_F(TlsClientTest, does_not_wait_for_a_wrong_certificate_to_become_right) {
    const rpc::Identity evil = make_identity({.names = "DNS:evil.test"}, &authority_);
    const PeerServer server(1, [&](int fd, int) {
        PeerSession session(fd, {.identity = &evil});
        EXPECT_FALSE(session.accept());
    });
    EXPECT_EQ(start(server), fail(Errno::protocol));
}

TEST_F(TlsClientTest, does_not_wait_for_a_server_to_be_given_tls) {
    const PeerServer server(1, [](int fd, int) {
        const auto probe = rpc::read_plain_record(fd);
        std::vector<std::byte> reply;
        rpc::begin_reply(reply, rpc::XdrReader(probe).u32(), rpc::ReplyStatus::authentication);
        rpc::finish_record(reply, 0);
        rpc::send_all(fd, reply);
        EXPECT_TRUE(rpc::read_plain_record(fd).empty());
    });
    EXPECT_EQ(start(server), fail(Errno::protocol));
}

TEST_F(TlsClientTest, does_not_wait_for_a_certificate_of_its_own) {
    const PeerServer server(1, [&](int fd, int) {
        PeerSession session(fd, {.identity = &good_, .client_authority = &authority_});
        EXPECT_FALSE(session.accept());
    });
    EXPECT_EQ(start(server), fail(Errno::protocol));
}

}  // namespace
}  // namespace dpfs::nfs4
