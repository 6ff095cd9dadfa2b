// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "reactor/reactor.hpp"

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <thread>
#include <vector>

namespace dpfs::reactor {

class EventLoop;

struct BlockingPoolOptions {
    std::size_t thread_count_max = 4;   ///< started as they are needed
    std::size_t queue_count_max = 256;  ///< calls that wait for a thread, of all reactors
};

/// Threads for system calls that can only be made by blocking. Several reactors may share one;
/// the bound on its queue keeps one of them from filling it for all, and who finds it full
/// keeps his calls and is woken when there is room.
///
/// Each call is made as its `as`; one that may not be made so is refused.
/// Lifetime  outlives the reactors that use it. The destructor lets what is queued run.
class BlockingPool {
  public:
    /// Starts the first thread. Throws std::system_error when that fails.
    explicit BlockingPool(const BlockingPoolOptions& options = {});
    BlockingPool(const BlockingPool&) = delete;
    BlockingPool& operator=(const BlockingPool&) = delete;
    ~BlockingPool();

    /// Queues `call`; loop.finish_blocking() follows on a pool thread. False: the queue is
    /// full, and loop.wake_up() will say when it is not. Thread: any.
    [[nodiscard]] bool try_submit(BlockingCall& call, EventLoop& loop);

    /// No wake_up() of `loop` from now on. Thread: any.
    void forget(const EventLoop& loop) noexcept;

    /// Thread: any, as for all of these.
    [[nodiscard]] std::size_t thread_count() const;
    [[nodiscard]] std::size_t queue_count() const;

  private:
    void start_thread();
    void try_to_start_thread() noexcept;
    void work();
    /// Called with the lock held.
    BlockingCall& take_call() noexcept;

    const BlockingPoolOptions options_;
    mutable std::mutex mutex_;
    std::condition_variable work_came_;
    BlockingCall* first_ = nullptr;
    BlockingCall* last_ = nullptr;
    std::size_t queue_count_ = 0;
    std::size_t idle_count_ = 0;       // threads that wait for work
    std::vector<EventLoop*> starved_;  // found the queue full
    std::vector<std::thread> threads_;
    bool stopping_ = false;
};

}  // namespace dpfs::reactor
