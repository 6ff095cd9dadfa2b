// SPDX-License-Identifier: Apache-2.0
#include "bench/target.hpp"

#include "bench/failure.hpp"
#include "virtio/wire.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

namespace dpfs::bench {

using hal::vhost_user::DriverQueue;
using hal::vhost_user::DriverQueueOptions;
using hal::vhost_user::FrontEnd;
using hal::vhost_user::SharedMemory;
namespace wire = hal::vhost_user::wire;

namespace {

constexpr std::uint64_t memory_begin = std::uint64_t{1} << 32;  // as a guest's high memory
/// Room for data in each slot, whatever the block size: files are written in such pieces.
constexpr std::uint64_t data_size_min = std::uint64_t{1} << 20;
/// FORGETs that may be on their way.
constexpr std::uint32_t forget_count_max = 256;
constexpr std::uint32_t forget_table_count = 2;

std::uint64_t wanted_features(const DriverOptions& driver) {
    std::uint64_t features = virtio::feature_version_1;
    if (driver.indirect) features |= virtio::feature_indirect_desc;
    if (driver.event_idx) features |= virtio::feature_event_idx;
    if (driver.ring == RingFormat::packed) features |= virtio::feature_ring_packed;
    return features;
}

/// Gives out guest memory, whole pages, one after the other.
struct Allotment {
    std::uint64_t next = memory_begin;

