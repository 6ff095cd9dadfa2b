// SPDX-License-Identifier: Apache-2.0
#include "bench/run.hpp"

#include "bench/device.hpp"
#include "bench/group.hpp"
#include "bench/report.hpp"

#include <fmt/format.h>

#include <memory>
#include <utility>

namespace dpfs::bench {
namespace {

using Devices = std::vector<std::unique_ptr<Device>>;

/// Floors come first: they are what others are compared with.
Outcome<Devices> open_devices(const Options& options) {
    Devices devices;
    const auto mount = [&](Outcome<std::unique_ptr<Target>> target) -> Outcome<void> {
        if (!target) return failed(target.error());
        auto device = Device::mount(std::move(*target), devices.size(), options);
        if (!device) return failed(device.error());
        devices.push_back(std::move(*device));
        return {};
    };
    Outcome<void> done;
    for (const std::string& place : options.floors) {
        if (done) done = mount(Target::make_floor(place, options));
    }
    for (const std::string& socket : options.sockets) {
        if (done) done = mount(Target::connect(socket, options));
    }
    if (!done) return failed(done.error());
    return devices;
}

std::vector<std::unique_ptr<Group>> make_groups(Devices& devices, const Options& options) {
    std::vector<std::unique_ptr<Group>> groups;
    std::vector<Device*> together;
    for (const auto& device : devices) {
        together.push_back(device.get());
        if (!options.compare) continue;
        groups.push_back(std::make_unique<Group>(std::exchange(together, {}), options));
    }
    if (!options.compare) groups.push_back(std::make_unique<Group>(together, options));
    return groups;
}

Outcome<WorkResult> measure(Work work,
                            std::vector<std::unique_ptr<Group>>& groups,
                            const Options& options,
                            Observer& observer,
                            std::atomic<bool>& stop) {
    WorkResult result = {.work = work, .groups = {}};
    for (auto& group : groups) {
        observer.progress(fmt::format("{}: prepares {}", name_of(work), group->name()));
        if (auto done = group->prepare(work); !done) return failed(done.error());
        result.groups.push_back(group->empty_result());
        auto warm = group->run(options.warm_up_time, stop);
        if (!warm) return failed(warm.error());
    }
    for (std::uint32_t round = 0; round < options.round_count; ++round) {
        for (std::size_t i = 0; i < groups.size(); ++i) {
            GroupResult& of_group = result.groups[i];
            if (auto done = groups[i]->run(options.round_time, stop, of_group); !done) {
                return failed(done.error());
            }
            observer.progress(fmt::format("{}: round {} of {}: {} {}/s",
                                          name_of(work),
                                          round + 1,
                                          options.round_count,
                                          of_group.name,
                                          readable_count(of_group.all.rates().back())));
        }
    }
    return result;
}

}  // namespace

Outcome<std::vector<WorkResult>> run(const Options& options,
                                     Observer& observer,
                                     std::atomic<bool>& stop) {
    auto devices = open_devices(options);
    if (!devices) return failed(devices.error());
    auto groups = make_groups(*devices, options);
    std::vector<WorkResult> results;
    Outcome<void> done;
    for (const Work work : options.load.works.works) {
        auto result = measure(work, groups, options, observer, stop);
        if (!result) {
            done = failed(result.error());
            break;
        }
        results.push_back(std::move(*result));
    }
    observer.progress("removes the test files");
    for (auto& group : groups) {
        if (auto closed = group->close(); !closed && done) done = failed(closed.error());
    }
    observer.progress("");
    if (!done) return failed(done.error());
    return results;
}

}  // namespace dpfs::bench
