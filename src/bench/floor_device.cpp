// SPDX-License-Identifier: Apache-2.0
#include "bench/floor_device.hpp"

#include "bench/clock.hpp"
#include "bench/cpu_affinity.hpp"
#include "bench/floor_queue.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>

namespace dpfs::bench {
namespace {

constexpr int idle_count_max = 20'000;  // some hundred microseconds
constexpr int sleep_ms_max = 100;       // and a look whether to end

}  // namespace

FloorDevice::~FloorDevice() {
    stopped_.store(true, std::memory_order_relaxed);
    for (std::thread& thread : threads_) thread.join();
}

Outcome<std::unique_ptr<FloorDevice>> FloorDevice::start(const FloorOptions& options) {
    std::unique_ptr<FloorDevice> device(new FloorDevice);
    if (options.place != "null") {
        device->place_ = UniqueFd(::open(options.place.c_str(), O_PATH | O_CLOEXEC));
        if (!device->place_) {
            return failed(
                fmt::format("cannot be opened ({})", errno_name(fail_errno().error())));
        }
    }
    for (hal::vhost_user::DriverQueue* const queue : options.queues) {
        auto ring = virtio::make_virtqueue(options.memory,
                                           {.size = options.ring_size,
                                            .features = options.features,
                                            .addresses = queue->layout().addresses});
        if (!ring) return failed(fmt::format("no ring ({})", errno_name(ring.error())));
        device->queues_.push_back(std::make_unique<FloorQueue>(options.memory,
                                                               std::move(*ring),
                                                               queue->call_fd(),
                                                               queue->kick_fd(),
                                                               device->place_.get()));
    }
    device->thread_ids_ = std::vector<std::atomic<pid_t>>(device->queues_.size() - 1);
    for (std::size_t i = 0; i < device->thread_ids_.size(); ++i) {
        device->threads_.emplace_back(
            [&device = *device, i, cpus = options.cpus] { device.serve(i, cpus); });
        device->thread_ids_[i].wait(0);
    }
    return device;
}

void FloorDevice::sleep_until_kicked(const std::vector<FloorQueue*>& queues) {
    bool may_sleep = true;
    std::vector<pollfd> kicks;
    kicks.reserve(queues.size());
    for (FloorQueue* const queue : queues) {
        may_sleep = queue->fall_asleep() && may_sleep;
        kicks.push_back({.fd = queue->kick_fd(), .events = POLLIN, .revents = 0});
    }
    if (may_sleep) (void)::poll(kicks.data(), kicks.size(), sleep_ms_max);
    for (FloorQueue* const queue : queues) queue->wake_up();
}

/// What thread `index` does.
void FloorDevice::serve(std::size_t index, const std::vector<unsigned>& cpus) {
    pin_this_thread(cpus, index);
    thread_ids_[index].store(::gettid());
    thread_ids_[index].notify_one();
    std::vector<FloorQueue*> queues = {queues_[index + 1].get()};
    if (index == 0) queues.push_back(queues_[0].get());
    int idle_count = 0;
    while (!stopped_.load(std::memory_order_relaxed)) {
        bool worked = false;
        for (FloorQueue* const queue : queues) worked = queue->work() || worked;
        idle_count = worked ? 0 : idle_count + 1;
        if (idle_count < idle_count_max) {
            if (!worked) relax();
            continue;
        }
        // It may be another target's turn, on the same CPU.
        sleep_until_kicked(queues);
        idle_count = 0;
    }
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
    ids.reserve(thread_ids_.size());
    for (const std::atomic<pid_t>& id : thread_ids_) ids.push_back(id.load());
    return ids;
}

}  // namespace dpfs::bench
