// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/time.hpp"
#include "reactor/loop_statistics.hpp"
#include "reactor/posted_queue.hpp"
#include "reactor/reactor.hpp"
#include "reactor/ready_queue.hpp"
#include "reactor/timer_heap.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace dpfs::reactor {

/// Not 0 in debug and sanitizer builds: there, ready coroutines are resumed in random order.
[[nodiscard]] std::uint64_t default_shuffle_seed() noexcept;

struct LoopOptions {
    PollPolicy policy = {};
    std::uint64_t shuffle_seed = default_shuffle_seed();  ///< 0: first come, first resumed
};

/// What all reactors share, because it needs no system call: who is ready, which deadlines run,
/// what other threads have posted, what is polled, and when to sleep. An implementation says
/// how operations start, how completions are found, and how to sleep and be woken; it reports
/// back through complete().
///
/// One round of the loop: take what was posted, poll the pollables, expire deadlines, resume
/// what is ready, then collect() once. All that a round submits therefore reaches the kernel
/// in one system call.
class EventLoop : public Reactor {
  public:
    ~EventLoop() override;

    /// CLOCK_MONOTONIC; the simulated reactor overrides it.
    [[nodiscard]] Instant now() const noexcept override;
    void schedule(std::coroutine_handle<> handle) noexcept override { ready_.push(handle); }
    void post(Posted& posted) noexcept override;
    [[nodiscard]] bool on_own_thread() const noexcept override;

    void add_pollable(Pollable& source) override;
    void remove_pollable(Pollable& source) noexcept override;
    void notice_work() noexcept override { worked_ = true; }

    void run() override;
    void stop() noexcept override;

    void submit(Operation& operation) noexcept override;
    void cancel(Operation& operation) noexcept override;
    void submit_blocking(BlockingCall& call) noexcept override;

    /// Thread: any may read.
    [[nodiscard]] const LoopStatistics& statistics() const noexcept { return statistics_; }

    /// What pool threads use: `call` has run and its waiter can go on. Thread: any; the pool
    /// may be gone or the loop be destroyed as soon as it returns.
    void finish_blocking(BlockingCall& call) noexcept;

    /// Makes the loop do a round before it sleeps (again). Thread: any; also from a signal
    /// handler. Costs a system call only when the loop sleeps.
    void wake_up() noexcept;

  protected:
    explicit EventLoop(const LoopOptions& options);

    // --- what an implementation does; all on the loop's thread but wake()

    /// At the start of each run(), before the first round.
    virtual void enter() noexcept {}
    /// At its end, when nothing is in flight.
    virtual void leave() noexcept {}
    /// Begins `operation`, which is not a timeout. May complete() it at once.
    virtual void start_operation(Operation& operation) noexcept = 0;
    /// Asks for the early end of a started operation, once. complete() follows, here or later,
    /// with -ECANCELED or with what the operation gave after all.
    virtual void cancel_operation(Operation& operation) noexcept = 0;
    /// Has `call` run elsewhere; finish_blocking() follows.
    virtual void start_blocking(BlockingCall& call) noexcept = 0;
    /// `call`, which was not made by submit_blocking() (it has no waiter), has run.
    virtual void finish_own_call(BlockingCall& call) noexcept;
    /// Passes on what was started since the last time and complete()s what has ended, without
    /// waiting. True if anything has. Called each round: cheap where there is nothing.
    virtual bool collect() noexcept = 0;
    /// As collect(), but waits for a completion, for wake(), or until `until`.
    virtual void wait(Instant until) noexcept = 0;
    /// Ends a wait(), also one that has not begun yet. Thread: any; from signal handlers.
    virtual void wake() noexcept = 0;

    // --- what an implementation uses

    /// Ends `operation`; its waiter is resumed by the loop. `result`: ≥ 0, or minus errno.
    void complete(Operation& operation, std::int32_t result) noexcept;
    /// Keeps run() from returning, until as many release()s.
    void hold() noexcept { ++in_flight_count_; }
    void release() noexcept { --in_flight_count_; }
    /// Operations and blocking calls that have not ended, and what is held.
    [[nodiscard]] std::size_t in_flight_count() const noexcept { return in_flight_count_; }
    /// Waits for other threads to be done with this object. First of all in the destructor of
    /// an implementation: whoever posted the last coroutine may still be about to wake() it.
    void wait_for_visitors() const noexcept;

    // --- for an implementation that is not driven by run(), but steps several loops in turn

    /// One round on the calling thread; true if it found anything to do.
    bool step();
    /// What a loop does before and after it sleeps, without the sleep; true if arming found
    /// work.
    bool pretend_to_sleep() noexcept;
    /// The earliest deadline of an operation in flight.
    [[nodiscard]] Instant next_deadline() const noexcept { return timers_.next(); }
    /// Whether the next step() would find something without any new completion.
    [[nodiscard]] bool has_ready_work() const noexcept {
        return !ready_.empty() || !posted_.empty() || !finished_calls_.empty();
    }

  private:
    bool round();
    bool take_posted() noexcept;
    bool take_finished() noexcept;
    bool poll_pollables() noexcept;
    bool expire_deadlines() noexcept;
    void read_clock_sometimes() noexcept;
    void wake_if_sleeping() noexcept;
    [[nodiscard]] bool should_sleep() noexcept;
    void sleep_until_work() noexcept;
    bool arm_pollables() noexcept;
    void disarm_pollables() noexcept;
    [[nodiscard]] bool finished() const noexcept;
    /// Between these two, another thread is inside.
    void begin_visit() noexcept { visitor_count_.fetch_add(1, std::memory_order_relaxed); }
    void end_visit() noexcept { visitor_count_.fetch_sub(1, std::memory_order_release); }

    const PollPolicy policy_;
    ReadyQueue ready_;
    TimerHeap timers_;
    std::vector<Pollable*> pollables_;  // nullptr: removed in this round
    bool pollables_removed_ = false;
    std::size_t in_flight_count_ = 0;
    bool worked_ = false;          // in this round
    Instant clock_;                // now(), or a little earlier
    std::uint32_t clock_age_ = 0;  // rounds since it was read
    Instant idle_since_;
    bool idle_ = false;
    LoopStatistics statistics_;

    // What other threads touch.
    alignas(64) PostedQueue<Posted> posted_;
    PostedQueue<BlockingCall> finished_calls_;
    std::atomic<bool> sleeping_ = false;
    std::atomic<bool> wake_requested_ = false;
    std::atomic<bool> stop_requested_ = false;
    std::atomic<std::uint32_t> visitor_count_ = 0;
};

}  // namespace dpfs::reactor
