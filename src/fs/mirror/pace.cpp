// SPDX-License-Identifier: Apache-2.0
#include "fs/mirror/pace.hpp"

#include <algorithm>
#include <ctime>
#include <sys/resource.h>

namespace dpfs::mirror {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;

}  // namespace

void Pace::judge(std::int64_t ns,
                 std::int64_t now_ns,
                 std::uint64_t size,
                 Watch watch) noexcept {
    if (watch != Watch::unwatched) {
        // Several reactors count at once: one too many or too few does not matter.
        const std::uint32_t left = suspicion_.load(relaxed);
        if (left != 0) suspicion_.store(left - 1, relaxed);
    }
    const auto allowance = static_cast<std::int64_t>(size);
    if (watch == Watch::ran || ns < slow_ns + allowance) return;

    const bool stalled = ns >= stall_ns + allowance;
    if (!stalled && !too_many_slow(now_ns)) return;
    if (watch == Watch::slept || ns >= certain_ns + allowance) {
        turn_async(now_ns);
    } else {
        suspicion_.store(suspicion_count, relaxed);
    }
}

bool Pace::too_many_slow(std::int64_t now_ns) noexcept {
    if (now_ns - window_start_.load(relaxed) > window_ns) {
        window_start_.store(now_ns, relaxed);
        slow_count_.store(1, relaxed);
        return false;
    }
    return slow_count_.fetch_add(1, relaxed) + 1 >= slow_count_max;
}

void Pace::turn_async(std::int64_t now_ns) noexcept {
    const std::int64_t last = last_turn_.exchange(now_ns, relaxed);
    const bool relapsed = now_ns - last < relapse_ns;
    const std::uint32_t row = relapsed ? std::min(row_.load(relaxed) * 2, row_max) : row_min;
    const std::int64_t retry =
        relapsed ? std::min(retry_ns_.load(relaxed) * 2, retry_ns_max) : retry_ns_min;
    row_.store(row, relaxed);
    retry_ns_.store(retry, relaxed);
    retry_at_.store(now_ns + retry, relaxed);
    slow_count_.store(0, relaxed);
    quick_wanted_.store(row, relaxed);
}

void Pace::turn_back() noexcept {
    suspicion_.store(suspicion_count, relaxed);
    quick_wanted_.store(0, relaxed);
}

bool Pace::is_time_to_try(std::int64_t now_ns) noexcept {
    if (now_ns < retry_at_.load(relaxed)) return false;
    turn_back();
    return true;
}

void Pace::took_async(std::int64_t ns, std::uint64_t size) noexcept {
    if (ns >= quick_ns + static_cast<std::int64_t>(size)) {
        // Nothing to start anew if somebody has turned back meanwhile.
        std::uint32_t wanted = quick_wanted_.load(relaxed);
        while (wanted != 0 &&
               !quick_wanted_.compare_exchange_weak(wanted, row_.load(relaxed), relaxed)) {
        }
        return;
    }
    // Several reactors may end their calls at once; never below 0.
    std::uint32_t wanted = quick_wanted_.load(relaxed);
    while (wanted != 0) {
        if (wanted == 1) {
            turn_back();
            return;
        }
        if (quick_wanted_.compare_exchange_weak(wanted, wanted - 1, relaxed)) return;
    }
}

std::int64_t monotonic_ns() noexcept {
    timespec now = {};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

std::int64_t sleep_count() noexcept {
    rusage usage = {};
    ::getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nvcsw;
}

}  // namespace dpfs::mirror
