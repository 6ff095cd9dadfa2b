// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/gate.hpp"
#include "base/unique_fd.hpp"
#include "hal/device.hpp"
#include "hal/request.hpp"
#include "hal/vhost_user/inflight.hpp"
#include "hal/vhost_user/memory_table.hpp"
#include "hal/vhost_user/queue_stats.hpp"
#include "reactor/cancel.hpp"
#include "reactor/reactor.hpp"
#include "virtio/virtqueue.hpp"

#include <coroutine>
#include <cstdint>
#include <memory>
#include <vector>

namespace dpfs::hal::vhost_user {

/// Who hears that a driver broke a ring, or (Violation::none) that memory went away. Thread:
/// the control reactor's.
class VringOwner {
  public:
    virtual void on_ring_broken(std::uint16_t index, virtio::Violation violation) noexcept = 0;

  protected:
    ~VringOwner() = default;
};

/// Where writes are noted while the tenant migrates; nullptr where they need not be.
struct RingLogs {
    std::shared_ptr<const virtio::DirtyLog> buffers;  ///< what requests write
    std::shared_ptr<const virtio::DirtyLog> ring;     ///< what the ring itself writes
};

/// All that a ring needs to run.
struct RingSetup {
    virtio::RingConfig config;
    MemorySnapshot memory;
    MemoryLost memory_lost;
    UniqueFd kick;  ///< none: the ring is looked at from time to time
    bool enabled = false;
    RingLogs logs;
    InflightRegion inflight;
};

/// One queue of a device: takes requests from the ring, delivers them, gives them back.
///
/// What it does for each request allocates nothing, locks nothing and enters no system call:
/// requests are slots of a pool, completions are staged and shown to the driver once in a round
/// of the reactor, and so is the notification.
///
/// Thread    everything inside runs on the queue's own reactor. The tasks are started on the
///           control reactor, one at a time, do their work over there and end on the control
///           reactor again.
/// Lifetime  that of its device; stop() must have ended before the destructor.
class Vring final : public Queue, private reactor::Pollable {
  public:
    Vring(reactor::Reactor& own,
          reactor::Reactor& control,
          std::uint16_t index,
          RequestSink& sink,
          VringOwner& owner) noexcept;
    ~Vring() override;

    /// Begins to take requests; only where no ring runs. What `setup.inflight` lists as lost by
    /// an earlier process is delivered again first.
    /// Errors: EINVAL, EFAULT (make_virtqueue), EPROTO (the list of lost requests is bad).
    Task<Result<void>> start(RingSetup setup);

    /// Takes no new request, ends what waits, lets the others finish, and forgets the ring.
    /// Gives the position to go on from; a new ring's where none ran.
    Task<virtio::RingState> stop();

    /// Takes no new request from now on; those in flight are completed as usual.
    Task<void> halt();

    Task<void> set_enabled(bool enabled);
    Task<void> set_kick(UniqueFd fd);
    Task<void> set_call(UniqueFd fd);
    Task<void> set_error(UniqueFd fd);
    Task<void> set_logs(RingLogs logs);

    /// New requests use this map from the end of the task on; those in flight keep theirs.
    /// Errors: EFAULT, EINVAL (the running ring does not lie in it): nothing has changed then.
    Task<Result<void>> set_memory(MemorySnapshot memory);

    /// After stop(): lets go of descriptors and memory.
    Task<void> release();

    /// Thread: any.
    [[nodiscard]] QueueStats stats() const noexcept { return stats_.read(); }

  private:
    enum class State : std::uint8_t { stopped, running, halted, broken };

    /// A map of the guest's memory and how many requests still use it: plain counts, because
    /// both ends of a request are on one thread.
    struct MemoryEpoch {
        MemorySnapshot memory;
        std::uint32_t users = 0;
    };
    struct Slot final : Request {
        virtio::DescriptorChain chain;
        MemoryEpoch* epoch = nullptr;
        std::uint16_t inflight_entry = 0;  // of inflight_, where there is one
        Slot* next_free = nullptr;
    };
    class Drained;
    class CallWanted;

    bool poll() noexcept override;
    bool arm() noexcept override;
    void disarm() noexcept override;
    void complete(Request& request, std::uint32_t written) noexcept override;

    Result<void> start_here(RingSetup& setup);
    void deliver_again(const std::vector<LostRequest>& lost);
    void make_slots(std::uint32_t count);
    Slot& take_slot() noexcept;
    void deliver(Slot& slot) noexcept;
    bool take_requests() noexcept;
    void flush() noexcept;
    void call_driver() noexcept;
    void break_ring() noexcept;
    [[nodiscard]] bool popping() const noexcept { return state_ == State::running && enabled_; }
    [[nodiscard]] Result<void> ring_lies_in(const virtio::GuestMemory& memory) const;
    void use_memory(MemorySnapshot memory);
    [[nodiscard]] bool memory_lost() const noexcept {
        return memory_lost_->load(std::memory_order_relaxed);
    }
    void use_logs(RingLogs logs);
    void retire(MemoryEpoch& epoch) noexcept;

    Task<void> watch_kicks();
    Task<void> look_from_time_to_time();
    Task<void> send_calls();
    Task<void> report_broken();
    Task<void> signal(std::shared_ptr<UniqueFd> fd, reactor::Counter* counter);
    Task<void> end_kicks();
    Task<void> end_calls();
    void begin_kicks();

    reactor::Reactor& control_;
    RequestSink& sink_;
    VringOwner& owner_;

    State state_ = State::stopped;
    bool enabled_ = false;
    std::unique_ptr<virtio::Virtqueue> ring_;
    virtio::RingConfig config_;  // of the ring that runs
    std::unique_ptr<InflightTracker> inflight_;
    RingLogs logs_;

    MemoryLost memory_lost_;
    std::vector<std::unique_ptr<MemoryEpoch>> epochs_;
    MemoryEpoch* memory_ = nullptr;  // the newest

    std::vector<Slot> slots_;
    Slot* free_ = nullptr;
    std::uint32_t in_flight_ = 0;
    std::uint32_t staged_ = 0;  // completions that the driver has not been shown
    std::coroutine_handle<> drain_waiter_;

    std::shared_ptr<UniqueFd> kick_;  // shared with the operations that use them
    std::shared_ptr<UniqueFd> call_;
    std::shared_ptr<UniqueFd> error_;
    bool call_wanted_ = false;
    bool calls_ending_ = false;
    std::coroutine_handle<> call_waiter_;
    reactor::CancelSource kick_cancel_;
    reactor::CancelSource call_cancel_;
    Gate kicks_;
    Gate calls_;
    Gate reports_;

    QueueCounters stats_;
};

}  // namespace dpfs::hal::vhost_user
