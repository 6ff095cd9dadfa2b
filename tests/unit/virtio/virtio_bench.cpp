// SPDX-License-Identifier: Apache-2.0
// What a ring costs the device for each request: pop, push, and one flush with the question of
// a notification for a batch. The driver's work is outside the measured time.
#include "ring_pair.hpp"

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <ctime>

namespace dpfs::virtio {
namespace {

constexpr std::uint32_t queue_size = 512;
constexpr int batch = 128;

/// Of this thread: what others do on the machine does not count.
double cpu_seconds() {
    timespec now = {};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

/// Reads of 4 KiB, laid out as Linux does: two headers to read, one and a page to write.
void offer_batch(RingPair& ring, bool indirect) {
    for (std::uint64_t i = 0; i < batch; ++i) {
        const std::uint64_t slab = buffers + i * 0x4000;
        const Segment readable[] = {{slab, 40}, {slab + 128, 40}};
        const Segment writable[] = {{slab + 256, 16}, {slab + 0x1000, 0x1000}};
        const ChainRequest read{
            .readable = readable, .writable = writable, .indirect = indirect};
        if (!ring.driver->add(read)) std::abort();
    }
    ring.driver->publish();
}

void pop_and_push(benchmark::State& state, std::uint64_t features) {
    RingPair ring(queue_size, features | feature_event_idx | feature_indirect_desc);
    const bool indirect = state.range(0) != 0;
    while (state.KeepRunningBatch(batch)) {
        offer_batch(ring, indirect);
        const double start = cpu_seconds();
        while (ring.device->pop(ring.memory, ring.chain).value_or(false)) {
            ring.device->push(ring.chain.head(), 0x1010);
        }
        ring.device->flush();
        benchmark::DoNotOptimize(ring.device->needs_notification());
        state.SetIterationTime(cpu_seconds() - start);
        while (ring.take_used()) {
        }
    }
}

BENCHMARK_CAPTURE(pop_and_push, split, split)
    ->ArgName("indirect")
    ->Arg(0)
    ->Arg(1)
    ->UseManualTime();
BENCHMARK_CAPTURE(pop_and_push, packed, packed)
    ->ArgName("indirect")
    ->Arg(0)
    ->Arg(1)
    ->UseManualTime();

}  // namespace
}  // namespace dpfs::virtio
