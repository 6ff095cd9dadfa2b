// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/log.hpp"
#include "base/result.hpp"
#include "base/task.hpp"
#include "reactor/make_reactor.hpp"

#include <atomic>
#include <cstddef>
#include <memory>
#include <thread>
#include <vector>

namespace dpfs::reactor {

struct ReactorThreadsOptions {
    std::size_t count = 1;
    ReactorOptions reactor = {};
    std::vector<int> cpus =
        {};  ///< thread i runs on cpus[i % size]; empty: where the kernel likes
};

/// The threads of the data path, each with a reactor of its own.
///
/// Thread    all members: any.
/// Lifetime  the destructor stops and joins. Work that would wait for ever has to be cancelled
///           by its owner first: stop_all() waits for all that was spawned.
class ReactorThreads {
  public:
    /// Makes the reactors and starts their threads ("dpfs-r0", …).
    /// Errors: as make_reactor(); EINVAL: a cpu that is not there; EAGAIN: no more threads.
    static Result<std::unique_ptr<ReactorThreads>> make(const ReactorThreadsOptions& options,
                                                        BlockingPool& pool,
                                                        const Logger& log);
    ReactorThreads(const ReactorThreads&) = delete;
    ReactorThreads& operator=(const ReactorThreads&) = delete;
    ~ReactorThreads();

    [[nodiscard]] std::size_t count() const noexcept { return members_.size(); }
    /// `index` < count().
    [[nodiscard]] EventLoop& reactor(std::size_t index) noexcept {
        return *members_[index]->reactor;
    }

    /// Starts `work` on the thread of reactor `index`, which owns it until it ends. Work that
    /// comes after stop_all() is dropped unstarted.
    void spawn(std::size_t index, Task<void> work);

    /// No new work; the reactors stop when everything that was spawned, on all of them, has
    /// ended. Does not wait for that.
    void stop_all();
    /// Waits until the threads have ended. After stop_all(), by one thread.
    void join();

  private:
    struct Member {
        std::unique_ptr<EventLoop> reactor;
        std::thread thread;
    };

    ReactorThreads() = default;
    Result<void> start(Member& member, std::size_t index, const ReactorThreadsOptions& options);
    /// False: everything has ended, and nothing may begin.
    [[nodiscard]] bool try_begin_work() noexcept;
    void end_work() noexcept;
    struct Carrier;
    Carrier carry(Reactor& reactor, Task<void> work);

    std::vector<std::unique_ptr<Member>> members_;
    /// What was spawned and has not ended, on all of them: work on one may still switch to
    /// another, so none stops before all has ended. And one for not being stopped.
    std::atomic<std::size_t> work_count_ = 1;
    std::atomic<bool> stopping_ = false;
};

}  // namespace dpfs::reactor
