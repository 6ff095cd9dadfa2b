// SPDX-License-Identifier: Apache-2.0
// What a request costs the driver: the next request is prepared, put into the ring, published,
// taken back and judged, in batches of 32. The device's part, a ring that echoes, is outside
// the measured time. A bench whose driver costs more than the devices it measures would measure
// itself.
#include "bench/histogram.hpp"
#include "bench/lane.hpp"
#include "fuse/wire_file.hpp"
#include "virtio/virtqueue.hpp"

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <ctime>
#include <memory>

namespace dpfs::bench {
namespace {

using hal::vhost_user::DriverQueue;
using hal::vhost_user::SharedMemory;
namespace wire = fuse::wire;

constexpr std::uint64_t memory_begin = std::uint64_t{1} << 32;
constexpr std::uint64_t slots_begin = memory_begin + (1 << 20);
constexpr std::uint32_t ring_size = 1024;
constexpr std::uint32_t table_count = 8;
constexpr std::uint32_t depth = 32;
constexpr std::uint32_t block_size = 4096;

/// Of this thread: what others do on the machine does not count.
double cpu_seconds() {
    timespec now = {};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

/// A driver with one queue of READs, and a device that answers them without data.
class Echo {
  public:
    explicit Echo(std::uint64_t features)
        : memory_(SharedMemory::make(memory_begin, 4 << 20).value()), map_(memory_.map()) {
        auto queue = DriverQueue::make(
            memory_,
            features,
            {.size = ring_size, .table_count = table_count, .guest_address = memory_begin});
        device_ = virtio::make_virtqueue(map_,
                                         {.size = ring_size,
                                          .features = features,
                                          .addresses = (*queue)->layout().addresses})
                      .value();
        std::vector<Slot> slots;
        slots.reserve(depth);
        for (std::uint64_t i = 0; i < depth; ++i) {
            slots.emplace_back(memory_,
                               slots_begin + i * Slot::memory_size(block_size),
                               block_size,
                               false,
                               (i + 1) << 32);
        }
        lane_ = std::make_unique<Lane>(std::move(*queue), std::move(slots), true);
        for (Slot& slot : lane_->slots()) {
            const auto size = slot.put_arguments(wire::ReadIn{});
            slot.prepare({.opcode = wire::Opcode::read,
                          .nodeid = 2,
                          .arguments_size = size,
                          .data_out_size = block_size});
        }
    }

    void publish_all() {
        for (Slot& slot : lane_->slots()) send(slot);
        lane_->publish();
    }

    void serve() {
        while (device_->pop(map_, chain_).value_or(false)) {
            wire::InHeader in;
            std::memcpy(&in, chain_.readable()[0].iov_base, sizeof(in));
            const wire::OutHeader out = {
                .len = sizeof(out) + block_size, .error = 0, .unique = in.unique};
            std::memcpy(chain_.writable()[0].iov_base, &out, sizeof(out));
            device_->push(chain_.head(), out.len);
        }
        device_->flush();
    }

    void take_all() {
        for (std::uint32_t i = 0; i < depth; ++i) {
            const auto done = lane_->poll();
            if (!done || done->slot == nullptr) std::abort();
            if (!done->slot->succeeded(done->written, block_size)) std::abort();
            latency_.add(i);
            send(*done->slot);
        }
        lane_->publish();
    }

  private:
    void send(Slot& slot) {
        slot.arguments<wire::ReadIn>().offset += block_size;
        if (!lane_->add(slot)) std::abort();
    }

    SharedMemory memory_;
    virtio::GuestMemory map_;
    std::unique_ptr<virtio::Virtqueue> device_;
    virtio::DescriptorChain chain_;
    std::unique_ptr<Lane> lane_;
    Histogram latency_;
};

void drive(benchmark::State& state, std::uint64_t features) {
    Echo echo(features | virtio::feature_version_1 | virtio::feature_indirect_desc |
              virtio::feature_event_idx);
    echo.publish_all();
    while (state.KeepRunningBatch(depth)) {
        echo.serve();
        const double start = cpu_seconds();
        echo.take_all();
        state.SetIterationTime(cpu_seconds() - start);
    }
}

BENCHMARK_CAPTURE(drive, split, 0)->UseManualTime();
BENCHMARK_CAPTURE(drive, packed, virtio::feature_ring_packed)->UseManualTime();

}  // namespace
}  // namespace dpfs::bench
