// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bench/histogram.hpp"
#include "bench/lane.hpp"
#include "bench/options.hpp"
#include "bench/target.hpp"
#include "bench/workload.hpp"

#include <atomic>
#include <cstdint>
#include <poll.h>
#include <string>
#include <vector>

namespace dpfs::bench {

/// What one queue did in one round.
struct LaneCounts {
    std::uint64_t operations = 0;      ///< completed within the round's time
    std::uint64_t all_operations = 0;  ///< and those that were in flight at its end
    std::uint64_t requests = 0;
    std::uint64_t kicks = 0;
    std::uint64_t calls = 0;
    std::int64_t elapsed_ns = 0;
    Histogram latency;  ///< from the first request's publication to the last one's return
};

/// A queue with the work it does.
struct LaneLoad {
    Target* target = nullptr;
    Lane* lane = nullptr;
    Workload* workload = nullptr;
    std::vector<Slot*> begun;  ///< since the last publication
    std::uint32_t in_flight = 0;
    LaneCounts counts;
};

/// One thread that makes requests on some queues and takes the replies, for one round after the
/// other. In the measured loop nothing is allocated, locked or logged; the one exception is the
/// queue for FORGETs, which a device's lanes share.
///
/// Thread    run(): one; failure() when it has ended.
class Worker {
  public:
    /// `stop` ends rounds early, of this worker and of the others; a failure sets it.
    Worker(std::vector<LaneLoad*> loads, const DriverOptions& options, std::atomic<bool>& stop);

    /// Keeps every slot of every queue busy for this time, and until each queue has completed
    /// an operation; then waits for what is in flight.
    void run(Duration time);

    /// What ended the round too early; empty where nothing did.
    [[nodiscard]] const std::string& failure() const noexcept { return failure_; }
    /// Whether requests may still be in flight: the device is gone, or hangs.
    [[nodiscard]] bool is_stuck() const noexcept { return stuck_; }

  private:
    void begin(LaneLoad& load);
    void end(LaneLoad& load, std::int64_t elapsed_ns);
    bool harvest(LaneLoad& load);
    void take(LaneLoad& load, const Done& done);
    void add(LaneLoad& load, Slot& slot);
    void publish(LaneLoad& load);
    void look();
    void idle();
    void sleep();
    void check_progress();
    void fail_with(const LaneLoad& load, const std::string& failure);
    [[nodiscard]] bool each_has_completed() const noexcept;
    [[nodiscard]] std::uint32_t in_flight() const noexcept;

    std::vector<LaneLoad*> loads_;
    WaitMode wait_;
    std::uint32_t batch_max_;
    std::int64_t stall_ns_max_;
    std::atomic<bool>& stop_;
    std::vector<pollfd> calls_;  // by load
    std::string failure_;
    bool running_ = false;  // new operations begin, and count
    bool stuck_ = false;
    std::uint32_t idle_count_ = 0;
    std::int64_t now_ns_ = 0;
    std::int64_t progress_ns_ = 0;  // when a reply last came
};

}  // namespace dpfs::bench
