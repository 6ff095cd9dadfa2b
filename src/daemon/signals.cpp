// SPDX-License-Identifier: Apache-2.0
#include "daemon/signals.hpp"

#include <array>
#include <csignal>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <utility>

namespace dpfs::daemon {
namespace {

constexpr int wait_ms_max = 3'600'000;

Event event_of(std::uint32_t signal) {
    return signal == SIGUSR1 ? Event::statistics : Event::terminate;
}

}  // namespace

Signals::Signals(UniqueFd signal_fd, UniqueFd notify_fd) noexcept
    : signal_fd_(std::move(signal_fd)), notify_fd_(std::move(notify_fd)) {}

Result<Signals> Signals::make() {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : {SIGTERM, SIGINT, SIGUSR1}) sigaddset(&set, signal);
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
    ::signal(SIGPIPE, SIG_IGN);  // who closes our standard output must not end tenants

    UniqueFd signal_fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!signal_fd) return fail_errno();
    UniqueFd notify_fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!notify_fd) return fail_errno();
    return Signals(std::move(signal_fd), std::move(notify_fd));
}

Event Signals::wait(Duration time) {
    constexpr std::int64_t ns_per_ms = 1'000'000;
    const bool bounded = time.ns > 0;
    const std::int64_t ms = (time.ns + ns_per_ms - 1) / ns_per_ms;
    std::array<pollfd, 2> fds = {};
    fds[0] = {.fd = signal_fd_.get(), .events = POLLIN, .revents = 0};
    fds[1] = {.fd = notify_fd_.get(), .events = POLLIN, .revents = 0};
    while (true) {
        const int timeout =
            bounded ? static_cast<int>(std::min<std::int64_t>(ms, wait_ms_max)) : -1;
        const int count = ::poll(fds.data(), fds.size(), timeout);
        if (count == 0) return Event::timed_out;

        // Signals first: who is asked to end at once must not be kept by notifications.
        signalfd_siginfo signal = {};
        if (::read(signal_fd_.get(), &signal, sizeof signal) == sizeof signal) {
            return event_of(signal.ssi_signo);
        }
        std::uint64_t notifications = 0;
        if (::read(notify_fd_.get(), &notifications, sizeof notifications) > 0) {
            return Event::notified;
        }
    }
}

void Signals::notify() noexcept {
    const std::uint64_t one = 1;
    // It can only fail when 2^64 - 1 notifications wait already.
    [[maybe_unused]] const ssize_t written = ::write(notify_fd_.get(), &one, sizeof one);
}

}  // namespace dpfs::daemon
