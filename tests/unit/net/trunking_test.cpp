// SPDX-License-Identifier: Apache-2.0
// One client on four reactors, against a server that can stop serving one of its connections.
#include "fake_nfs/server.hpp"
#include "net/nfs4/client.hpp"
#include "no_state.hpp"
#include "reactor/blocking_pool.hpp"
#include "reactor/reactor_threads.hpp"

#include <gtest/gtest.h>

#include <future>
#include <semaphore>
#include <thread>

namespace dpfs::nfs4 {
namespace {

constexpr std::size_t reactor_count = 4;

class TrunkingTest : public testing::Test {
  protected:
    TrunkingTest() : server_({}), server_thread_([this] { server_.run(); }) {
        std::vector<reactor::Reactor*> all;
        all.reserve(reactor_count);
        for (std::size_t i = 0; i < reactor_count; ++i) all.push_back(&threads_->reactor(i));
        ClientOptions options;
        options.servers = {fmt::format("127.0.0.1:{}", server_.port())};
        client_ = std::move(Client::make(options, all, Logger(*sink_, "")).value());
    }
    ~TrunkingTest() override {
        threads_->stop_all();
        threads_->join();
        server_.stop();
        server_thread_.join();
    }

    /// Runs `task` on a reactor and waits for its end.
    void finish(std::size_t reactor, Task<void> task) {
        std::promise<void> done;
        auto ended = done.get_future();
        threads_->spawn(reactor, then_tell(std::move(task), std::move(done)));
        ended.wait();
    }
    static Task<void> then_tell(Task<void> task, std::promise<void> done) {
        co_await std::move(task);
        done.set_value();
    }
    Task<void> start() {
        const auto started = co_await client_->start(holder_, threads_->reactor(0));
        EXPECT_TRUE(started);
    }
    Task<void> stop() { return client_->stop(holder_, threads_->reactor(0)); }

    /// `count` requests, one after the other.
    Task<void> ask(std::size_t index, int count) {
        Lane& lane = client_->lane(threads_->reactor(index));
        for (int i = 0; i < count; ++i) {
            const auto request = lane.request({});
            request->put(Op::putrootfh);
            request->put_getattr({Attribute::type});
            const auto outcome = co_await lane.run(*request);
            EXPECT_TRUE(outcome);
        }
    }
    /// The same, in many chains side by side; then `ended_` can be acquired once more.
    Task<void> ask_much(std::size_t index) {
        Gate chains;
        for (int i = 0; i < chain_count; ++i) chains.spawn(ask(index, chain_length));
        co_await chains.close();
        ended_.release();
    }

    static constexpr int chain_count = 16;
    static constexpr int chain_length = 200;

    std::unique_ptr<LogSink> sink_ = make_stderr_sink(LogLevel::off);
    fake_nfs::Server server_;
    std::thread server_thread_;
    reactor::BlockingPool pool_{{}};
    std::unique_ptr<reactor::ReactorThreads> threads_ = std::move(
        reactor::ReactorThreads::make({.count = reactor_count}, pool_, Logger(*sink_, ""))
            .value());
    NoState holder_;
    std::unique_ptr<Client> client_;
    std::counting_semaphore<> ended_{0};
};

// nfs-ganesha 15.2 cannot read back, after a restart, a name that it had to encode.
TEST_F(TrunkingTest, a_name_that_is_made_up_is_one_that_servers_remember) {
    ClientOptions options;
    options.servers = {"127.0.0.1:1"};
    options.instance = "tag /run/a_50%.sock";
    const auto client = Client::make(options, {&threads_->reactor(0)}, Logger(*sink_, ""));
    ASSERT_TRUE(client);
    EXPECT_TRUE((*client)->owner().ends_with("-tag%20%2Frun%2Fa_50%25.sock"));
    EXPECT_EQ((*client)->owner().find_first_of(" /"), std::string_view::npos);
}

TEST_F(TrunkingTest, a_connection_that_the_server_does_not_serve_delays_no_other) {
    finish(0, start());
    // One request over each says that all are there: the server counts from 0, which is home's.
    for (std::size_t i = 0; i < reactor_count; ++i) finish(i, ask(i, 1));
    server_.stall(2);
    for (std::size_t i = 0; i < reactor_count; ++i) threads_->spawn(i, ask_much(i));

    for (std::size_t i = 0; i < reactor_count - 1; ++i) ended_.acquire();
    EXPECT_FALSE(ended_.try_acquire());
    server_.stall(-1);
    ended_.acquire();

    constexpr auto all = std::uint64_t{chain_count} * chain_length;
    for (const auto& lane : client_->lanes()) {
        EXPECT_GE(lane->counters().requests, all);
        EXPECT_EQ(lane->counters().slot_waits, 0U);
        EXPECT_EQ(lane->connection_counters().connects, 1U);
        EXPECT_GE(lane->connection_counters().calls, all);
        EXPECT_GT(lane->connection_counters().bytes_received, all * 100);
    }
    finish(0, stop());
}

}  // namespace
}  // namespace dpfs::nfs4
