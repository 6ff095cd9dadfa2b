// SPDX-License-Identifier: Apache-2.0
#include "base/assert.hpp"
#include "hal/vhost_user/vring.hpp"

#include <array>
#include <fcntl.h>
#include <poll.h>
#include <utility>

// What starts, stops and changes a ring, and its notifications; the part that runs for each
// request is in vring.cpp.

namespace dpfs::hal::vhost_user {
namespace {

using reactor::Limit;
using reactor::Reactor;

/// Without a kick descriptor the ring is looked at so often.
constexpr Duration look_interval = microseconds(100);

/// How long a last notification may take: a peer can make a write to its eventfd wait.
constexpr Duration last_call_max = seconds(1);

constexpr std::uint64_t no_offset = ~std::uint64_t{0};  // as read(2) and write(2)

std::shared_ptr<UniqueFd> share(UniqueFd fd) {
    if (!fd) return nullptr;
    return std::make_shared<UniqueFd>(std::move(fd));
}

/// For descriptors we write to: the write is then done where it is submitted, or not at all
/// where the counter is full and the peer has yet to look.
void make_non_blocking(const UniqueFd& fd) noexcept {
    const int flags = ::fcntl(fd.get(), F_GETFL);
    if (flags >= 0) ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK);
}

}  // namespace

class Vring::Drained {
  public:
    explicit Drained(Vring& vring) noexcept : vring_(vring) {}
    bool await_ready() const noexcept { return vring_.in_flight_ == 0; }
    void await_suspend(std::coroutine_handle<> waiter) const noexcept {
        DPFS_ASSERT(!vring_.drain_waiter_);
        vring_.drain_waiter_ = waiter;
    }
    void await_resume() const noexcept {}

  private:
    Vring& vring_;
};

class Vring::CallWanted {
  public:
    explicit CallWanted(Vring& vring) noexcept : vring_(vring) {}
    bool await_ready() const noexcept { return vring_.call_wanted_ || vring_.calls_ending_; }
    void await_suspend(std::coroutine_handle<> waiter) const noexcept {
        vring_.call_waiter_ = waiter;
    }
    void await_resume() const noexcept {}

  private:
    Vring& vring_;
};

Vring::Vring(Reactor& own,
             Reactor& control,
             std::uint16_t index,
             RequestSink& sink,
             VringOwner& owner) noexcept
    : Queue(own, index, index == 0), control_(control), sink_(sink), owner_(owner) {}

Vring::~Vring() {
    DPFS_ASSERT(ring_ == nullptr && in_flight_ == 0);
}

// --- start and stop

Task<Result<void>> Vring::start(RingSetup setup) {
    co_await Reactor::switch_to(reactor());
    const Result<void> started = start_here(setup);
    co_await Reactor::switch_to(control_);
    co_return started;
}

Result<void> Vring::start_here(RingSetup& setup) {
    DPFS_ASSERT(state_ == State::stopped);
    std::vector<LostRequest> lost;
    if (setup.inflight.size != 0) {
        auto opened = open_inflight(setup.inflight, setup.config, *setup.memory);
        if (!opened) return fail(opened.error());
        inflight_ = std::move(opened->tracker);
        lost = std::move(opened->lost.requests);
        if (opened->lost.resumed) setup.config.state = opened->lost.state;
    }
    auto made = virtio::make_virtqueue(*setup.memory, setup.config);
    if (!made) {
        inflight_.reset();
        return fail(made.error());
    }
    ring_ = std::move(*made);
    config_ = setup.config;
    enabled_ = setup.enabled;
    memory_lost_ = std::move(setup.memory_lost);
    use_memory(std::move(setup.memory));
    use_logs(std::move(setup.logs));
    make_slots(ring_->size() + 1);  // one more than can be in flight: pop() needs a free one
    state_ = State::running;
    kick_ = share(std::move(setup.kick));
    begin_kicks();
    calls_.spawn(send_calls());
    reactor().add_pollable(*this);
    deliver_again(lost);
    return {};
}

