// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

namespace dpfs::reactor {

/// A count that one thread raises and any thread reads; costs what a plain integer costs.
class Counter {
  public:
    /// Thread: the one that owns the counter.
    void add(std::uint64_t count = 1) noexcept {
        value_.store(value_.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t value() const noexcept {
        return value_.load(std::memory_order_relaxed);
    }

  private:
    std::atomic<std::uint64_t> value_ = 0;
};

/// What a loop has done since it was made.
struct LoopStatistics {
    Counter rounds;          ///< of the loop, those that found nothing included
    Counter sleeps;          ///< waits in the kernel
    Counter wake_ups;        ///< sleeps that another thread ended
    Counter operations;      ///< submitted
    Counter blocking_calls;  ///< handed to the pool
};

}  // namespace dpfs::reactor
