// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>
#include <limits>

namespace dpfs {

/// A span of time in nanoseconds. Our own type, because <chrono> costs each header that
/// includes it 0.6 s of compile time.
struct Duration {
    std::int64_t ns = 0;

    auto operator<=>(const Duration&) const = default;
    [[nodiscard]] constexpr double seconds() const { return static_cast<double>(ns) / 1e9; }
};

constexpr Duration nanoseconds(std::int64_t n) {
    return {n};
}
constexpr Duration microseconds(std::int64_t n) {
    return {n * 1000};
}
constexpr Duration milliseconds(std::int64_t n) {
    return {n * 1'000'000};
}
constexpr Duration seconds(std::int64_t n) {
    return {n * 1'000'000'000};
}

/// A point on a reactor's clock: CLOCK_MONOTONIC for real reactors, virtual time for the
/// simulated one. Only Reactor::now() makes them.
struct Instant {
    std::int64_t ns = 0;

    auto operator<=>(const Instant&) const = default;

    /// Later than every other instant: the deadline of a wait without one.
    static constexpr Instant never() { return {std::numeric_limits<std::int64_t>::max()}; }
};

constexpr Instant operator+(Instant t, Duration d) {
    // A wait of "for ever" stays one.
    if (t == Instant::never() || d.ns > Instant::never().ns - t.ns) return Instant::never();
    return {t.ns + d.ns};
}
constexpr Duration operator-(Instant a, Instant b) {
    return {a.ns - b.ns};
}

}  // namespace dpfs