void Vring::deliver_again(const std::vector<LostRequest>& lost) {
    for (const LostRequest& request : lost) {
        if (state_ != State::running) return;
        const auto read = ring_->reread(request.chain, *memory_->memory, free_->chain);
        if (read) {
            Slot& slot = take_slot();
            slot.inflight_entry = request.entry;
            deliver(slot);
        } else {
            break_ring();
        }
    }
}

void Vring::make_slots(std::uint32_t count) {
    // A longer pool serves a shorter ring as well, and keeps its iovecs' memory.
    if (slots_.size() < count) slots_ = std::vector<Slot>(count);
    free_ = nullptr;
    for (Slot& slot : slots_) slot.next_free = std::exchange(free_, &slot);
}

Task<virtio::RingState> Vring::stop() {
    co_await Reactor::switch_to(reactor());
    virtio::RingState state;
    if (state_ != State::stopped) {
        if (state_ == State::running) state_ = State::halted;
        sink_.interrupt_waits();
        co_await Drained(*this);
        flush();
        reactor().remove_pollable(*this);
        co_await end_kicks();
        co_await end_calls();
        co_await reports_.close();
        reports_.reopen();
        state = ring_->state();
        state_ = State::stopped;
        ring_.reset();
        inflight_.reset();
        kick_.reset();
        logs_ = {};
    }
    co_await Reactor::switch_to(control_);
    co_return state;
}

Task<void> Vring::halt() {
    co_await Reactor::switch_to(reactor());
    if (state_ == State::running) state_ = State::halted;
    co_await Reactor::switch_to(control_);
}

Task<void> Vring::release() {
    co_await Reactor::switch_to(reactor());
    DPFS_ASSERT(state_ == State::stopped);
    call_.reset();
    error_.reset();
    enabled_ = false;
    memory_ = nullptr;
    epochs_.clear();
    co_await Reactor::switch_to(control_);
}

// --- changes while it runs

Task<void> Vring::set_enabled(bool enabled) {
    co_await Reactor::switch_to(reactor());
    enabled_ = enabled;
    if (popping()) ring_->disable_notifications();  // as a ring that is polled has them
    co_await Reactor::switch_to(control_);
}

Task<void> Vring::set_kick(UniqueFd fd) {
    co_await Reactor::switch_to(reactor());
    if (state_ != State::stopped) {
        co_await end_kicks();
        kick_ = share(std::move(fd));
        begin_kicks();
    }
    co_await Reactor::switch_to(control_);
}

Task<void> Vring::set_call(UniqueFd fd) {
    make_non_blocking(fd);
    co_await Reactor::switch_to(reactor());
    call_ = share(std::move(fd));
    // The driver may have missed what went to the old one a moment ago.
    if (state_ == State::running || state_ == State::halted) call_driver();
    co_await Reactor::switch_to(control_);
}

Task<void> Vring::set_error(UniqueFd fd) {
    make_non_blocking(fd);
    co_await Reactor::switch_to(reactor());
    error_ = share(std::move(fd));
    co_await Reactor::switch_to(control_);
}

Task<void> Vring::set_logs(RingLogs logs) {
    co_await Reactor::switch_to(reactor());
    if (state_ != State::stopped) use_logs(std::move(logs));
    co_await Reactor::switch_to(control_);
}

void Vring::use_logs(RingLogs logs) {
    logs_ = std::move(logs);
    ring_->attach_log(logs_.ring);
}

Task<Result<void>> Vring::set_memory(MemorySnapshot memory) {
    co_await Reactor::switch_to(reactor());
    Result<void> result;
    if (state_ != State::stopped) {
        result = ring_lies_in(*memory);
        if (result) use_memory(std::move(memory));
    }
    co_await Reactor::switch_to(control_);
    co_return result;
}

/// The ring's own pointers stay as they are: they are to the same memory, and keep it mapped.
Result<void> Vring::ring_lies_in(const virtio::GuestMemory& memory) const {
    if (state_ == State::broken) return {};  // it is not looked at any more
    virtio::RingConfig here = config_;
    here.state = ring_->state();
    const auto probe = virtio::make_virtqueue(memory, here);
    if (!probe) return fail(probe.error());
    return {};
}

