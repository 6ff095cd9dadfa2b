// SPDX-License-Identifier: Apache-2.0
#include "fs/mirror/pace.hpp"

#include <algorithm>
#include <ctime>

namespace dpfs::mirror {

void Pace::slow_in_place(std::int64_t ns, std::int64_t now_ns, std::uint64_t size) noexcept {
    if (ns < stall_ns + static_cast<std::int64_t>(size)) {
        // Slow for memory, but no stall: a few of them may be the scheduler's doing.
        if (now_ns - window_start_.load(std::memory_order_relaxed) > window_ns) {
            window_start_.store(now_ns, std::memory_order_relaxed);
            slow_count_.store(1, std::memory_order_relaxed);
            return;
        }
        if (slow_count_.fetch_add(1, std::memory_order_relaxed) + 1 < slow_count_max) return;
    }

    const std::int64_t last = last_turn_.exchange(now_ns, std::memory_order_relaxed);
    std::uint32_t row = row_min;
    if (now_ns - last < relapse_ns) {
        row = std::min(row_.load(std::memory_order_relaxed) * 2, row_max);
    }
    row_.store(row, std::memory_order_relaxed);
    quick_wanted_.store(row, std::memory_order_relaxed);
}

void Pace::took_async(std::int64_t ns, std::uint64_t size) noexcept {
    if (ns >= quick_ns + static_cast<std::int64_t>(size)) {
        quick_wanted_.store(row_.load(std::memory_order_relaxed), std::memory_order_relaxed);
        return;
    }
    // Several reactors may end their calls at once; never below 0.
    std::uint32_t wanted = quick_wanted_.load(std::memory_order_relaxed);
    while (wanted != 0 && !quick_wanted_.compare_exchange_weak(
                              wanted, wanted - 1, std::memory_order_relaxed)) {
    }
}

std::int64_t monotonic_ns() noexcept {
    timespec now = {};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

}  // namespace dpfs::mirror
