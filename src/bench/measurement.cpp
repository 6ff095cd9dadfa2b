// SPDX-License-Identifier: Apache-2.0
#include "bench/measurement.hpp"

#include <algorithm>
#include <memory>

namespace dpfs::bench {

void Measurement::add(const std::vector<const LaneCounts*>& lanes,
                      const std::optional<ServerUse>& use) {
    const auto merged = std::make_unique<Histogram>();
    double rate = 0;
    double all_operations = 0;
    double requests = 0;
    double calls = 0;
    double kicks = 0;
    for (const LaneCounts* const lane : lanes) {
        merged->merge(lane->latency);
        const double seconds =
            static_cast<double>(std::max<std::int64_t>(lane->elapsed_ns, 1)) / 1e9;
        rate += static_cast<double>(lane->operations) / seconds;
        all_operations += static_cast<double>(lane->all_operations);
        requests += static_cast<double>(lane->requests);
        calls += static_cast<double>(lane->calls);
        kicks += static_cast<double>(lane->kicks);
        operation_count_ += lane->operations;
    }
    rates_.push_back(rate);
    for (std::size_t i = 0; i < percentile_count; ++i) {
        const std::uint64_t value =
            i + 1 < percentile_count ? merged->percentile(percentiles[i]) : merged->max();
        latencies_[i].push_back(static_cast<double>(value));
    }
    calls_.push_back(calls / std::max(requests, 1.0));
    kicks_.push_back(kicks / std::max(requests, 1.0));
    if (!use || all_operations == 0) return;
    cpu_ns_.push_back(static_cast<double>(use->cpu_ns) / all_operations);
    user_ticks_ += use->user_ticks;
    system_ticks_ += use->system_ticks;
    if (use->instructions) {
        instructions_.push_back(static_cast<double>(*use->instructions) / all_operations);
    }
}

double Measurement::user_share() const noexcept {
    const auto ticks = static_cast<double>(user_ticks_ + system_ticks_);
    return ticks == 0 ? 1.0 : static_cast<double>(user_ticks_) / ticks;
}

std::optional<double> Measurement::user_ns() const {
    if (cpu_ns_.empty()) return std::nullopt;
    return median_of(cpu_ns_) * user_share();
}

std::optional<double> Measurement::system_ns() const {
    if (cpu_ns_.empty()) return std::nullopt;
    return median_of(cpu_ns_) * (1 - user_share());
}

std::optional<double> Measurement::instructions() const {
    if (instructions_.empty()) return std::nullopt;
    return median_of(instructions_);
}

Spread WorkResult::ratio(std::size_t group) const {
    const std::vector<double>& first = groups.front().all.rates();
    const std::vector<double>& other = groups[group].all.rates();
    std::vector<double> ratios;
    for (std::size_t i = 0; i < std::min(first.size(), other.size()); ++i) {
        if (first[i] > 0) ratios.push_back(other[i] / first[i]);
    }
    return spread_of(std::move(ratios));
}

}  // namespace dpfs::bench