    std::uint64_t take(std::uint64_t size) {
        const std::uint64_t address = next;
        next += (size + Slot::page_size - 1) / Slot::page_size * Slot::page_size;
        return address;
    }
};

/// Where one queue and its slots lie.
struct LanePlan {
    DriverQueueOptions queue;
    std::uint64_t slots_begin = 0;
    std::uint64_t data_size = 0;
    std::uint32_t slot_count = 0;
    bool scatter = false;
};

LanePlan plan_lane(Allotment& memory,
                   LanePlan plan,
                   std::uint32_t ring_size,
                   std::uint64_t features) {
    plan.queue.size = ring_size;
    plan.queue.guest_address = memory.next;
    const auto layout =
        virtio::DriverLayout::at(memory.next, ring_size, features, plan.queue.table_count);
    memory.take(layout.size);
    plan.slots_begin = memory.take(plan.slot_count * Slot::memory_size(plan.data_size));
    return plan;
}

Result<Lane> make_lane(const SharedMemory& memory,
                       std::uint64_t features,
                       const LanePlan& plan) {
    auto queue = DriverQueue::make(memory, features, plan.queue);
    if (!queue) return fail(queue.error());
    std::vector<Slot> slots;
    slots.reserve(plan.slot_count);
    for (std::uint32_t i = 0; i < plan.slot_count; ++i) {
        // Numbers of all slots of a device differ: queue, slot, and how often.
        const std::uint64_t unique =
            std::uint64_t{plan.queue.index} << 48 | std::uint64_t{i + 1} << 32;
        const std::uint64_t address = plan.slots_begin + i * Slot::memory_size(plan.data_size);
        slots.emplace_back(memory, address, plan.data_size, plan.scatter, unique);
    }
    const bool indirect = (features & virtio::feature_indirect_desc) != 0;
    return Lane(std::move(*queue), std::move(slots), indirect);
}

}  // namespace

Outcome<std::unique_ptr<Target>> Target::connect(const std::string& socket,
                                                 const Options& options) {
    std::unique_ptr<Target> target(new Target);
    target->name_ = socket;
    auto front_end = FrontEnd::connect(socket);
    if (!front_end) {
        return failed(fmt::format("'{}' cannot be connected to ({}); is the device served?",
                                  socket,
                                  errno_name(front_end.error())));
    }
    target->front_end_ = std::make_unique<FrontEnd>(std::move(*front_end));
    target->limit_waits(options.driver.stall_time_max);
    if (auto done = target->negotiate(options.driver); !done) return failed(done.error());
    if (auto done = target->make_queues(options); !done) return failed(done.error());
    if (auto done = target->start_queues(options.queue_count); !done) {
        return failed(done.error());
    }
    return target;
}

Outcome<std::unique_ptr<Target>> Target::make_floor(const std::string& place,
                                                    const Options& options) {
    std::unique_ptr<Target> target(new Target);
    target->name_ = fmt::format("floor {}", place);
    target->features_ = wanted_features(options.driver);
    if (auto done = target->make_queues(options); !done) return failed(done.error());
    std::vector<DriverQueue*> queues = {&target->priority_->queue()};
    for (Lane& lane : target->lanes_) queues.push_back(&lane.queue());
    auto floor = FloorDevice::start({.place = place,
                                     .memory = target->memory_->map(),
                                     .features = target->features_,
                                     .ring_size = options.driver.ring_size,
                                     .queues = queues,
                                     .cpus = options.floor_cpus});
    if (!floor) return failed(fmt::format("{}: {}", target->name_, floor.error()));
    target->floor_ = std::move(*floor);
    return target;
}

Outcome<void> Target::negotiate(const DriverOptions& driver) {
    const std::uint64_t wanted = wanted_features(driver);
    const auto done = front_end_->negotiate(wanted | wire::feature_protocol_features,
                                            wire::protocol_mq | wire::protocol_reply_ack);
    if (!done) return refused("the vhost-user handshake", done.error());
    features_ = front_end_->features();
    if ((features_ & virtio::feature_version_1) == 0) {
        return failed(fmt::format("'{}': the device is older than virtio 1.0", name_));
    }
    if (driver.ring == RingFormat::packed && (features_ & virtio::feature_ring_packed) == 0) {
        return failed(
            fmt::format("'{}': the device has no packed rings; leave out --ring", name_));
    }
    return {};
}

Outcome<void> Target::make_queues(const Options& options) {
    Allotment memory;
    const LoadOptions& load = options.load;
    const std::uint64_t data_size =
        std::max({load.block_size.bytes, load.list_size.bytes, data_size_min});
    const std::uint32_t ring_size = options.driver.ring_size;
    // Header, arguments, reply's header and struct, and a page each.
    const auto table_count = static_cast<std::uint32_t>(4 + data_size / Slot::page_size);
    std::vector<LanePlan> plans;
    const LanePlan priority = {.queue = {.index = 0, .table_count = forget_table_count},
                               .slot_count = std::min(forget_count_max, ring_size / 4)};
    plans.push_back(plan_lane(memory, priority, ring_size, features_));
    for (std::uint32_t i = 1; i <= options.queue_count; ++i) {
        const LanePlan lane = {.queue = {.index = i, .table_count = table_count},
                               .data_size = data_size,
                               .slot_count = load.depth,
                               .scatter = options.driver.scatter};
        plans.push_back(plan_lane(memory, lane, ring_size, features_));
    }

    auto shared = SharedMemory::make(memory_begin, memory.next - memory_begin);
    if (!shared) {
        return failed(fmt::format("{} MiB of memory to share cannot be had ({})",
                                  (memory.next - memory_begin) >> 20,
                                  errno_name(shared.error())));
    }
    memory_ = std::make_unique<SharedMemory>(std::move(*shared));
    for (const LanePlan& plan : plans) {
        auto lane = make_lane(*memory_, features_, plan);
        if (!lane) {
            return failed(fmt::format("'{}': no ring of {} entries ({})",
                                      name_,
                                      ring_size,
                                      errno_name(lane.error())));
        }
        if (plan.queue.index == 0) {
            priority_ = std::make_unique<Lane>(std::move(*lane));
        } else {
            lanes_.push_back(std::move(*lane));
        }
    }
    return {};
}

Outcome<void> Target::start_queues(std::uint32_t queue_count) {
    if ((front_end_->protocol_features() & wire::protocol_mq) != 0) {
        const auto offered = front_end_->queue_count();
        if (offered && *offered < queue_count + 1) {
            return failed(
                fmt::format("'{}': the device has {} request queues; write --queues "
                            "{}",
                            name_,
                            *offered - 1,
                            *offered - 1));
        }
    }
    const auto region = memory_->region();
    const int fd = memory_->fd();
    Result<void> done = front_end_->set_memory_table(std::span(&region, 1), std::span(&fd, 1));
    if (done) done = priority_->queue().start(*front_end_);
    for (Lane& lane : lanes_) {
        if (done) done = lane.queue().start(*front_end_);
    }
    if (!done) return refused("setting up memory and rings", done.error());
    return {};
}

/// Whoever never answers on the socket is not waited for any longer.
void Target::limit_waits(Duration time) {
    const timeval limit = {.tv_sec = time.ns / 1'000'000'000, .tv_usec = 0};
    (void)::setsockopt(front_end_->fd(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
}

std::unexpected<std::string> Target::refused(std::string_view what, Errno error) const {
    // A receive that has timed out says EAGAIN.
    const Errno cause = error == Errno::again ? Errno::timed_out : error;
    return failed(fmt::format("'{}': {}: {}", name_, what, explain(cause)));
}

bool Target::is_alive() const noexcept {
    if (!front_end_) return true;
    // Nothing is said on the socket while requests run; what can be read is its end.
    pollfd state = {.fd = front_end_->fd(), .events = POLLIN | POLLRDHUP, .revents = 0};
    return ::poll(&state, 1, 0) == 0;
}

}  // namespace dpfs::bench
