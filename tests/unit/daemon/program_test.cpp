// SPDX-License-Identifier: Apache-2.0
// Goal: the program keeps the contract that scripts rely on: ready lines, exit codes, one line
// for each mistake, a drain on SIGTERM. Method: the real binary, and a front end of our own
// where somebody has to connect.
#include "child_process.hpp"
#include "hal/vhost_user/front_end.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

namespace dpfs::daemon {
namespace {

using hal::vhost_user::FrontEnd;
using testing::HasSubstr;
using testing::StartsWith;

/// A folder of its own for each test, with a directory to share.
class Program : public testing::Test {
  protected:
    Program() {
        std::string name = "/tmp/dpfs-program-test.XXXXXX";
        folder_ = ::mkdtemp(name.data());
        std::filesystem::create_directory(folder_ / "shared");
    }
    ~Program() override { std::filesystem::remove_all(folder_); }

    [[nodiscard]] std::string path(const std::string& name) const { return folder_ / name; }
    [[nodiscard]] std::string write(const std::string& name, const std::string& text) const {
        std::ofstream(path(name)) << text;
        return path(name);
    }
    [[nodiscard]] std::vector<std::string> null_device() const {
        return {"serve", "null", "--socket", path("s")};
    }
    [[nodiscard]] std::vector<std::string> directory_device(const std::string& backend) const {
        return {"serve", backend, "--dir", path("shared"), "--socket", path("s")};
    }

    /// Runs a command that must fail; checks that it says `message` and nothing more.
    static void expect_usage_error(const std::vector<std::string>& arguments,
                                   const std::string& message) {
        ChildProcess program(arguments);
        EXPECT_EQ(program.next_error_line(), "dpfs: " + message);
        EXPECT_EQ(program.next_error_line(), "");
        EXPECT_EQ(program.next_output_line(), "");
        EXPECT_EQ(program.wait(), 2);
    }
    static void expect_service(const std::vector<std::string>& arguments,
                               const std::string& socket,
                               ChildProcess::Denied denied = ChildProcess::Denied::nothing) {
        ChildProcess program(arguments, denied);
        EXPECT_EQ(program.next_output_line(), "ready tag=dpfs socket=" + socket);
        auto front_end = FrontEnd::connect(socket);
        ASSERT_TRUE(front_end);
        EXPECT_TRUE(front_end->negotiate(~0ULL, ~0ULL));
        EXPECT_EQ(front_end->queue_count().value_or(0), 2U);
        program.signal(SIGTERM);
        EXPECT_EQ(program.wait(), 0);
        EXPECT_FALSE(std::filesystem::exists(socket));
    }

