// SPDX-License-Identifier: Apache-2.0
#include "reactor/would_block.hpp"

#include "base/iovec_cursor.hpp"
#include "reactor/system_calls.hpp"

#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <span>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

namespace dpfs::reactor {
namespace {

constexpr std::uint64_t no_offset = ~std::uint64_t{0};

std::int32_t accept_now(const Arguments& call) noexcept {
    const int flags = ::fcntl(call.fd, F_GETFL);
    if (flags < 0) return -errno;
    // Others may accept from the same socket between its event and our call.
    if ((flags & O_NONBLOCK) == 0) ::fcntl(call.fd, F_SETFL, flags | O_NONBLOCK);
    return make_system_call(call);
}

std::int32_t connect_now(const Arguments& call, std::uint32_t events) noexcept {
    if (events != 0) {
        int error = 0;
        socklen_t size = sizeof error;
        ::getsockopt(call.fd, SOL_SOCKET, SO_ERROR, &error, &size);
        return -error;
    }
    const int flags = ::fcntl(call.fd, F_GETFL);
    if (flags < 0) return -errno;
    ::fcntl(call.fd, F_SETFL, flags | O_NONBLOCK);
    const std::int32_t result = make_system_call(call);
    ::fcntl(call.fd, F_SETFL, flags);
    return result;
}

std::int32_t transfer_now(const Arguments& call, std::uint32_t events) noexcept {
    Arguments attempt = call;
    attempt.offset = no_offset;  // as io_uring, which ignores it for what has no position
    attempt.flags |= RWF_NOWAIT;
    const std::int32_t result = make_system_call(attempt);
    if (result != -EOPNOTSUPP) return result;
    // Its driver cannot tell; the event says that it would not block now.
    if (events == 0) return -EAGAIN;
    attempt.flags = call.flags;
    return make_system_call(attempt);
}

}  // namespace

DescriptorKind kind_of_descriptor(int fd) noexcept {
    struct stat found;
    if (::fstat(fd, &found) != 0) return DescriptorKind::stream;
    if (!S_ISREG(found.st_mode) && !S_ISBLK(found.st_mode)) return DescriptorKind::stream;
    const int flags = ::fcntl(fd, F_GETFL);
    const bool direct = flags >= 0 && (flags & O_DIRECT) != 0;
    return direct ? DescriptorKind::direct_file : DescriptorKind::buffered_file;
}

std::int32_t try_without_blocking(const Arguments& call, std::uint32_t events) noexcept {
    if (call.code == OpCode::accept) return accept_now(call);
    if (call.code == OpCode::connect) return connect_now(call, events);
    if (call.code == OpCode::poll) {
        return events != 0 ? static_cast<std::int32_t>(events) : -EAGAIN;
    }
    if (call.code == OpCode::readv || call.code == OpCode::writev) {
        return transfer_now(call, events);
    }
    Arguments attempt = call;
    attempt.flags |= MSG_DONTWAIT;
    return make_system_call(attempt);
}

std::int32_t read_cached(const Arguments& call) noexcept {
    if (call.offset == no_offset) return -EAGAIN;  // a part of it would move the position
    Arguments attempt = call;
    attempt.flags |= RWF_NOWAIT;
    const std::int32_t result = make_system_call(attempt);
    if (result <= 0) return result;

    const std::span buffers(static_cast<const iovec*>(call.address), call.size);
    const auto size = static_cast<std::uint64_t>(result);
    if (size == total_size(buffers)) return result;
    // Fewer bytes must mean the end of the file, not the end of what is cached.
    struct stat found;
    if (::fstat(call.fd, &found) != 0) return -EAGAIN;
    const bool at_end = call.offset + size >= static_cast<std::uint64_t>(found.st_size);
    return at_end ? result : -EAGAIN;
}

std::int32_t always_ready_events(std::uint32_t events) noexcept {
    return static_cast<std::int32_t>(events & (POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM));
}

}  // namespace dpfs::reactor
