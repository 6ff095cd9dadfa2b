// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <ctime>

namespace dpfs::bench {

[[nodiscard]] inline std::int64_t clock_ns(clockid_t clock) noexcept {
    timespec now = {};
    ::clock_gettime(clock, &now);
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

/// Nanoseconds of a clock that never goes back.
[[nodiscard]] inline std::int64_t now_ns() noexcept {
    return clock_ns(CLOCK_MONOTONIC);
}

/// Tells the CPU that this is a loop that waits.
inline void relax() noexcept {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("isb" ::: "memory");
#endif
}

}  // namespace dpfs::bench
