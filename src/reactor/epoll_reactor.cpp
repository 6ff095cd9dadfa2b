// SPDX-License-Identifier: Apache-2.0
#include "reactor/epoll_reactor.hpp"

#include "base/assert.hpp"
#include "reactor/system_calls.hpp"
#include "reactor/would_block.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace dpfs::reactor {
namespace {

/// A spinning loop asks epoll, which is a system call, only every so many rounds.
constexpr std::uint32_t rounds_between_asks = 16;

/// Whether the result depends on who makes the call on an open descriptor.
bool acts_as_caller(OpCode code) noexcept {
    return code == OpCode::writev || code == OpCode::connect || code == OpCode::sendmsg;
}

}  // namespace

// --- set-up

Result<std::unique_ptr<EpollReactor>> EpollReactor::make(const EpollOptions& options,
                                                         BlockingPool& pool) {
    UniqueFd epoll_fd(::epoll_create1(EPOLL_CLOEXEC));
    if (!epoll_fd) return fail_errno();
    std::unique_ptr<EpollReactor> made(new EpollReactor(options, pool, std::move(epoll_fd)));
    if (const Result<void> done = made->set_up(options); !done) return fail(done.error());
    return made;
}

EpollReactor::EpollReactor(const EpollOptions& options, BlockingPool& pool, UniqueFd epoll_fd)
    : OffloadingLoop(options.loop, pool),
      epoll_fd_(std::move(epoll_fd)),
      waits_(epoll_fd_.get()) {}

EpollReactor::~EpollReactor() {
    wait_for_visitors();
}

Result<void> EpollReactor::set_up(const EpollOptions& options) {
    wake_fd_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!wake_fd_) return fail_errno();
    Result<std::unique_ptr<AioQueue>> direct = AioQueue::make(options.direct_count_max);
    if (!direct) return fail(direct.error());
    direct_ = std::move(*direct);

    for (const int fd : {wake_fd_.get(), direct_->event_fd()}) {
        epoll_event readable = {};
        readable.events = EPOLLIN;
        readable.data.fd = fd;
        if (::epoll_ctl(epoll_fd_.get(), EPOLL_CTL_ADD, fd, &readable) != 0) {
            return fail_errno();
        }
    }
    return {};
}

// --- operations

void EpollReactor::start_operation(Operation& operation) noexcept {
    switch (operation.arguments.code) {
        case OpCode::poll:
            return wait_for_descriptor(operation);
        case OpCode::accept:
        case OpCode::connect:
        case OpCode::recvmsg:
        case OpCode::sendmsg:
            return start_on_descriptor(operation);
        case OpCode::shutdown:
            return complete(operation, make_system_call(operation.arguments));
        case OpCode::readv:
        case OpCode::writev:
            return start_transfer(operation);
        case OpCode::timeout:
        case OpCode::openat2:
        case OpCode::close:
        case OpCode::statx:
        case OpCode::fsync:
        case OpCode::sync_file_range:
        case OpCode::fallocate:
        case OpCode::ftruncate:
        case OpCode::mkdirat:
        case OpCode::unlinkat:
        case OpCode::renameat2:
        case OpCode::linkat:
        case OpCode::symlinkat:
        case OpCode::fgetxattr:
        case OpCode::fsetxattr:
            break;
    }
    offload(operation);
}

void EpollReactor::start_transfer(Operation& operation) {
    switch (kind_of_descriptor(operation.arguments.fd)) {
        case DescriptorKind::stream:
            return start_on_descriptor(operation);
        case DescriptorKind::direct_file:
            return start_direct(operation);
        case DescriptorKind::buffered_file:
            break;
    }
    if (operation.arguments.code == OpCode::readv) {
        // What is in the page cache need not go to another thread.
        const std::int32_t result = read_cached(operation.arguments);
        if (result >= 0) return complete(operation, result);
    }
    offload(operation);
}

void EpollReactor::start_on_descriptor(Operation& operation) {
    const std::optional<std::int32_t> result = attempt(operation, 0);
    if (!result) return wait_for_descriptor(operation);
    complete(operation, *result);
}

void EpollReactor::wait_for_descriptor(Operation& operation) {
    const Result<void> added = waits_.add(operation, awaited_events(operation.arguments));
    rounds_to_skip_ = 0;
    if (added) return;
    if (added.error() != Errno::not_permitted) {
        return complete(operation, -static_cast<std::int32_t>(added.error()));
    }
    // A file that epoll cannot watch is one that poll(2) calls ready.
    if (operation.arguments.code != OpCode::poll) return offload(operation);
    complete(operation, always_ready_events(operation.arguments.flags));
}

