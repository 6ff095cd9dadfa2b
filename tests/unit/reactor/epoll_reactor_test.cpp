// SPDX-License-Identifier: Apache-2.0
// Goal: the epoll reactor needs no io_uring at all, and files opened with O_DIRECT are read and
// written asynchronously. Method: child processes under a seccomp filter; a real disk.
#include "reactor/epoll_reactor.hpp"

#include "reactor_fixture.hpp"

#include <array>
#include <cstdlib>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

namespace dpfs::reactor {
namespace {

/// From now on, each of io_uring's system calls of this process ends as `verdict` says.
void forbid_io_uring(std::uint32_t verdict) {
    constexpr auto jump = static_cast<std::uint16_t>(BPF_JMP | BPF_JEQ | BPF_K);
    constexpr auto load = static_cast<std::uint16_t>(BPF_LD | BPF_W | BPF_ABS);
    constexpr auto give = static_cast<std::uint16_t>(BPF_RET | BPF_K);
    std::array program = {
        sock_filter{load, 0, 0, offsetof(seccomp_data, nr)},
        sock_filter{jump, 3, 0, SYS_io_uring_setup},
        sock_filter{jump, 2, 0, SYS_io_uring_enter},
        sock_filter{jump, 1, 0, SYS_io_uring_register},
        sock_filter{give, 0, 0, SECCOMP_RET_ALLOW},
        sock_filter{give, 0, 0, verdict},
    };
    const sock_fprog filter = {static_cast<std::uint16_t>(program.size()), program.data()};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) std::abort();
    if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) std::abort();
}

Task<int> use_files_and_streams(Reactor& reactor) {
    open_how how = {};
    how.flags = O_TMPFILE | O_RDWR | O_CLOEXEC;
    how.mode = 0600;
    const auto fd = co_await reactor.openat2(AT_FDCWD, "/tmp", how);
    if (!fd) co_return 10;
    std::string text = "hello";
    const iovec buffer = buffer_of(text);
    const auto written = co_await reactor.writev(fd->get(), std::span(&buffer, 1), 0);
    if (written != 5u) co_return 11;
    const auto read = co_await reactor.readv(fd->get(), std::span(&buffer, 1), 0);
    if (read != 5u) co_return 12;

    const UniqueFd silent = make_eventfd();
    const Limit limit = {.deadline = reactor.now() + milliseconds(2)};
    const auto polled = co_await reactor.poll(silent.get(), 1, limit);
    if (polled || polled.error() != Errno::timed_out) co_return 13;
    const auto nothing = [] {};
    co_await reactor.blocking(nothing);
    co_return 0;
}

