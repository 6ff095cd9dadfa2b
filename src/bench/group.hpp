// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bench/device.hpp"
#include "bench/measurement.hpp"
#include "bench/options.hpp"
#include "bench/outcome.hpp"
#include "bench/server_meter.hpp"
#include "bench/worker.hpp"

#include <atomic>
#include <string>
#include <vector>

namespace dpfs::bench {

/// Devices that work at the same time, and the threads that drive them.
///
/// Thread    one at a time.
class Group {
  public:
    /// The devices outlive it.
    Group(std::vector<Device*> devices, const Options& options);

    [[nodiscard]] std::string name() const;
    Outcome<void> prepare(Work work);

    /// One round. Errors: the first worker's; "interrupted" where `stop` was set from outside.
    Outcome<void> run(Duration time, std::atomic<bool>& stop);
    /// One round, whose measurements are added to `result`.
    Outcome<void> run(Duration time, std::atomic<bool>& stop, GroupResult& result);
    [[nodiscard]] GroupResult empty_result() const;

    /// Removes files and unmounts, as far as the devices still answer.
    Outcome<void> close();

  private:
    [[nodiscard]] std::vector<const LaneCounts*> counts_of(Device& device) const;

    std::vector<Device*> devices_;
    Options options_;
    ServerMeter meter_;
    bool stuck_ = false;  // a device is gone, or hangs
};

}  // namespace dpfs::bench
