// SPDX-License-Identifier: Apache-2.0
#include "bench/group.hpp"

#include "bench/cpu_affinity.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <latch>
#include <memory>
#include <thread>

namespace dpfs::bench {
namespace {

std::vector<const Target*> targets_of(const std::vector<Device*>& devices) {
    std::vector<const Target*> targets;
    targets.reserve(devices.size());
    for (Device* const device : devices) targets.push_back(&device->target());
    return targets;
}

}  // namespace

Group::Group(std::vector<Device*> devices, const Options& options)
    : devices_(std::move(devices)),
      options_(options),
      meter_(targets_of(devices_), options.server_pid) {}

std::string Group::name() const {
    if (devices_.size() == 1) return devices_.front()->target().name();
    return fmt::format("{} devices", devices_.size());
}

GroupResult Group::empty_result() const {
    GroupResult result;
    result.name = name();
    if (devices_.size() < 2) return result;
    for (Device* const device : devices_) {
        result.member_names.push_back(device->target().name());
        result.members.emplace_back();
    }
    return result;
}

Outcome<void> Group::prepare(Work work) {
    for (Device* const device : devices_) {
        if (auto done = device->prepare(work); !done) return done;
    }
    return {};
}

Outcome<void> Group::run(Duration time, std::atomic<bool>& stop) {
    std::vector<LaneLoad*> loads;
    for (Device* const device : devices_) {
        for (LaneLoad& load : device->loads()) loads.push_back(&load);
    }
    const std::size_t wanted =
        options_.thread_count == 0 ? loads.size() : options_.thread_count;
    const std::size_t thread_count = std::min(wanted, loads.size());
    std::vector<std::unique_ptr<Worker>> workers;
    for (std::size_t i = 0; i < thread_count; ++i) {
        std::vector<LaneLoad*> mine;
        for (std::size_t j = i; j < loads.size(); j += thread_count) mine.push_back(loads[j]);
        workers.push_back(std::make_unique<Worker>(std::move(mine), options_.driver, stop));
    }
    std::latch start(static_cast<std::ptrdiff_t>(thread_count));
    std::vector<std::thread> threads;
    threads.reserve(thread_count);
    for (std::size_t i = 0; i < thread_count; ++i) {
        threads.emplace_back([&worker = *workers[i], &start, time, i, this] {
            pin_this_thread(options_.cpus, i);
            start.arrive_and_wait();
            worker.run(time);
        });
    }
    for (std::thread& thread : threads) thread.join();
    for (const auto& worker : workers) {
        if (worker->is_stuck()) stuck_ = true;
    }
    for (const auto& worker : workers) {
        if (!worker->failure().empty()) return failed(worker->failure());
    }
    if (stop.load()) return failed("interrupted");
    return {};
}

Outcome<void> Group::run(Duration time, std::atomic<bool>& stop, GroupResult& result) {
    const ServerUse before = meter_.sample();
    if (auto done = run(time, stop); !done) return done;
    const ServerUse use = meter_.sample() - before;
    std::vector<const LaneCounts*> all;
    for (std::size_t i = 0; i < devices_.size(); ++i) {
        const auto counts = counts_of(*devices_[i]);
        all.insert(all.end(), counts.begin(), counts.end());
        if (i < result.members.size()) result.members[i].add(counts, std::nullopt);
    }
    const bool seen = meter_.sees_a_server();
    result.all.add(all, seen ? std::optional(use) : std::nullopt);
    return {};
}

std::vector<const LaneCounts*> Group::counts_of(Device& device) const {
    std::vector<const LaneCounts*> counts;
    for (const LaneLoad& load : device.loads()) counts.push_back(&load.counts);
    return counts;
}

Outcome<void> Group::close() {
    if (stuck_) return {};
    Outcome<void> first;
    for (Device* const device : devices_) {
        if (auto done = device->close(); !done && first) first = done;
    }
    return first;
}

}  // namespace dpfs::bench
