// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

namespace dpfs::hal::vhost_user {

/// What one queue has done since its device was made; a copy.
struct QueueStats {
    std::uint64_t requests = 0;     ///< taken from the ring
    std::uint64_t completions = 0;  ///< given back
    std::uint64_t kicks = 0;        ///< notifications from the driver that were read
    std::uint64_t calls = 0;        ///< notifications to the driver
    std::uint64_t polls = 0;        ///< looks at the ring, successful or not
    std::uint64_t bytes_in = 0;     ///< readable bytes of the requests taken
    std::uint64_t bytes_out = 0;    ///< bytes written into requests given back
};

/// A counter that one thread advances and any may read: no locked instruction.
class Counter {
  public:
    void add(std::uint64_t amount = 1) noexcept {
        value_.store(value_.load(std::memory_order_relaxed) + amount,
                     std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t get() const noexcept {
        return value_.load(std::memory_order_relaxed);
    }

  private:
    std::atomic<std::uint64_t> value_ = 0;
};

}  // namespace dpfs::hal::vhost_user
