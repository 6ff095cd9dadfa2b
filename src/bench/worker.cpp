// SPDX-License-Identifier: Apache-2.0
#include "bench/worker.hpp"

#include "bench/clock.hpp"
#include "bench/failure.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace dpfs::bench {
namespace {

/// How often an idle loop looks at the clock.
constexpr std::uint32_t idle_rounds_per_look = 64;
/// After so long without a reply it is asked whether the device is still there.
constexpr std::int64_t silence_ns_max = 100'000'000;
constexpr int sleep_ms_max = 100;

}  // namespace

Worker::Worker(std::vector<LaneLoad*> loads,
               const DriverOptions& options,
               std::atomic<bool>& stop)
    : loads_(std::move(loads)),
      wait_(options.wait),
      batch_max_(options.batch_max),
      stall_ns_max_(options.stall_time_max.ns),
      stop_(stop) {
    for (LaneLoad* const load : loads_) {
        calls_.push_back({.fd = load->lane->call_fd(), .events = POLLIN, .revents = 0});
        load->begun.reserve(load->lane->slots().size());
    }
}

void Worker::run(Duration time) {
    running_ = true;
    const std::int64_t begin_ns = now_ns();
    now_ns_ = begin_ns;
    progress_ns_ = begin_ns;
    for (LaneLoad* const load : loads_) begin(*load);
    const auto is_over = [&] { return now_ns_ - begin_ns >= time.ns && each_has_completed(); };
    while (!is_over() && !stop_.load(std::memory_order_relaxed)) look();
    running_ = false;
    const std::int64_t elapsed_ns = now_ns_ - begin_ns;
    while (in_flight() > 0 && !stuck_) look();
    for (LaneLoad* const load : loads_) end(*load, elapsed_ns);
}

/// Counts from here on, and begins an operation in every slot.
void Worker::begin(LaneLoad& load) {
    Lane& lane = *load.lane;
    lane.take_calls();
    load.counts = {};
    load.counts.requests = lane.request_count();
    load.counts.kicks = lane.kick_count();
    load.counts.calls = lane.call_count();
    load.in_flight = static_cast<std::uint32_t>(lane.slots().size());
    if (wait_ == WaitMode::busy) lane.disable_notifications();
    for (Slot& slot : lane.slots()) {
        load.workload->begin(slot);
        load.begun.push_back(&slot);
        add(load, slot);
    }
    publish(load);
}

void Worker::end(LaneLoad& load, std::int64_t elapsed_ns) {
    Lane& lane = *load.lane;
    lane.take_calls();
    load.counts.requests = lane.request_count() - load.counts.requests;
    load.counts.kicks = lane.kick_count() - load.counts.kicks;
    load.counts.calls = lane.call_count() - load.counts.calls;
    load.counts.elapsed_ns = elapsed_ns;
}

void Worker::look() {
    bool worked = false;
    for (LaneLoad* const load : loads_) worked |= harvest(*load);
    if (worked) {
        progress_ns_ = now_ns_;
        idle_count_ = 0;
    } else if (wait_ == WaitMode::interrupt) {
        sleep();
    } else {
        idle();
    }
}

/// Takes the replies that are there, and sends what follows from them, all or a batch in one
/// go. The device works on a batch while the next one is taken: a driver that waited for the
/// last reply would work in turns with a device that answers all at once.
bool Worker::harvest(LaneLoad& load) {
    auto done = load.lane->poll();
    if (done && done->slot == nullptr) return false;
    now_ns_ = now_ns();
    std::uint32_t count = 0;
    while (done && done->slot != nullptr) {
        take(load, *done);
        if (++count % batch_max_ == 0) publish(load);
        done = load.lane->poll();
    }
    if (!done) {
        stuck_ = true;
        fail_with(load, explain(done.error()));
    }
    publish(load);
    return true;
}

void Worker::take(LaneLoad& load, const Done& done) {
    Slot& slot = *done.slot;
    switch (load.workload->take(slot, done.written)) {
        case Progress::more:
            add(load, slot);
            return;
        case Progress::done:
            ++load.counts.all_operations;
            if (!running_) break;
            ++load.counts.operations;
            load.counts.latency.add(static_cast<std::uint64_t>(now_ns_ - slot.started_ns));
            load.workload->begin(slot);
            load.begun.push_back(&slot);
            add(load, slot);
            return;
        case Progress::failed:
            fail_with(load, load.workload->failure());
            break;
    }
    --load.in_flight;
}

void Worker::add(LaneLoad& load, Slot& slot) {
    if (const auto added = load.lane->add(slot)) return;
    // Who made the ring has seen to it that all slots have room.
    --load.in_flight;
    fail_with(load, "the ring is too small for so many requests; write less --depth");
}

void Worker::publish(LaneLoad& load) {
    if (!load.begun.empty()) {
        // What is seen after this was not there much earlier: the clock goes on.
        now_ns_ = now_ns();
        for (Slot* const slot : load.begun) slot->started_ns = now_ns_;
        load.begun.clear();
    }
    load.lane->publish();
}

void Worker::idle() {
    relax();
    if (++idle_count_ % idle_rounds_per_look != 0) return;
    now_ns_ = now_ns();
    check_progress();
}

void Worker::sleep() {
    bool busy = false;
    for (LaneLoad* const load : loads_) busy |= load->lane->enable_notifications();
    if (!busy && ::poll(calls_.data(), calls_.size(), sleep_ms_max) > 0) {
        for (LaneLoad* const load : loads_) load->lane->take_calls();
    }
    for (LaneLoad* const load : loads_) load->lane->disable_notifications();
    now_ns_ = now_ns();
    check_progress();
}

void Worker::check_progress() {
    const std::int64_t silence_ns = now_ns_ - progress_ns_;
    if (silence_ns < silence_ns_max) return;
    for (const LaneLoad* const load : loads_) {
        const bool gone = !load->target->is_alive();
        if (!gone && silence_ns < stall_ns_max_) continue;
        stuck_ = true;
        fail_with(*load, explain(gone ? Errno::connection_reset : Errno::timed_out));
        return;
    }
}

void Worker::fail_with(const LaneLoad& load, const std::string& failure) {
    stop_.store(true, std::memory_order_relaxed);
    if (failure_.empty()) failure_ = fmt::format("'{}': {}", load.target->name(), failure);
}

/// A round without a single operation would say nothing, so it lasts until there is one.
bool Worker::each_has_completed() const noexcept {
    return std::ranges::all_of(
        loads_, [](const LaneLoad* load) { return load->counts.operations > 0; });
}

std::uint32_t Worker::in_flight() const noexcept {
    std::uint32_t count = 0;
    for (const LaneLoad* const load : loads_) count += load->in_flight;
    return count;
}

}  // namespace dpfs::bench
