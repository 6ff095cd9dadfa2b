// SPDX-License-Identifier: Apache-2.0
#include "reactor/descriptor_waits.hpp"

#include "base/assert.hpp"

#include <cerrno>
#include <poll.h>
#include <sys/epoll.h>

namespace dpfs::reactor {

std::uint32_t awaited_events(const Arguments& call) noexcept {
    if (call.code == OpCode::poll) return call.flags;
    const bool writes = call.code == OpCode::writev || call.code == OpCode::sendmsg ||
                        call.code == OpCode::connect;
    return writes ? POLLOUT : POLLIN;
}

Result<void> DescriptorWaits::watch(int fd, std::uint32_t events) noexcept {
    epoll_event wanted = {};
    wanted.events = events | EPOLLONESHOT;
    wanted.data.fd = fd;
    // Whether epoll knows this number depends on closes that we do not see.
    if (::epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, fd, &wanted) == 0) return {};
    if (errno != ENOENT) return fail_errno();
    if (::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &wanted) != 0) return fail_errno();
    return {};
}

Result<void> DescriptorWaits::add(Operation& operation, std::uint32_t events) {
    const int fd = operation.arguments.fd;
    if (fd < 0) return fail(Errno::bad_descriptor);
    const auto index = static_cast<std::size_t>(fd);
    if (descriptors_.size() <= index) descriptors_.resize(index + 1);

    Descriptor& descriptor = descriptors_[index];
    // The first one always asks: the number may stand for another file than last time.
    if (descriptor.first == nullptr || (events & ~descriptor.watched) != 0) {
        const std::uint32_t others = descriptor.first != nullptr ? descriptor.watched : 0;
        if (const auto watched = watch(fd, others | events); !watched) return watched;
        descriptor.watched = others | events;
    }
    operation.queued = true;
    operation.next = nullptr;
    operation.slot = descriptor.last;  // the one before it
    (descriptor.last != nullptr ? descriptor.last->next : descriptor.first) = &operation;
    descriptor.last = &operation;
    ++count_;
    return {};
}

void DescriptorWaits::remove(Operation& operation) noexcept {
    DPFS_ASSERT(operation.queued);
    Descriptor& descriptor = descriptors_[static_cast<std::size_t>(operation.arguments.fd)];
    auto* const previous = static_cast<Operation*>(operation.slot);
    Operation* const next = operation.next;
    (previous != nullptr ? previous->next : descriptor.first) = next;
    if (next != nullptr) {
        next->slot = previous;
    } else {
        descriptor.last = previous;
    }
    operation.queued = false;
    operation.slot = nullptr;
    --count_;
}

Operation* DescriptorWaits::first(int fd) const noexcept {
    const auto index = static_cast<std::size_t>(fd);
    return index < descriptors_.size() ? descriptors_[index].first : nullptr;
}

void DescriptorWaits::note_report(int fd) noexcept {
    const auto index = static_cast<std::size_t>(fd);
    if (index < descriptors_.size()) descriptors_[index].watched = 0;
}

void DescriptorWaits::renew(int fd) noexcept {
    const auto index = static_cast<std::size_t>(fd);
    if (index >= descriptors_.size() || descriptors_[index].first == nullptr) return;
    Descriptor& descriptor = descriptors_[index];
    std::uint32_t events = 0;
    for (Operation* waiting = descriptor.first; waiting != nullptr; waiting = waiting->next) {
        events |= awaited_events(waiting->arguments);
    }
    // It fails only where the descriptor was closed under its operations.
    if (events != descriptor.watched && watch(fd, events)) descriptor.watched = events;
}

}  // namespace dpfs::reactor
