// SPDX-License-Identifier: Apache-2.0
#include "reactor/sim_reactor.hpp"

#include "reactor/system_calls.hpp"

#include <algorithm>
#include <cstdio>
#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <utility>
#include <vector>

namespace dpfs::reactor {
namespace {

/// The events that must be there before the call can be made without waiting; 0: it never
/// waits.
short readiness(const Arguments& call) {
    const OpCode code = call.code;
    if (code == OpCode::poll) return static_cast<short>(call.flags);
    const bool reads =
        code == OpCode::accept || code == OpCode::recvmsg || code == OpCode::readv;
    const bool writes = code == OpCode::sendmsg || code == OpCode::writev;
    if (reads) return POLLIN;
    return writes ? POLLOUT : short{0};
}

/// What is there of `events` now, as poll(2) says it; regular files are always ready.
short ready_events(int fd, short events) {
    pollfd waited{fd, events, 0};
    return ::poll(&waited, 1, 0) > 0 ? waited.revents : short{0};
}

/// As the real reactors: a daemon that may not change identities acts as itself.
Result<void> act_as_far_as_allowed(const Credentials* who) {
    return can_switch_credentials() ? act_as(who) : Result<void>();
}

std::int32_t make_as_caller(const Arguments& call) {
    const Result<void> acting = act_as_far_as_allowed(call.as);
    return acting ? make_system_call(call) : -std::to_underlying(acting.error());
}

bool makes_a_name(const Arguments& call) {
    if (call.code == OpCode::openat2) {
        return (static_cast<const open_how*>(call.address)->flags & O_CREAT) != 0;
    }
    return call.code == OpCode::mkdirat || call.code == OpCode::symlinkat ||
           call.code == OpCode::linkat;
}

bool moves_data(OpCode code) {
    return code == OpCode::readv || code == OpCode::writev;
}

/// Faults are a disk's: an eventfd or a socket has none of them.
bool is_regular_file(int fd) {
    struct stat status = {};
    return ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

bool keeps_messages_apart(int fd) {
    int type = 0;
    socklen_t size = sizeof type;
    return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type != SOCK_STREAM;
}

}  // namespace

SimReactor::SimReactor(SimWorld& world)
    : EventLoop(
          {.policy = {.mode = PollMode::interrupt}, .shuffle_seed = world.random().next() | 1}),
      world_(world) {}

bool SimReactor::advance() {
    bool any = step();
    // Now and then, because what guards a real loop's sleep must hold at any time.
    if (world_.random().chance(100)) any |= pretend_to_sleep();
    return any;
}

Instant SimReactor::next_event() const noexcept {
    Instant next = has_ready_work() ? world_.now() : next_deadline();
    for (const Pending& pending : pending_) {
        // Not those that are overdue: they wait for somebody else's doing.
        if (pending.due > world_.now()) next = std::min(next, pending.due);
    }
    return next;
}

void SimReactor::print_pending() const {
    for (const Pending& pending : pending_) {
        if (pending.operation == nullptr) continue;
        const Arguments& call = pending.operation->arguments;
        std::fprintf(stderr,
                     "  waiting: operation %d on descriptor %d\n",
                     std::to_underlying(call.code),
                     call.fd);
    }
}

Instant SimReactor::due_time() noexcept {
    SimRandom& random = world_.random();
    const SimFaults& faults = world_.faults();
    const Duration longest = random.chance(faults.late) ? faults.late_max : faults.latency_max;
    return world_.now() + nanoseconds(static_cast<std::int64_t>(
                              random.below(static_cast<std::uint64_t>(longest.ns) + 1)));
}

void SimReactor::start_operation(Operation& operation) noexcept {
    pending_.push_back({&operation, nullptr, due_time()});
}

void SimReactor::start_blocking(BlockingCall& call) noexcept {
    pending_.push_back({nullptr, &call, due_time()});
}

void SimReactor::cancel_operation(Operation& operation) noexcept {
    const auto found = std::ranges::find(pending_, &operation, &Pending::operation);
    DPFS_ASSERT(found != pending_.end());
    // A real cancellation may come too late: the operation then completes as if never
    // cancelled.
    const Arguments& call = operation.arguments;
    const short events = readiness(call);
    const bool ready = events == 0 || ready_events(call.fd, events) != 0;
    if (ready && world_.random().chance(500)) {
        found->due = world_.now();
        return;
    }
    pending_.erase(found);
    complete(operation, -ECANCELED);
}

bool SimReactor::collect() noexcept {
    // What completes here may be submitted again before the next round, not during this walk.
    std::vector<Pending> due;
    std::erase_if(pending_, [&](const Pending& pending) {
        if (pending.due > world_.now()) return false;
        due.push_back(pending);
        return true;
    });
    bool any = false;
    for (const Pending& pending : due) {
        if (try_to_finish(pending)) {
            any = true;
        } else {
            pending_.push_back(pending);
        }
    }
    return any;
}

bool SimReactor::try_to_finish(const Pending& pending) {
    if (pending.call != nullptr) {
        const Result<void> acting = act_as_far_as_allowed(pending.call->as);
        acting ? pending.call->run() : pending.call->refuse(acting.error());
        finish_blocking(*pending.call);
        return true;
    }
    const Arguments& call = pending.operation->arguments;
    if (const short events = readiness(call); events != 0) {
        const short ready = ready_events(call.fd, events);
        if (ready == 0) return false;
        if (call.code == OpCode::poll) {
            complete(*pending.operation, ready);
            return true;
        }
    }
    complete(*pending.operation, perform(call));
    return true;
}

std::int32_t SimReactor::perform(const Arguments& call) noexcept {
    if (const auto fault = injected_fault(call)) return *fault;
    if (call.code == OpCode::connect && world_.network() != nullptr) {
        return world_.network()->connect(call.fd, *static_cast<const sockaddr*>(call.address));
    }
    if (moves_data(call.code) && world_.random().chance(world_.faults().short_io) &&
        is_regular_file(call.fd)) {
        return short_transfer(call);
    }
    return make_as_caller(call);
}

std::optional<std::int32_t> SimReactor::injected_fault(const Arguments& call) noexcept {
    SimRandom& random = world_.random();
    const SimFaults& faults = world_.faults();
    const bool on_file = moves_data(call.code) && is_regular_file(call.fd);
    const bool allocates =
        (call.code == OpCode::writev && on_file) || call.code == OpCode::fallocate;
    if ((allocates || makes_a_name(call)) && random.chance(faults.no_space)) return -ENOSPC;
    if (((moves_data(call.code) && on_file) || call.code == OpCode::fsync ||
         call.code == OpCode::fallocate) &&
        random.chance(faults.io_error)) {
        return -EIO;
    }
    if (call.code == OpCode::sendmsg && random.chance(faults.dropped) &&
        keeps_messages_apart(call.fd)) {
        const auto& message = *static_cast<const msghdr*>(call.address);
        std::size_t size = 0;
        for (std::size_t i = 0; i < message.msg_iovlen; ++i) size += message.msg_iov[i].iov_len;
        return static_cast<std::int32_t>(size);
    }
    return std::nullopt;
}

std::int32_t SimReactor::short_transfer(const Arguments& call) noexcept {
    const std::span buffers(static_cast<const iovec*>(call.address), call.size);
    std::size_t size = 0;
    for (const iovec& buffer : buffers) size += buffer.iov_len;
    if (size < 2) return make_as_caller(call);

    std::size_t left = 1 + world_.random().below(size - 1);
    std::vector<iovec> shorter;
    for (const iovec& buffer : buffers) {
        const std::size_t part = std::min(left, buffer.iov_len);
        if (part > 0) shorter.push_back({buffer.iov_base, part});
        left -= part;
    }
    Arguments shortened = call;
    shortened.address = shorter.data();
    shortened.size = static_cast<std::uint32_t>(shorter.size());
    return make_as_caller(shortened);
}

}  // namespace dpfs::reactor
