// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bench/histogram.hpp"
#include "bench/median.hpp"
#include "bench/options.hpp"
#include "bench/server_meter.hpp"
#include "bench/worker.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace dpfs::bench {

inline constexpr std::size_t percentile_count = 6;
/// The last one is the maximum.
inline constexpr std::array<double, percentile_count> percentiles = {
    0.5, 0.9, 0.99, 0.999, 0.9999, 1.0};
inline constexpr std::array<const char*, percentile_count> percentile_names = {
    "p50", "p90", "p99", "p99.9", "p99.99", "max"};

/// What was measured of one or some targets in all rounds: a value for each round.
class Measurement {
  public:
    /// One round of the given lanes, and what their servers have used, if that is known.
    void add(const std::vector<const LaneCounts*>& lanes, const std::optional<ServerUse>& use);

    [[nodiscard]] const std::vector<double>& rates() const noexcept { return rates_; }
    [[nodiscard]] Spread rate() const { return spread_of(rates_); }
    /// In nanoseconds.
    [[nodiscard]] double latency(std::size_t percentile) const {
        return median_of(latencies_[percentile]);
    }
    /// Server's CPU time of an operation in nanoseconds, if it could be seen.
    [[nodiscard]] std::optional<double> user_ns() const;
    [[nodiscard]] std::optional<double> system_ns() const;
    /// Server's instructions of an operation, if the machine counts them.
    [[nodiscard]] std::optional<double> instructions() const;
    [[nodiscard]] double calls_per_request() const { return median_of(calls_); }
    [[nodiscard]] double kicks_per_request() const { return median_of(kicks_); }
    [[nodiscard]] std::uint64_t operation_count() const noexcept { return operation_count_; }

  private:
    [[nodiscard]] double user_share() const noexcept;

    std::vector<double> rates_;  // operations a second
    std::array<std::vector<double>, percentile_count> latencies_;
    std::vector<double> cpu_ns_;
    std::vector<double> instructions_;
    std::vector<double> calls_;
    std::vector<double> kicks_;
    std::uint64_t user_ticks_ = 0;  // of all rounds: they are coarse
    std::uint64_t system_ticks_ = 0;
    std::uint64_t operation_count_ = 0;
};

/// Targets that work at once, and what was measured of them together and of each.
struct GroupResult {
    std::string name;
    Measurement all;
    std::vector<std::string> member_names;
    std::vector<Measurement> members;
};

/// One work: with --compare a group for each target, else one with all.
struct WorkResult {
    Work work = {};
    std::vector<GroupResult> groups;

    /// Rate of a group in relation to the first one's, round by round.
    [[nodiscard]] Spread ratio(std::size_t group) const;
};

}  // namespace dpfs::bench