class WithoutIoUring : public testing::Test {
  protected:
    WithoutIoUring() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

void use_epoll_reactor_and_exit() {
    forbid_io_uring(SECCOMP_RET_KILL_PROCESS);
    int outcome = 1;
    {
        BlockingPool pool;
        auto reactor = EpollReactor::make({}, pool);
        outcome = run_to_completion(**reactor, use_files_and_streams(**reactor));
    }
    std::_Exit(outcome);
}

TEST_F(WithoutIoUring, the_epoll_reactor_makes_none_of_its_system_calls) {
    EXPECT_EXIT(use_epoll_reactor_and_exit(), testing::ExitedWithCode(0), "");
}

void fall_back_and_exit() {
    // What the sysctl kernel.io_uring_disabled does, and container runtimes do.
    forbid_io_uring(SECCOMP_RET_ERRNO | EPERM);
    int outcome = 1;
    {
        BlockingPool pool;
        const auto sink = make_stderr_sink(LogLevel::warning);
        const Logger log(*sink, "test");
        ReactorOptions options;
        options.kind = ReactorKind::uring;
        const auto refused = make_reactor(options, pool, log);
        if (refused || refused.error() != Errno::not_permitted) std::_Exit(2);
        options.kind = ReactorKind::automatic;
        const auto reactor = make_reactor(options, pool, log);
        outcome = run_to_completion(**reactor, use_files_and_streams(**reactor));
    }
    std::_Exit(outcome);
}

TEST_F(WithoutIoUring, the_factory_says_why_and_falls_back) {
    EXPECT_EXIT(fall_back_and_exit(), testing::ExitedWithCode(0), "EPERM.*epoll");
}

// --- O_DIRECT

constexpr std::size_t block_size = 4096;

struct Block {
    std::unique_ptr<char, decltype(&std::free)> bytes{
        static_cast<char*>(std::aligned_alloc(block_size, block_size)), &std::free};
    explicit Block(char fill) { std::fill_n(bytes.get(), block_size, fill); }
    [[nodiscard]] iovec buffer() const { return {bytes.get(), block_size}; }
};

Task<void> write_and_read_block(Reactor& reactor, int fd, std::uint32_t index) {
    const Block out(static_cast<char>('a' + index % 26));
    const Block in('?');
    const iovec from = out.buffer();
    const iovec to = in.buffer();
    const std::uint64_t offset = index * block_size;
    EXPECT_EQ(co_await reactor.writev(fd, std::span(&from, 1), offset), block_size);
    EXPECT_EQ(co_await reactor.readv(fd, std::span(&to, 1), offset), block_size);
    EXPECT_TRUE(std::equal(out.bytes.get(), out.bytes.get() + block_size, in.bytes.get()));
}

Task<void> use_many_blocks(Reactor& reactor, int fd, std::uint32_t count) {
    Gate gate;
    for (std::uint32_t i = 0; i < count; ++i) gate.spawn(write_and_read_block(reactor, fd, i));
    co_await gate.close();
}

class DirectFiles : public testing::Test {
  protected:
    void SetUp() override {
        file_.reset(
            ::open(scratch_.path("f").c_str(), O_CREAT | O_RDWR | O_DIRECT | O_CLOEXEC, 0600));
        if (!file_) GTEST_SKIP() << "this file system has no O_DIRECT";
    }
    ScratchDirectory scratch_;
    UniqueFd file_;
    BlockingPool pool_;
};

TEST_F(DirectFiles, more_blocks_than_places_are_written_and_read) {
    const auto reactor = EpollReactor::make({.direct_count_max = 8}, pool_);
    ASSERT_TRUE(reactor.has_value());
    run_to_completion(**reactor, use_many_blocks(**reactor, file_.get(), 200));
    EXPECT_EQ((*reactor)->statistics().blocking_calls.value(), 0u);
}

Task<void> misaligned(Reactor& reactor, int fd) {
    const Block block('x');
    const iovec odd = {block.bytes.get() + 1, 100};
    const auto written = co_await reactor.writev(fd, std::span(&odd, 1), 3);
    EXPECT_EQ(written.error(), Errno::invalid);
    const iovec good = block.buffer();
    EXPECT_EQ(co_await reactor.writev(fd, std::span(&good, 1), 0), block_size);
}

TEST_F(DirectFiles, a_misaligned_transfer_is_refused_and_others_go_on) {
    const auto reactor = EpollReactor::make({}, pool_);
    ASSERT_TRUE(reactor.has_value());
    run_to_completion(**reactor, misaligned(**reactor, file_.get()));
}

Task<void> cancel_blocks(Reactor& reactor, int fd) {
    CancelSource source;
    const Block block('x');
    const iovec from = block.buffer();
    const Limit limit = {.cancel = &source};
    auto writing = reactor.writev(fd, std::span(&from, 1), 0, 0, limit);
    source.cancel();
    const auto written = co_await writing;
    EXPECT_EQ(written.error(), Errno::canceled);
}

TEST_F(DirectFiles, a_cancelled_transfer_that_has_not_begun_does_not_begin) {
    const auto reactor = EpollReactor::make({}, pool_);
    ASSERT_TRUE(reactor.has_value());
    run_to_completion(**reactor, cancel_blocks(**reactor, file_.get()));
    struct stat found = {};
    EXPECT_EQ(::fstat(file_.get(), &found), 0);
    EXPECT_EQ(found.st_size, 0);
}

}  // namespace
}  // namespace dpfs::reactor
