// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

namespace dpfs::mirror {

/// Whether system calls of one kind, on one file system, are made in place or asynchronously.
///
/// In place is right while they find what they need in memory: a warm 4 KiB write takes 0.9 to
/// 1.4 µs then, and 2.7 to 3.2 µs through the ring, which hands it to a worker thread; a warm
/// lookup compares alike. It is wrong as soon as a device has to answer, because the reactor's
/// other tenants wait as well. Nobody can say beforehand, but what the last calls took tells: a
/// single stall, or several calls that are too slow for memory, turn to the asynchronous way;
/// a row of quick ones turns back. A guess that proves wrong soon makes the next row longer, so
/// a device that is slow now and then costs a stall now and then, ever more rarely.
///
/// Thread    any; a shared guess needs no order, and an undecided call writes nothing shared.
class Pace {
  public:
    [[nodiscard]] bool in_place() const noexcept {
        return quick_wanted_.load(std::memory_order_relaxed) == 0;
    }

    /// `size`: bytes that the call moved, which take their time in memory too.
    void took_in_place(std::int64_t ns, std::int64_t now_ns, std::uint64_t size) noexcept {
        if (ns < slow_ns + static_cast<std::int64_t>(size)) return;
        slow_in_place(ns, now_ns, size);
    }
    void took_async(std::int64_t ns, std::uint64_t size) noexcept;

  private:
    static constexpr std::int64_t slow_ns = 60'000;        // memory answers sooner
    static constexpr std::int64_t stall_ns = 2'000'000;    // once is enough
    static constexpr std::int64_t quick_ns = 1'000'000;    // asynchronous, queueing included
    static constexpr std::int64_t window_ns = 10'000'000;  // in which slow calls are counted
    static constexpr std::uint32_t slow_count_max = 8;
    static constexpr std::int64_t relapse_ns = 10'000'000'000;
    static constexpr std::uint32_t row_min = 32;
    static constexpr std::uint32_t row_max = 4096;

    void slow_in_place(std::int64_t ns, std::int64_t now_ns, std::uint64_t size) noexcept;

    std::atomic<std::uint32_t> quick_wanted_ = 0;  // 0: in place
    std::atomic<std::uint32_t> row_ = row_min;
    std::atomic<std::uint32_t> slow_count_ = 0;
    std::atomic<std::int64_t> window_start_ = 0;
    std::atomic<std::int64_t> last_turn_ = -relapse_ns;
};

/// CLOCK_MONOTONIC in nanoseconds: a reactor's own clock may be a little old.
[[nodiscard]] std::int64_t monotonic_ns() noexcept;

/// One call that is measured for its Pace, from its start to end().
class PacedCall {
  public:
    /// `always_in_place`: memory file systems; nothing is measured then.
    PacedCall(Pace& pace, bool always_in_place, bool never_in_place) noexcept
        : pace_(pace),
          in_place_(always_in_place || (!never_in_place && pace.in_place())),
          measured_(!always_in_place && !never_in_place),
          start_(measured_ ? monotonic_ns() : 0) {}

    [[nodiscard]] bool in_place() const noexcept { return in_place_; }
    void end(std::uint64_t size = 0) noexcept {
        if (!measured_) return;
        const std::int64_t now = monotonic_ns();
        if (in_place_) {
            pace_.took_in_place(now - start_, now, size);
        } else {
            pace_.took_async(now - start_, size);
        }
    }

  private:
    Pace& pace_;
    const bool in_place_;
    const bool measured_;
    const std::int64_t start_;
};

}  // namespace dpfs::mirror