void Vring::use_memory(MemorySnapshot memory) {
    MemoryEpoch* const before = memory_;
    epochs_.push_back(std::make_unique<MemoryEpoch>(std::move(memory)));
    memory_ = epochs_.back().get();
    if (before != nullptr && before->users == 0) retire(*before);
}

// --- notifications

void Vring::begin_kicks() {
    if (kick_ != nullptr) {
        kicks_.spawn(watch_kicks());
    } else {
        kicks_.spawn(look_from_time_to_time());
    }
}

Task<void> Vring::watch_kicks() {
    const std::shared_ptr<UniqueFd> kick = kick_;
    const Limit limit = {.cancel = &kick_cancel_};
    while (true) {
        // Not simply a read: with O_NONBLOCK, which is the front end's to set, it would not
        // wait; and a plain read(2) would block where the front end has been quicker.
        const auto ready = co_await reactor().poll(kick->get(), POLLIN, limit);
        if (!ready) co_return;
        reactor().notice_work();
        std::uint64_t count = 0;
        const iovec buffer = {&count, sizeof(count)};
        const auto got =
            co_await reactor().readv(kick->get(), std::span(&buffer, 1), no_offset, limit);
        if (got && *got == sizeof(count)) {
            stats_.kicks.add();
        } else if (got || got.error() != Errno::again) {
            co_return;  // no eventfd any more: no kicks either
        }
    }
}

Task<void> Vring::look_from_time_to_time() {
    while (true) {
        const auto slept = co_await reactor().sleep(look_interval, &kick_cancel_);
        if (!slept) co_return;
        reactor().notice_work();
    }
}

Task<void> Vring::end_kicks() {
    kick_cancel_.cancel();
    co_await kicks_.close();
    kicks_.reopen();
    kick_cancel_.reset();
}

/// One write at a time, through the ring of the reactor: all that a round brings goes to the
/// kernel in one system call, and a full counter cannot block the thread.
Task<void> Vring::send_calls() {
    const std::uint64_t one = 1;
    const iovec buffer = {const_cast<std::uint64_t*>(&one), sizeof(one)};
    const Limit limit = {.cancel = &call_cancel_};
    while (true) {
        co_await CallWanted(*this);
        if (calls_ending_) co_return;
        call_wanted_ = false;
        const std::shared_ptr<UniqueFd> call = call_;
        if (call == nullptr) continue;  // the driver polls
        const auto sent =
            co_await reactor().writev(call->get(), std::span(&buffer, 1), no_offset, 0, limit);
        if (sent) {
            stats_.calls.add();
        } else if (sent.error() == Errno::canceled) {
            call_wanted_ = true;  // end_calls() tries once more
        }
    }
}

Task<void> Vring::end_calls() {
    calls_ending_ = true;
    if (call_waiter_) reactor().schedule(std::exchange(call_waiter_, nullptr));
    call_cancel_.cancel();
    co_await calls_.close();
    calls_.reopen();
    call_cancel_.reset();
    calls_ending_ = false;
    if (std::exchange(call_wanted_, false)) co_await signal(call_, &stats_.calls);
}

Task<void> Vring::signal(std::shared_ptr<UniqueFd> fd, reactor::Counter* counter) {
    if (fd == nullptr) co_return;
    const std::uint64_t one = 1;
    const iovec buffer = {const_cast<std::uint64_t*>(&one), sizeof(one)};
    const Limit limit = {.deadline = reactor().now() + last_call_max};
    const auto sent =
        co_await reactor().writev(fd->get(), std::span(&buffer, 1), no_offset, 0, limit);
    if (sent && counter != nullptr) counter->add();
}

Task<void> Vring::report_broken() {
    co_await reactor().yield();  // poll() is on the stack, and others with it
    co_await signal(error_, nullptr);
    // What a ring of zeros looks like is not the driver's doing.
    const virtio::Violation violation =
        memory_lost() ? virtio::Violation::none : ring_->violation();
    co_await Reactor::switch_to(control_);
    owner_.on_ring_broken(index(), violation);
    co_await Reactor::switch_to(reactor());
}

}  // namespace dpfs::hal::vhost_user
