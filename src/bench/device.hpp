// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bench/client.hpp"
#include "bench/forget_queue.hpp"
#include "bench/options.hpp"
#include "bench/outcome.hpp"
#include "bench/target.hpp"
#include "bench/test_tree.hpp"
#include "bench/worker.hpp"
#include "bench/workload.hpp"

#include <memory>
#include <string>
#include <vector>

namespace dpfs::bench {

/// A target that is mounted, with its test files and the work of each queue.
///
/// Thread    one at a time; during a round, each load belongs to its worker.
class Device {
  public:
    /// Mounts. Targets of one run have different numbers. Errors: one line.
    static Outcome<std::unique_ptr<Device>> mount(std::unique_ptr<Target> target,
                                                  std::size_t number,
                                                  const Options& options);

    /// Makes the files that this work needs, and the work of every queue.
    Outcome<void> prepare(Work work);
    /// Removes the files and unmounts.
    Outcome<void> close();

    [[nodiscard]] Target& target() noexcept { return *target_; }
    [[nodiscard]] std::vector<LaneLoad>& loads() noexcept { return loads_; }

  private:
    Device(std::unique_ptr<Target> target, std::size_t number, const Options& options);
    Outcome<void> check_sizes() const;

    std::unique_ptr<Target> target_;
    LoadOptions load_options_;
    DriverOptions driver_;
    Client client_;
    ForgetQueue forgets_;
    TestTree tree_;
    std::vector<std::unique_ptr<Workload>> workloads_;
    std::vector<LaneLoad> loads_;
};

}  // namespace dpfs::bench
