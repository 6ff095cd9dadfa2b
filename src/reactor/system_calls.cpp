// SPDX-License-Identifier: Apache-2.0
#include "reactor/system_calls.hpp"

#include "base/assert.hpp"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace dpfs::reactor {
namespace {

constexpr std::uint32_t fsync_data_only = 1;  // IORING_FSYNC_DATASYNC

int as_int(std::uint32_t value) noexcept {
    return static_cast<int>(value);
}
off_t as_off(std::uint64_t value) noexcept {
    return static_cast<off_t>(value);
}
template <class T>
T* pointer(const Arguments& call) noexcept {
    return static_cast<T*>(call.address);
}

long transfer(const Arguments& call) noexcept {
    const auto make = call.code == OpCode::readv ? ::preadv2 : ::pwritev2;
    return make(call.fd,
                pointer<const iovec>(call),
                as_int(call.size),
                as_off(call.offset),
                as_int(call.flags));
}

long wait_for_events(const Arguments& call) noexcept {
    pollfd waiting = {call.fd, static_cast<short>(call.flags), 0};
    const int count = ::poll(&waiting, 1, -1);
    return count < 0 ? count : waiting.revents;
}

long sync(const Arguments& call) noexcept {
    return (call.flags & fsync_data_only) != 0 ? ::fdatasync(call.fd) : ::fsync(call.fd);
}

/// -1 with errno, or the value, as libc has it.
long libc_call(const Arguments& call) noexcept {
    const int flags = as_int(call.flags);
    switch (call.code) {
        case OpCode::timeout:
            break;
        case OpCode::poll:
            return wait_for_events(call);
        case OpCode::readv:
        case OpCode::writev:
            return transfer(call);
        case OpCode::accept:
            return ::accept4(call.fd, nullptr, nullptr, flags);
        case OpCode::connect:
            return ::connect(call.fd, pointer<const sockaddr>(call), call.size);
        case OpCode::recvmsg:
            return ::recvmsg(call.fd, pointer<msghdr>(call), flags);
        case OpCode::sendmsg:
            return ::sendmsg(call.fd, pointer<const msghdr>(call), flags | MSG_NOSIGNAL);
        case OpCode::shutdown:
            return ::shutdown(call.fd, flags);
        case OpCode::openat2:
            return ::syscall(SYS_openat2, call.fd, call.path, call.address, sizeof(open_how));
        case OpCode::close:
            return ::close(call.fd);
        case OpCode::statx:
            return ::statx(call.fd, call.path, flags, call.mode, pointer<struct statx>(call));
        case OpCode::fsync:
            return sync(call);
        case OpCode::sync_file_range:
            return ::sync_file_range(
                call.fd, as_off(call.offset), as_off(call.length), call.flags);
        case OpCode::fallocate:
            return ::fallocate(
                call.fd, as_int(call.mode), as_off(call.offset), as_off(call.length));
        case OpCode::ftruncate:
            return ::ftruncate(call.fd, as_off(call.length));
        case OpCode::mkdirat:
            return ::mkdirat(call.fd, call.path, call.mode);
        case OpCode::unlinkat:
            return ::unlinkat(call.fd, call.path, flags);
        case OpCode::renameat2:
            return ::renameat2(call.fd, call.path, call.fd2, call.path2, call.flags);
        case OpCode::linkat:
            return ::linkat(call.fd, call.path, call.fd2, call.path2, flags);
        case OpCode::symlinkat:
            return ::symlinkat(call.path, call.fd2, call.path2);
        case OpCode::fgetxattr:
            return ::fgetxattr(call.fd, call.path, call.address, call.size);
        case OpCode::fsetxattr:
            return ::fsetxattr(call.fd, call.path, call.address, call.size, flags);
    }
    errno = EINVAL;
    return -1;
}

}  // namespace

std::int32_t make_system_call(const Arguments& call) noexcept {
    DPFS_ASSERT(call.code != OpCode::timeout);
    const long result = libc_call(call);
    // No single call moves 2^31 bytes or more, so every value fits.
    return result < 0 ? -errno : static_cast<std::int32_t>(result);
}

}  // namespace dpfs::reactor
