// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/unique_fd.hpp"
#include "bench/floor_queue.hpp"
#include "bench/outcome.hpp"
#include "hal/vhost_user/user_driver.hpp"
#include "virtio/guest_memory.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <sys/types.h>
#include <thread>
#include <vector>

namespace dpfs::bench {

struct FloorOptions {
    /// A file; or a directory, for a file without a name in it; or "null": a READ is a copy of
    /// zeroes, a WRITE of what comes.
    std::string place;
    virtio::GuestMemory memory;
    std::uint64_t features = 0;
    std::uint32_t ring_size = 0;
    /// The one for FORGETs first; they outlive the device.
    std::vector<hal::vhost_user::DriverQueue*> queues;
    std::vector<unsigned> cpus;
};

/// The least that a device can do: a thread for each request queue (FloorQueue), which polls
/// its ring, and sleeps when nothing has come for a while; the first one has the queue for
/// FORGETs besides. What a real device is measured against.
///
/// Thread    the front end's.
class FloorDevice {
  public:
    static Outcome<std::unique_ptr<FloorDevice>> start(const FloorOptions& options);
    FloorDevice(const FloorDevice&) = delete;
    FloorDevice& operator=(const FloorDevice&) = delete;
    ~FloorDevice();

    /// The threads' CPU clocks and kernel ids, for measurements.
    [[nodiscard]] std::vector<clockid_t> clocks() const;
    [[nodiscard]] std::vector<pid_t> thread_ids() const;

  private:
    FloorDevice() = default;
    void serve(std::size_t index, const std::vector<unsigned>& cpus);
    static void sleep_until_kicked(const std::vector<FloorQueue*>& queues);

    std::atomic<bool> stopped_ = false;
    UniqueFd place_;  // none: null
    std::vector<std::unique_ptr<FloorQueue>> queues_;
    std::vector<std::atomic<pid_t>> thread_ids_;  // 0: not started yet
    std::vector<std::thread> threads_;
};

}  // namespace dpfs::bench
