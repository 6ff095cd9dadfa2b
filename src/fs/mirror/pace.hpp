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
/// other tenants wait as well. Nobody can say beforehand, but what the last calls took tells.
///
/// A slow call in place raises a suspicion, no more: on a busy machine the thread may only have
/// been preempted. While a suspicion lasts, each call is watched for whether the thread slept
/// in it; one that did, and long, turns to the asynchronous way. A row of quick calls turns
/// back, or time does, for a try under suspicion; wrong guesses make rows and times longer, so
/// a device that is slow now and then costs a stall now and then, ever more rarely.
///
/// Thread    any; a shared guess needs no order, and an undecided call writes nothing shared.
class Pace {
  public:
    /// What is known about a call in place.
    enum class Watch : std::uint8_t { unwatched, ran, slept };

    /// `now_ns`: monotonic_ns().
    [[nodiscard]] bool in_place(std::int64_t now_ns) noexcept {
        return quick_wanted_.load(std::memory_order_relaxed) == 0 || is_time_to_try(now_ns);
    }
    /// Whether the next call in place is to be watched.
    [[nodiscard]] bool is_suspicious() const noexcept {
        return suspicion_.load(std::memory_order_relaxed) != 0;
    }

    /// `size`: bytes that the call moved, which take their time in memory too.
    void took_in_place(std::int64_t ns,
                       std::int64_t now_ns,
                       std::uint64_t size,
                       Watch watch) noexcept {
        const bool slow = ns >= slow_ns + static_cast<std::int64_t>(size);
        if (slow || watch != Watch::unwatched) judge(ns, now_ns, size, watch);
    }
    void took_async(std::int64_t ns, std::uint64_t size) noexcept;

  private:
    static constexpr std::int64_t slow_ns = 60'000;         // memory answers sooner
    static constexpr std::int64_t stall_ns = 1'000'000;     // once is enough
    static constexpr std::int64_t certain_ns = 50'000'000;  // no preemption lasts so long
    static constexpr std::int64_t quick_ns = 1'000'000;     // asynchronous, with queueing
    static constexpr std::int64_t window_ns = 10'000'000;   // in which slow calls are counted
    static constexpr std::uint32_t slow_count_max = 8;
    static constexpr std::uint32_t suspicion_count = 256;  // calls
    static constexpr std::int64_t relapse_ns = 10'000'000'000;
    static constexpr std::uint32_t row_min = 32;  // calls
    static constexpr std::uint32_t row_max = 4096;
    static constexpr std::int64_t retry_ns_min = 100'000'000;
    static constexpr std::int64_t retry_ns_max = 5'000'000'000;

    void judge(std::int64_t ns, std::int64_t now_ns, std::uint64_t size, Watch watch) noexcept;
    /// Counts a slow call; true if there were too many of them lately.
    [[nodiscard]] bool too_many_slow(std::int64_t now_ns) noexcept;
    void turn_async(std::int64_t now_ns) noexcept;
    void turn_back() noexcept;
    [[nodiscard]] bool is_time_to_try(std::int64_t now_ns) noexcept;

    std::atomic<std::uint32_t> quick_wanted_ = 0;  // 0: in place
    std::atomic<std::uint32_t> suspicion_ = 0;     // calls that are still to be watched
    std::atomic<std::uint32_t> row_ = row_min;
    std::atomic<std::int64_t> retry_ns_ = retry_ns_min;
    std::atomic<std::int64_t> retry_at_ = 0;
    std::atomic<std::uint32_t> slow_count_ = 0;
    std::atomic<std::int64_t> window_start_ = 0;
    std::atomic<std::int64_t> last_turn_ = -relapse_ns;
};

/// CLOCK_MONOTONIC in nanoseconds: a reactor's own clock may be a little old.
[[nodiscard]] std::int64_t monotonic_ns() noexcept;
/// How often this thread has slept in the kernel. A system call.
[[nodiscard]] std::int64_t sleep_count() noexcept;

/// One call that is measured for its Pace, from its start to end().
class PacedCall {
  public:
    /// `always_in_place`: memory file systems; nothing is measured then.
    PacedCall(Pace& pace, bool always_in_place, bool never_in_place) noexcept
        : pace_(pace),
          measured_(!always_in_place && !never_in_place),
          start_(measured_ ? monotonic_ns() : 0),
          in_place_(always_in_place || (measured_ && pace.in_place(start_))),
          watched_(measured_ && in_place_ && pace.is_suspicious()),
          sleep_count_(watched_ ? sleep_count() : 0) {}

    [[nodiscard]] bool in_place() const noexcept { return in_place_; }
    void end(std::uint64_t size = 0) noexcept {
        if (!measured_) return;
        const std::int64_t now = monotonic_ns();
        if (!in_place_) {
            pace_.took_async(now - start_, size);
            return;
        }
        auto watch = Pace::Watch::unwatched;
        if (watched_) {
            const bool slept = sleep_count() != sleep_count_;
            watch = slept ? Pace::Watch::slept : Pace::Watch::ran;
        }
        pace_.took_in_place(now - start_, now, size, watch);
    }

  private:
    Pace& pace_;
    const bool measured_;
    const std::int64_t start_;
    const bool in_place_;
    const bool watched_;
    const std::int64_t sleep_count_;
};

}  // namespace dpfs::mirror
