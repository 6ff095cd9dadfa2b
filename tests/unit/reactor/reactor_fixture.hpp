// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/gate.hpp"
#include "base/log.hpp"
#include "reactor/make_reactor.hpp"
#include "reactor/run_to_completion.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <utility>

namespace dpfs::reactor {

/// A directory that is gone with everything in it when the test is.
class ScratchDirectory {
  public:
    /// `parent` decides the file system.
    explicit ScratchDirectory(const std::string& parent = "/tmp") {
        std::string name = parent + "/dpfs-reactor-XXXXXX";
        if (::mkdtemp(name.data()) == nullptr) std::abort();
        path_ = name;
    }
    ScratchDirectory(const ScratchDirectory&) = delete;
    ScratchDirectory& operator=(const ScratchDirectory&) = delete;
    ~ScratchDirectory() { std::filesystem::remove_all(path_); }

    [[nodiscard]] std::string path(std::string_view name = "") const {
        return path_ + "/" + std::string(name);
    }

  private:
    std::string path_;
};

struct StreamPair {
    UniqueFd left;
    UniqueFd right;
};

inline StreamPair make_socket_pair(int type = SOCK_STREAM) {
    int both[2];
    if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, both) != 0) std::abort();
    return {UniqueFd(both[0]), UniqueFd(both[1])};
}

inline StreamPair make_pipe() {
    int both[2];
    if (::pipe2(both, O_CLOEXEC) != 0) std::abort();
    return {UniqueFd(both[0]), UniqueFd(both[1])};
}

inline UniqueFd make_eventfd() {
    return UniqueFd(::eventfd(0, EFD_CLOEXEC));
}

inline std::size_t open_descriptor_count() {
    const std::filesystem::directory_iterator descriptors("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(descriptors), end(descriptors)));
}

inline iovec buffer_of(std::string& text) {
    return {text.data(), text.size()};
}

/// A reactor of `kind` for tests; aborts where there is none.
inline std::unique_ptr<EventLoop> reactor_of(ReactorKind kind,
                                             BlockingPool& pool,
                                             PollPolicy policy = {}) {
    static const auto sink = make_stderr_sink(LogLevel::warning);
    const Logger log(*sink, "test");
    ReactorOptions options;
    options.kind = kind;
    options.uring.loop.policy = policy;
    auto made = make_reactor(options, pool, log);
    if (!made) std::abort();
    return std::move(*made);
}

/// Runs a test on each implementation of the seam that waits for real.
class EachReactor : public testing::TestWithParam<ReactorKind> {
  protected:
    EachReactor() {
        EXPECT_TRUE(prepare_thread_credentials());
        reactor_ = reactor_of(GetParam(), pool_);
    }

    [[nodiscard]] EventLoop& reactor() { return *reactor_; }
    [[nodiscard]] BlockingPool& pool() { return pool_; }

    template <class T>
    T run(Task<T> work) {
        return run_to_completion(*reactor_, std::move(work));
    }

  private:
    BlockingPool pool_;
    std::unique_ptr<EventLoop> reactor_;
};

inline std::string kind_name(const testing::TestParamInfo<ReactorKind>& info) {
    return info.param == ReactorKind::uring ? "uring" : "epoll";
}

#define DPFS_ON_EACH_REACTOR(suite) \
    INSTANTIATE_TEST_SUITE_P(       \
        , suite, testing::Values(ReactorKind::uring, ReactorKind::epoll), kind_name)

}  // namespace dpfs::reactor
