// SPDX-License-Identifier: Apache-2.0
#include "bench/floor_device.hpp"

#include "bench/clock.hpp"
#include "bench/cpu_affinity.hpp"
#include "bench/floor_queue.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <pthread.h>

namespace dpfs::bench {

FloorDevice::FloorDevice() = default;

FloorDevice::~FloorDevice() {
    stopped_.store(true, std::memory_order_relaxed);
    for (std::thread& thread : threads_) thread.join();
}

Outcome<std::unique_ptr<FloorDevice>> FloorDevice::start(const FloorOptions& options) {
    std::unique_ptr<FloorDevice> device(new FloorDevice);
    if (options.directory != "null") {
        device->directory_ =
            UniqueFd(::open(options.directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        if (!device->directory_) {
            const Errno error = fail_errno().error();
            return failed(
                fmt::format("the directory cannot be opened ({})", errno_name(error)));
        }
    }
    for (hal::vhost_user::DriverQueue* const queue : options.queues) {
        auto ring = virtio::make_virtqueue(options.memory,
                                           {.size = options.ring_size,
                                            .features = options.features,
                                            .addresses = queue->layout().addresses});
        if (!ring) return failed(fmt::format("no ring ({})", errno_name(ring.error())));
        device->queues_.push_back(std::make_unique<FloorQueue>(
            options.memory, std::move(*ring), queue->call_fd(), device->directory_.get()));
    }
    device->thread_ids_ = std::vector<std::atomic<pid_t>>(device->queues_.size());
    for (std::size_t i = 0; i < device->queues_.size(); ++i) {
        device->threads_.emplace_back([&device = *device, i, cpus = options.cpus] {
            // Queue 0 has next to nothing to do: it shares the first queue's CPU.
            pin_this_thread(cpus, i == 0 ? 0 : i - 1);
            device.thread_ids_[i].store(::gettid());
            device.thread_ids_[i].notify_one();
            device.queues_[i]->serve(device.stopped_);
        });
        device->thread_ids_[i].wait(0);
    }
    return device;
}

std::vector<clockid_t> FloorDevice::clocks() const {
    std::vector<clockid_t> clocks;
    for (const std::thread& thread : threads_) {
        clockid_t clock = {};
        const pthread_t handle = const_cast<std::thread&>(thread).native_handle();
        if (::pthread_getcpuclockid(handle, &clock) == 0) clocks.push_back(clock);
    }
    return clocks;
}

std::vector<pid_t> FloorDevice::thread_ids() const {
    std::vector<pid_t> ids;
    for (const std::atomic<pid_t>& id : thread_ids_) ids.push_back(id.load());
    return ids;
}

}  // namespace dpfs::bench