std::optional<std::int32_t> EpollReactor::attempt(const Operation& operation,
                                                  std::uint32_t events) noexcept {
    const Arguments& call = operation.arguments;
    if (acts_as_caller(call.code) && can_switch_credentials()) {
        const Result<void> acting = act_as(call.as);
        if (!acting) return -static_cast<std::int32_t>(acting.error());
    }
    const std::int32_t result = try_without_blocking(call, events);
    // A connect that says EAGAIN has not begun: the backlog of a unix socket is full.
    const bool would_block =
        call.code == OpCode::connect ? result == -EINPROGRESS : result == -EAGAIN;
    if (would_block) return std::nullopt;
    return result;
}

void EpollReactor::start_direct(Operation& operation) {
    if (direct_first_ == nullptr && direct_->push(operation)) return;
    operation.queued = true;
    operation.slot = direct_.get();  // not in a descriptor's list
    operation.next = nullptr;
    (direct_last_ != nullptr ? direct_last_->next : direct_first_) = &operation;
    direct_last_ = &operation;
}

void EpollReactor::cancel_operation(Operation& operation) noexcept {
    if (operation.queued) {
        // Those that wait for a place in the AIO queue are seen when it comes.
        if (operation.slot != direct_.get()) {
            waits_.remove(operation);
            complete(operation, -ECANCELED);
        }
        return;
    }
    cancel_offloaded(operation);
}

// --- completions

bool EpollReactor::collect() noexcept {
    feed_pool();
    bool any = collect_direct();
    if (rounds_to_skip_ > 0) {
        --rounds_to_skip_;
        return any;
    }
    const bool reported = collect_events(Instant{0});
    rounds_to_skip_ = reported ? 0 : rounds_between_asks;
    return any || reported;
}

void EpollReactor::wait(Instant until) noexcept {
    feed_pool();
    if (collect_direct()) return;
    collect_events(until);
    collect_direct();
    rounds_to_skip_ = 0;
}

bool EpollReactor::collect_direct() noexcept {
    direct_->collect(ended_);
    while (direct_first_ != nullptr) {
        Operation& operation = *direct_first_;
        Operation* const next = operation.next;
        if (operation.cancel_requested) {
            ended_.push_back({&operation, -ECANCELED});
        } else if (!direct_->push(operation)) {
            break;
        }
        operation.queued = false;
        operation.slot = nullptr;
        direct_first_ = next;
    }
    if (direct_first_ == nullptr) direct_last_ = nullptr;
    if (direct_->has_queued()) direct_->submit(ended_);

    const bool any = !ended_.empty();
    for (const AioQueue::Completion& end : ended_) complete(*end.operation, end.result);
    ended_.clear();
    return any;
}

bool EpollReactor::collect_events(Instant until) noexcept {
    std::array<epoll_event, 128> events;
    constexpr auto count_max = static_cast<int>(events.size());
    int count = 0;
    if (until == Instant::never()) {
        count = ::epoll_wait(epoll_fd_.get(), events.data(), count_max, -1);
    } else {
        const std::int64_t left =
            until.ns == 0 ? 0 : std::max<std::int64_t>((until - now()).ns, 0);
        const timespec timeout = {left / 1'000'000'000, left % 1'000'000'000};
        count = ::epoll_pwait2(epoll_fd_.get(), events.data(), count_max, &timeout, nullptr);
        if (count < 0 && errno == ENOSYS) {
            // Linux 5.10 and before; rounded up, or the loop would spin for a millisecond.
            const auto milliseconds = static_cast<int>((left + 999'999) / 1'000'000);
            count = ::epoll_wait(epoll_fd_.get(), events.data(), count_max, milliseconds);
        }
    }
    for (int i = 0; i < count; ++i) {
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        take_report(event.data.fd, event.events);
    }
    return count > 0;
}

void EpollReactor::take_report(int fd, std::uint32_t events) noexcept {
    if (fd == wake_fd_.get() || fd == direct_->event_fd()) {
        std::uint64_t count = 0;
        [[maybe_unused]] const auto size = ::read(fd, &count, sizeof count);
        return;
    }
    waits_.note_report(fd);
    Operation* waiting = waits_.first(fd);
    while (waiting != nullptr) {
        Operation& operation = *waiting;
        waiting = operation.next;
        const std::uint32_t matching =
            events & (awaited_events(operation.arguments) | EPOLLERR | EPOLLHUP);
        if (matching == 0) continue;
        const std::optional<std::int32_t> result = attempt(operation, matching);
        if (!result) continue;
        waits_.remove(operation);
        complete(operation, *result);
    }
    waits_.renew(fd);
}

void EpollReactor::wake() noexcept {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(wake_fd_.get(), &one, sizeof one);
}

}  // namespace dpfs::reactor
