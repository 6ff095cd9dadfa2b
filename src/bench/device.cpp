// SPDX-License-Identifier: Apache-2.0
#include "bench/device.hpp"

#include "bench/failure.hpp"

#include <fmt/format.h>

#include <unistd.h>

namespace dpfs::bench {

Device::Device(std::unique_ptr<Target> target, std::size_t number, const Options& options)
    : target_(std::move(target)),
      load_options_(options.load),
      driver_(options.driver),
      client_(*target_, options.driver.stall_time_max),
      forgets_(target_->priority_lane(), client_, options.load.batch_forget),
      tree_(*target_,
            client_,
            forgets_,
            options,
            // Two of us, or two sockets of one directory, do not meet.
            fmt::format("dpfs-bench-{}-{}", ::getpid(), number)),
      loads_(target_->lanes().size()) {}

Outcome<std::unique_ptr<Device>> Device::mount(std::unique_ptr<Target> target,
                                               std::size_t number,
                                               const Options& options) {
    std::unique_ptr<Device> device(new Device(std::move(target), number, options));
    if (const auto done = device->client_.mount(); !done) {
        return failed(
            fmt::format("'{}': FUSE_INIT: {}", device->target_->name(), explain(done.error())));
    }
    if (auto done = device->check_sizes(); !done) return failed(done.error());
    return device;
}

Outcome<void> Device::check_sizes() const {
    const std::uint64_t block_size = load_options_.block_size.bytes;
    if (block_size > client_.write_size_max()) {
        return failed(
            fmt::format("'{}': the device takes at most {} KiB in one request; write "
                        "less --block-size",
                        target_->name(),
                        client_.write_size_max() >> 10));
    }
    return {};
}

Outcome<void> Device::prepare(Work work) {
    workloads_.clear();
    for (std::size_t i = 0; i < loads_.size(); ++i) {
        const WorkloadSite site = {
            .tree = tree_, .forgets = forgets_, .load = load_options_, .lane_index = i};
        auto made = make_workload(work, site);
        if (!made) return failed(made.error());
        Lane& lane = target_->lanes()[i];
        for (Slot& slot : lane.slots()) (*made)->lay_out(slot);
        loads_[i].target = target_.get();
        loads_[i].lane = &lane;
        loads_[i].workload = made->get();
        workloads_.push_back(std::move(*made));
    }
    return {};
}

Outcome<void> Device::close() {
    auto removed = tree_.remove();
    const auto unmounted = client_.unmount();
    if (!removed) return removed;
    if (!unmounted) {
        return failed(
            fmt::format("'{}': FUSE_DESTROY: {}", target_->name(), explain(unmounted.error())));
    }
    return {};
}

}  // namespace dpfs::bench
