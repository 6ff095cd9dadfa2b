// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "reactor/cancel.hpp"
#include "reactor/credentials.hpp"

#include <coroutine>
#include <cstdint>

namespace dpfs::reactor {

class Reactor;

/// What a reactor can do without blocking its thread. Arguments are those of the system call of
/// the same name, in the fields that Operation's comments name.
enum class OpCode : std::uint8_t {
    timeout,          ///< nothing but its deadline
    poll,             ///< fd, flags = POLLIN…; result: revents
    readv,            ///< fd, address = iovec[], size = count, offset (-1: none, as read(2))
    writev,           ///< as readv; flags = RWF_*
    accept,           ///< fd, flags = SOCK_*; result: descriptor
    connect,          ///< fd, address = sockaddr, size
    recvmsg,          ///< fd, address = msghdr, flags = MSG_*
    sendmsg,          ///< as recvmsg
    shutdown,         ///< fd, flags = SHUT_*
    openat2,          ///< fd, path, address = open_how; result: descriptor
    close,            ///< fd
    statx,            ///< fd, path, flags = AT_*, mode = STATX_* mask, address = struct statx
    fsync,            ///< fd, flags = 0 or IORING_FSYNC_DATASYNC
    sync_file_range,  ///< fd, offset, length, flags
    fallocate,        ///< fd, mode, offset, length
    ftruncate,        ///< fd, length
    mkdirat,          ///< fd, path, mode
    unlinkat,         ///< fd, path, flags = AT_REMOVEDIR
    renameat2,        ///< fd, path, fd2, path2, flags = RENAME_*
    linkat,           ///< fd, path, fd2, path2, flags = AT_*
    symlinkat,        ///< path = target, fd2, path2 = new name
    fgetxattr,        ///< fd, path = name, address, size
    fsetxattr,        ///< fd, path = name, address, size, flags = XATTR_*
};

/// The arguments of one system call; what each field holds is said at its OpCode.
struct Arguments {
    OpCode code;
    int fd = -1;
    int fd2 = -1;
    std::uint32_t flags = 0;
    std::uint32_t mode = 0;
    std::uint32_t size = 0;
    void* address = nullptr;
    const char* path = nullptr;
    const char* path2 = nullptr;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    const Credentials* as = nullptr;  ///< nullptr: the daemon itself
};

/// One asynchronous system call: its arguments, and who waits for it. It lives in the frame
/// that awaits it and must stay put, as must all it points to, until it has completed.
struct Operation final : Cancelable {
    Operation(const Arguments& call, Limit until) noexcept : arguments(call), limit(until) {}
    ~Operation() override { DPFS_ASSERT(!in_flight); }

    void on_cancel() noexcept override;
    using Cancelable::unlink;

    Arguments arguments;
    Limit limit;
    std::int32_t result = 0;         ///< after completion: ≥ 0, or minus errno
    std::coroutine_handle<> waiter;  ///< resumed by the reactor after completion

    // The reactor's own, from submit to completion.
    Reactor* reactor = nullptr;
    bool in_flight = false;
    bool cancel_requested = false;   ///< it has been asked to end early
    bool deadline_passed = false;    ///< and why: otherwise by its CancelSource
    bool queued = false;             ///< it waits in a queue of the implementation's
    std::size_t timer_position = 0;  ///< in the timer heap, counted from 1; 0: not in it
    Operation* next = nullptr;       ///< link in one of the reactor's queues
    void* slot = nullptr;            ///< the implementation's own
};

/// `co_await reactor.readv(…)`: submits the operation and gives its result.
template <class Value>
class [[nodiscard]] OperationAwaiter {
  public:
    OperationAwaiter(Reactor& reactor, const Arguments& call, Limit limit) noexcept
        : reactor_(reactor), operation_(call, limit) {}
    OperationAwaiter(const OperationAwaiter&) = delete;
    OperationAwaiter& operator=(const OperationAwaiter&) = delete;

    /// The same, on behalf of `who`, which stays put until the completion:
    /// `co_await reactor.mkdirat(…).as(&caller)`. A new awaiter, because GCC 12 would copy one
    /// that it is given by reference.
    [[nodiscard]] OperationAwaiter as(const Credentials* who) const noexcept {
        Arguments call = operation_.arguments;
        call.as = who;
        return {reactor_, call, operation_.limit};
    }

    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) noexcept;
    Result<Value> await_resume() noexcept {
        const auto result = from_kernel(operation_.result);
        if (!result) return fail(result.error());
        if constexpr (std::is_same_v<Value, UniqueFd>) {
            return UniqueFd(static_cast<int>(*result));
        } else if constexpr (std::is_void_v<Value>) {
            return {};
        } else {
            return static_cast<Value>(*result);
        }
    }

  private:
    Reactor& reactor_;
    Operation operation_;
};

}  // namespace dpfs::reactor