    std::filesystem::path folder_;
};

TEST_F(Program, serves_null_until_sigterm) {
    expect_service(null_device(), path("s"));
}
TEST_F(Program, serves_a_directory_by_io_uring) {
    expect_service(directory_device("uring"), path("s"));
}
TEST_F(Program, serves_a_directory_by_epoll) {
    expect_service(directory_device("aio"), path("s"));
}

TEST_F(Program, serves_a_directory_without_io_uring) {
    expect_service(directory_device("aio"), path("s"), ChildProcess::Denied::io_uring);
}
TEST_F(Program, serves_null_without_io_uring) {
    expect_service(null_device(), path("s"), ChildProcess::Denied::io_uring);
}
TEST_F(Program, says_which_back_end_needs_no_io_uring) {
    ChildProcess program(directory_device("uring"), ChildProcess::Denied::io_uring);
    EXPECT_EQ(program.error_line_with("dpfs: "),
              "dpfs: io_uring cannot be used here (EPERM); serve the directory with back end "
              "'aio' instead of 'uring'");
    EXPECT_EQ(program.wait(), 1);
}

TEST_F(Program, ends_on_sigint_too) {
    ChildProcess program(null_device());
    ASSERT_THAT(program.next_output_line(), StartsWith("ready"));
    program.signal(SIGINT);
    EXPECT_EQ(program.wait(), 0);
}

TEST_F(Program, ends_at_once_on_a_second_signal_when_a_reactor_hangs) {
    ChildProcess program(null_device());
    ASSERT_THAT(program.next_output_line(), StartsWith("ready"));
    ASSERT_TRUE(program.hang_thread("dpfs-r0"));
    program.signal(SIGTERM);
    EXPECT_THAT(program.error_line_with("ending"), HasSubstr("in flight"));
    EXPECT_EQ(program.signal_until_it_ends(SIGTERM), 1);
    EXPECT_EQ(program.error_line_with("dpfs: "),
              "dpfs: a second signal: ends at once, requests in flight are lost");
}

// As timeout(1) does it: to the process, and to its group.
TEST_F(Program, takes_two_signals_at_once_for_one) {
    ChildProcess program(null_device());
    ASSERT_THAT(program.next_output_line(), StartsWith("ready"));
    program.signal(SIGTERM);
    EXPECT_THAT(program.error_line_with("ending"), HasSubstr("in flight"));
    program.signal(SIGTERM);
    EXPECT_EQ(program.wait(), 0);
}

TEST_F(Program, ends_when_the_drain_has_taken_too_long) {
    std::vector<std::string> arguments = null_device();
    arguments.insert(arguments.end(), {"--drain-s", "1"});
    ChildProcess program(arguments);
    ASSERT_THAT(program.next_output_line(), StartsWith("ready"));
    ASSERT_TRUE(program.hang_thread("dpfs-r0"));
    program.signal(SIGTERM);
    EXPECT_EQ(program.error_line_with("dpfs: "),
              "dpfs: requests in flight did not end within 1 s: ends without them");
    EXPECT_EQ(program.wait(), 1);
}

TEST_F(Program, serves_sixteen_devices_of_three_kinds) {
    std::string text = "[daemon]\nthreads = 2\n";
    for (int i = 0; i < 16; ++i) {
        const std::string number = std::to_string(i);
        const std::vector<std::string> backends = {"null", "uring", "aio"};
        const std::string& backend = backends[static_cast<std::size_t>(i) % 3];
        text += fmt::format("[[device]]\nbackend = '{}'\ntag = 'tag{}'\nsocket = '{}'\n",
                            backend,
                            number,
                            path(number));
        if (backend != "null") text += "dir = '" + path("shared") + "'\n";
    }
    ChildProcess program({"serve", "--config", write("dpfs.toml", text)});
    for (int i = 0; i < 16; ++i) {
        const std::string number = std::to_string(i);
        ASSERT_EQ(program.next_output_line(),
                  "ready tag=tag" + number + " socket=" + path(number));
    }
    for (int i = 0; i < 16; ++i) {
        auto front_end = FrontEnd::connect(path(std::to_string(i)));
        ASSERT_TRUE(front_end);
        EXPECT_TRUE(front_end->negotiate(~0ULL, ~0ULL)) << i;
    }
    program.signal(SIGTERM);
    EXPECT_EQ(program.wait(), 0);
}

TEST_F(Program, logs_statistics_when_asked) {
    ChildProcess program(null_device());
    ASSERT_THAT(program.next_output_line(), StartsWith("ready"));
    program.signal(SIGUSR1);
    EXPECT_THAT(program.error_line_with("queue=0"),
                HasSubstr("info stats tag=dpfs queue=0 requests=0 kicks=0 calls=0 "));
    EXPECT_THAT(program.error_line_with("queue=1"),
                HasSubstr("info stats tag=dpfs queue=1 requests=0 kicks=0 calls=0 "));
    EXPECT_THAT(program.error_line_with("reactor="), HasSubstr("-0 rounds="));
    program.signal(SIGTERM);
    EXPECT_EQ(program.wait(), 0);
}

TEST_F(Program, logs_json_when_asked) {
    std::vector<std::string> arguments = null_device();
    arguments.insert(arguments.end(), {"--log-format", "json"});
    ChildProcess program(arguments);
    ASSERT_THAT(program.next_output_line(), StartsWith("ready"));
    program.signal(SIGTERM);
    EXPECT_THAT(program.error_line_with("ended"),
                testing::MatchesRegex(
                    R"(\{"time":"[^"]+","level":"info","scope":"","message":"ended"\})"));
    EXPECT_EQ(program.wait(), 0);
}

TEST_F(Program, replaces_the_socket_of_a_dead_process) {
    ChildProcess first(null_device());
    ASSERT_THAT(first.next_output_line(), StartsWith("ready"));
    first.signal(SIGKILL);
    first.wait();
    ASSERT_TRUE(std::filesystem::exists(path("s")));
    expect_service(null_device(), path("s"));
}

TEST_F(Program, gives_the_socket_the_mode_that_is_asked_for) {
    std::vector<std::string> arguments = null_device();
    arguments.insert(arguments.end(), {"--socket-mode", "0660"});
    ChildProcess program(arguments);
    ASSERT_THAT(program.next_output_line(), StartsWith("ready"));
    struct stat status = {};
    ASSERT_EQ(::stat(path("s").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0660U);
}

TEST_F(Program, lets_nobody_else_connect_unless_asked) {
    ChildProcess program(null_device());
    ASSERT_THAT(program.next_output_line(), StartsWith("ready"));
    struct stat status = {};
    ASSERT_EQ(::stat(path("s").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0600U);
}

TEST_F(Program, refuses_a_socket_that_is_served) {
    ChildProcess first(null_device());
    ASSERT_THAT(first.next_output_line(), StartsWith("ready"));
    expect_usage_error(null_device(),
                       "--socket: '" + path("s") +
                           "' is served by another process; end it, or name another path");
    first.signal(SIGTERM);
    EXPECT_EQ(first.wait(), 0);
}

TEST_F(Program, refuses_to_replace_a_file) {
    const std::string file = write("s", "precious");
    expect_usage_error(null_device(),
                       "--socket: '" + file + "' exists and is no socket; name another path");
    EXPECT_TRUE(std::filesystem::is_regular_file(file));
}

TEST_F(Program, refuses_a_socket_in_a_folder_that_is_not_there) {
    expect_usage_error(
        {"serve", "null", "--socket", path("no/s")},
        "--socket: there is no directory '" + path("no") + "'; make it, or name another path");
}

TEST_F(Program, refuses_a_directory_that_is_not_there) {
    expect_usage_error(
        {"serve", "uring", "--dir", path("no"), "--socket", path("s")},
        "--dir: '" + path("no") + "' cannot be reached (ENOENT); name a directory that exists");
}

TEST_F(Program, refuses_a_file_as_directory) {
    const std::string file = write("file", "");
    expect_usage_error({"serve", "aio", "--dir", file, "--socket", path("s")},
                       "--dir: '" + file + "' is no directory; name one");
}

TEST_F(Program, refuses_a_cpu_that_it_may_not_use) {
    expect_usage_error({"serve", "null", "--socket", path("s"), "--cpus", "4000"},
                       "--cpus: this process may not run on CPU 4000; leave it out");
}

TEST_F(Program, names_file_line_and_key_of_a_wrong_configuration) {
    const std::string file = write("dpfs.toml",
                                   "[[device]]\nbackend = 'uring'\nsocket = '" + path("s") +
                                       "'\ndir = '" + path("no") + "'\n");
    expect_usage_error({"serve", "--config", file},
                       file + ":4: dir: '" + path("no") +
                           "' cannot be reached (ENOENT); name a directory that exists");
}

TEST_F(Program, starts_no_device_when_one_of_them_cannot) {
    const std::string taken = write("taken", "");
    const std::string text = "[[device]]\nbackend = 'null'\nsocket = '" + path("s") +
                             "'\n[[device]]\nbackend = 'null'\nsocket = '" + taken + "'\n";
    const std::string file = write("dpfs.toml", text);
    expect_usage_error(
        {"serve", "--config", file},
        file + ":6: socket: '" + taken + "' exists and is no socket; name another path");
    EXPECT_FALSE(std::filesystem::exists(path("s")));
}

TEST_F(Program, keeps_a_mistake_on_one_line) {
    ChildProcess program({"serve", "a\nb"});
    EXPECT_THAT(program.next_error_line(), StartsWith("dpfs: serve: no back end 'a?b'"));
    EXPECT_EQ(program.next_error_line(), "");
    EXPECT_EQ(program.wait(), 2);
}

TEST_F(Program, refuses_bad_usage_with_2) {
    expect_usage_error({"serve", "null", "--socket", path("s"), "--queues", "0"},
                       "--queues: 0 is not a number from 1 to 64");
}

TEST_F(Program, ends_with_0_after_help) {
    ChildProcess program({"--help"});
    EXPECT_THAT(program.next_output_line(), StartsWith("DPFS serves"));
    EXPECT_EQ(program.wait(), 0);
}

}  // namespace
}  // namespace dpfs::daemon
