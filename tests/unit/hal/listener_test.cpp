// SPDX-License-Identifier: Apache-2.0
// The socket's name in the file system: who may take it, and when it goes. Real files.
#include "hal/vhost_user/listener.hpp"

#include "base/unix_address.hpp"
#include "device_fixture.hpp"

#include <filesystem>
#include <fstream>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace dpfs::hal::test {
namespace {

using vhost_user::Listener;

class ListenerTest : public ::testing::Test {
  protected:
    ListenerTest() {
        std::string pattern = std::filesystem::temp_directory_path() / "dpfs-hal-XXXXXX";
        directory_ = ::mkdtemp(pattern.data());
        path_ = directory_ + "/socket";
    }
    ~ListenerTest() override { std::filesystem::remove_all(directory_); }

    std::string directory_;
    std::string path_;
    RecordingLog log_;
    Logger logger_{log_, "test"};
};

TEST_F(ListenerTest, removes_its_name_at_the_end) {
    Listener listener;
    ASSERT_TRUE(listener.open(path_, {}, logger_));
    EXPECT_TRUE(std::filesystem::is_socket(path_));
    listener.close();
    EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(ListenerTest, replaces_a_socket_that_nobody_serves) {
    {
        Listener dead;
        ASSERT_TRUE(dead.open(path_, {}, logger_));
        std::filesystem::rename(path_, path_ + ".kept");
    }
    std::filesystem::rename(path_ + ".kept", path_);
    Listener listener;
    EXPECT_TRUE(listener.open(path_, {}, logger_));
    EXPECT_TRUE(FrontEnd::connect(path_).has_value());
}

// As the kernel does for a killed daemon: what its io_uring holds is closed some time after.
TEST_F(ListenerTest, replaces_a_socket_that_outlives_its_process) {
    const UniqueFd kept(::socket(AF_UNIX, SOCK_STREAM, 0));
    const pid_t dead = ::fork();
    if (dead == 0) {
        const auto address = UnixAddress::of(path_);
        const bool listens = address &&
                             ::bind(kept.get(), address->get(), UnixAddress::size) == 0 &&
                             ::listen(kept.get(), 8) == 0;
        ::_exit(listens ? 0 : 1);
    }
    siginfo_t ended = {};
    ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(dead), &ended, WEXITED | WNOWAIT), 0);
    ASSERT_TRUE(FrontEnd::connect(path_).has_value());

    Listener listener;
    EXPECT_TRUE(listener.open(path_, {}, logger_)) << "its parent has not waited for it";
    listener.close();
    ::waitpid(dead, nullptr, 0);
}

TEST_F(ListenerTest, leaves_a_socket_that_is_served) {
    Listener first;
    ASSERT_TRUE(first.open(path_, {}, logger_));
    Listener second;
    EXPECT_EQ(second.open(path_, {}, logger_).error(), Errno::address_in_use);
    EXPECT_EQ(log_.count("already served"), 1);
    EXPECT_TRUE(std::filesystem::exists(path_));
}

TEST_F(ListenerTest, leaves_a_file_that_is_no_socket) {
    std::ofstream(path_) << "precious";
    Listener listener;
    EXPECT_EQ(listener.open(path_, {}, logger_).error(), Errno::exists);
    EXPECT_TRUE(std::filesystem::is_regular_file(path_));
}

TEST_F(ListenerTest, does_not_remove_the_socket_that_took_its_place) {
    Listener first;
    ASSERT_TRUE(first.open(path_, {}, logger_));
    std::filesystem::remove(path_);
    Listener second;
    ASSERT_TRUE(second.open(path_, {}, logger_));
    first.close();
    EXPECT_TRUE(std::filesystem::exists(path_));
}

TEST_F(ListenerTest, refuses_a_path_that_is_too_long) {
    const std::string path = "/tmp/" + std::string(120, 'x');
    Listener listener;
    EXPECT_EQ(listener.open(path, {}, logger_).error(), Errno::name_too_long);
    EXPECT_EQ(log_.count("125 bytes"), 1) << log_.all();
}

TEST_F(ListenerTest, sets_the_mode) {
    Listener listener;
    ASSERT_TRUE(listener.open(path_, {.mode = 0600}, logger_));
    struct stat found = {};
    ASSERT_EQ(::stat(path_.c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 0777, 0600U);
}

TEST_F(ListenerTest, names_a_directory_that_is_missing) {
    Listener listener;
    EXPECT_EQ(listener.open(directory_ + "/none/socket", {}, logger_).error(), Errno::no_entry);
    EXPECT_EQ(log_.problem_count(), 1);
}

}  // namespace
}  // namespace dpfs::hal::test
