// SPDX-License-Identifier: Apache-2.0
// Goal: `dpfs bench` measures real devices, leaves nothing behind, and tells of a device that
// fails in one line. Method: the real binary against `dpfs serve`, and against sockets that do
// not speak vhost-user.
#include "base/unix_address.hpp"
#include "child_process.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <csignal>
#include <filesystem>
#include <sys/socket.h>

namespace dpfs::daemon {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

using Arguments = std::vector<std::string>;

/// A folder of its own for each test, with a directory to share.
class BenchProgram : public testing::Test {
  protected:
    BenchProgram() {
        std::string name = "/tmp/dpfs-bench-test.XXXXXX";
        folder_ = ::mkdtemp(name.data());
        std::filesystem::create_directory(folder_ / "shared");
    }
    ~BenchProgram() override { std::filesystem::remove_all(folder_); }

    [[nodiscard]] std::string path(const std::string& name) const { return folder_ / name; }
    [[nodiscard]] Arguments null_device() const {
        return {"serve", "null", "--socket", path("s")};
    }
    [[nodiscard]] Arguments directory_device() const {
        return {"serve", "aio", "--dir", path("shared"), "--socket", path("s")};
    }
    /// A short run on the device of this folder.
    [[nodiscard]] Arguments bench(const Arguments& more) const {
        Arguments arguments = {"bench",
                               "--socket",
                               path("s"),
                               "--rounds",
                               "1",
                               "--depth",
                               "4",
                               "--round-ms",
                               "20",
                               "--json",
                               "--file-size",
                               "1M",
                               "--warm-up-ms",
                               "1"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return arguments;
    }
    static std::string output_of(ChildProcess& program) {
        std::string text;
        for (std::string line = program.next_output_line(); !line.empty();
             line = program.next_output_line()) {
            text += line + '\n';
        }
        return text;
    }
    static nlohmann::json report_of(const Arguments& arguments) {
        ChildProcess program(arguments);
        const std::string text = output_of(program);
        const std::string error = program.next_error_line();
        EXPECT_EQ(error, "");
        EXPECT_EQ(program.wait(), 0);
        return nlohmann::json::parse(text, nullptr, false);
    }
    static void expect_error(const Arguments& arguments,
                             const std::string& message,
                             int exit_code) {
        ChildProcess program(arguments);
        EXPECT_EQ(program.next_error_line(), "dpfs: " + message);
        EXPECT_EQ(program.next_error_line(), "");
        EXPECT_EQ(program.next_output_line(), "");
        EXPECT_EQ(program.wait(), exit_code);
    }
    /// A socket that somebody listens on, and nobody answers.
    [[nodiscard]] UniqueFd listen() const {
        const auto address = UnixAddress::of(path("s"));
        EXPECT_TRUE(address);
        UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        EXPECT_EQ(::bind(socket.get(), address->get(), UnixAddress::size), 0);
        EXPECT_EQ(::listen(socket.get(), 1), 0);
        return socket;
    }

    /// Until the server has had more requests than making the files takes.
    static void wait_for_a_round(ChildProcess& server) {
        const testing::Matcher<std::string> many =
            testing::ContainsRegex("requests=[0-9][0-9][0-9][0-9][0-9]");
        std::string line;
        do {
            server.signal(SIGUSR1);
            line = server.error_line_with("queue=1");
        } while (!line.empty() && !many.Matches(line));
    }

    std::filesystem::path folder_;
};

TEST_F(BenchProgram, measures_a_device_and_the_process_behind_it) {
    ChildProcess server(null_device());
    ASSERT_THAT(server.next_output_line(), StartsWith("ready"));
    const auto report =
        report_of(bench({"--work", "randread,randwrite,getattr,create-unlink"}));
    ASSERT_EQ(report["works"].size(), 4U);
    for (const auto& work : report["works"]) {
        const auto& target = work["targets"][0];
        EXPECT_EQ(target["name"], path("s"));
        EXPECT_GT(target["operations_per_s"]["median"], 0.0);
        // The kernel tells them apart by ticks: in a short run one of them may be 0.
        const double user_ns = target["server"]["user_ns"];
        const double system_ns = target["server"]["system_ns"];
        EXPECT_GT(user_ns + system_ns, 0.0);
    }
}

TEST_F(BenchProgram, does_every_work_on_a_directory_and_leaves_nothing_behind) {
    ChildProcess server(directory_device());
    ASSERT_THAT(server.next_output_line(), StartsWith("ready"));
    const std::string works =
        "seqread,randread,seqwrite,randwrite,mixed,statfs,getattr,lookup,create-unlink,"
        "open-close,readdir,readdirplus";
    const auto report = report_of(
        bench({"--entries", "300", "--verify", "--list-size", "4k", "--work", works}));
    EXPECT_EQ(report["works"].size(), 12U);
    for (const auto& work : report["works"]) {
        EXPECT_GT(work["targets"][0]["operations_per_s"]["median"], 0.0) << work["work"];
    }
    EXPECT_TRUE(std::filesystem::is_empty(folder_ / "shared"));
}

TEST_F(BenchProgram, sleeps_and_uses_packed_rings_and_two_queues) {
    Arguments device = null_device();
    device.insert(device.end(), {"--queues", "2"});
    ChildProcess server(device);
    ASSERT_THAT(server.next_output_line(), StartsWith("ready"));
    const auto report =
        report_of(bench({"--poll", "interrupt", "--ring", "packed", "--queues", "2"}));
    EXPECT_GT(report["works"][0]["targets"][0]["calls_per_request"], 0.0);
}

TEST_F(BenchProgram, compares_with_a_floor) {
    ChildProcess server(directory_device());
    ASSERT_THAT(server.next_output_line(), StartsWith("ready"));
    const auto report = report_of(bench({"--compare", "--floor", path("shared")}));
    const auto& targets = report["works"][0]["targets"];
    EXPECT_EQ(targets[0]["name"], "floor " + path("shared"));
    EXPECT_GT(targets[1]["ratio_to_first"]["median"], 0.0);
    EXPECT_TRUE(std::filesystem::is_empty(folder_ / "shared"));
}

TEST_F(BenchProgram, notices_a_file_system_that_does_not_keep_what_is_written) {
    ChildProcess server(null_device());
    ASSERT_THAT(server.next_output_line(), StartsWith("ready"));
    ChildProcess program(bench({"--verify"}));
    EXPECT_THAT(program.next_error_line(), HasSubstr("does not hold at byte"));
    EXPECT_EQ(program.wait(), 1);
}

TEST_F(BenchProgram, says_when_the_device_has_too_few_queues) {
    ChildProcess server(null_device());
    ASSERT_THAT(server.next_output_line(), StartsWith("ready"));
    expect_error(bench({"--queues", "3"}),
                 "'" + path("s") + "': the device has 1 request queues; write --queues 1",
                 1);
}

TEST_F(BenchProgram, says_when_nobody_serves) {
    expect_error(bench({}),
                 "'" + path("s") + "' cannot be connected to (ENOENT); is the device served?",
                 1);
}

TEST_F(BenchProgram, says_when_the_server_is_killed) {
    ChildProcess server(null_device());
    ASSERT_THAT(server.next_output_line(), StartsWith("ready"));
    ChildProcess program({"bench", "--socket", path("s"), "--round-ms", "60000"});
    wait_for_a_round(server);
    server.signal(SIGKILL);
    EXPECT_EQ(program.next_error_line(),
              "dpfs: '" + path("s") + "': the device has closed the connection");
    EXPECT_EQ(program.wait(), 1);
}

TEST_F(BenchProgram, says_when_a_peer_hangs_up) {
    const UniqueFd listener = listen();
    ChildProcess program(bench({}));
    UniqueFd(::accept(listener.get(), nullptr, nullptr)).reset();
    EXPECT_EQ(program.next_error_line(),
              "dpfs: '" + path("s") +
                  "': the vhost-user handshake: the device has closed the connection");
    EXPECT_EQ(program.wait(), 1);
}

TEST_F(BenchProgram, says_when_a_peer_does_not_answer) {
    const UniqueFd listener = listen();
    expect_error(bench({"--stall-s", "1"}),
                 "'" + path("s") + "': the vhost-user handshake: the device does not answer",
                 1);
}

TEST_F(BenchProgram, says_when_a_peer_speaks_something_else) {
    const UniqueFd listener = listen();
    ChildProcess program(bench({}));
    const UniqueFd peer(::accept(listener.get(), nullptr, nullptr));
    const std::string nonsense = "HTTP/1.1 400 Bad Request\r\n\r\n";
    ASSERT_GT(::write(peer.get(), nonsense.data(), nonsense.size()), 0);
    EXPECT_THAT(program.next_error_line(), HasSubstr("answered with what is no answer"));
    EXPECT_EQ(program.wait(), 1);
}

TEST_F(BenchProgram, removes_its_files_when_it_is_interrupted) {
    ChildProcess server(directory_device());
    ASSERT_THAT(server.next_output_line(), StartsWith("ready"));
    ChildProcess program({"bench", "--socket", path("s"), "--round-ms", "60000"});
    wait_for_a_round(server);
    program.signal(SIGINT);
    EXPECT_EQ(program.next_error_line(), "dpfs: interrupted");
    EXPECT_EQ(program.wait(), 1);
    EXPECT_TRUE(std::filesystem::is_empty(folder_ / "shared"));
}

}  // namespace
}  // namespace dpfs::daemon
