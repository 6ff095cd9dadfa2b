// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/assert.hpp"
#include "base/task.hpp"
#include "base/time.hpp"
#include "reactor/cancel.hpp"
#include "reactor/operation.hpp"

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <sys/socket.h>
#include <sys/stat.h>
#include <type_traits>
#include <utility>

struct iovec;
struct msghdr;
struct open_how;

namespace dpfs::reactor {

class PinnedMemory;

/// How a reactor waits for work.
enum class PollMode : std::uint8_t {
    busy,       ///< never sleeps: lowest latency, one core
    adaptive,   ///< looks for work for a little while after the last one, then sleeps
    interrupt,  ///< sleeps at once; peers notify
};

struct PollPolicy {
    PollMode mode = PollMode::adaptive;
    Duration spin = microseconds(50);  ///< adaptive: how long to look before sleeping
};

/// A source of work in memory (a virtqueue), which a spinning reactor looks at instead of
/// waiting for a notification. Thread: its reactor's.
class Pollable {
  public:
    virtual ~Pollable() = default;
    /// Takes what is there; true if there was anything. Bounded: it returns after a batch.
    virtual bool poll() noexcept = 0;
    /// Before the reactor sleeps: asks the peer for notifications. True if work has come in the
    /// meantime, so that the reactor must not sleep.
    virtual bool arm() noexcept = 0;
    /// After it woke: notifications are not wanted while it looks by itself.
    virtual void disarm() noexcept = 0;
};

/// A call that blocks, run by a pool thread: `run()` leaves its result in the object.
class BlockingCall {
  public:
    virtual void run() noexcept = 0;
    /// Instead of run(), when the pool thread could not become `as` (a uid that is none, or one
    /// that this user namespace does not map): running it as somebody else is no option.
    virtual void refuse(Errno error) noexcept = 0;

    const Credentials* as = nullptr;  ///< whom the pool thread acts as; nullptr: the daemon
    std::coroutine_handle<> waiter;   ///< the reactor's
    Reactor* reactor = nullptr;       ///< the reactor's
    BlockingCall* next = nullptr;     ///< the pool's and the reactor's: link

  protected:
    ~BlockingCall() = default;
};

/// A coroutine on its way to another reactor's thread.
struct Posted {
    std::coroutine_handle<> handle;
    Posted* next = nullptr;
};

/// One thread's event loop, and the only thing that waits. Everything asynchronous in DPFS is
/// an awaitable of this class; the three implementations (io_uring; epoll with libaio;
/// simulated) differ only in the virtual functions at the end.
///
/// Thread    all members belong to the thread that calls run(), but for those that say so. A
///           reactor is run by one thread only, if more than once; coroutines may be started
///           on that thread before run(), and do nothing until then.
/// Lifetime  outlives every coroutine that runs on it. run() returns after stop(), when nothing
///           is in flight any more: who stops a reactor cancels what would wait for ever.
/// Errors    every awaitable: what the system call gives; ETIMEDOUT when its deadline passed;
///           ECANCELED when its CancelSource was fired. An operation that did complete gives
///           its result, however late: nothing that happened is reported as not happened.
class Reactor {
  public:
    virtual ~Reactor() = default;
    Reactor(const Reactor&) = delete;
    Reactor& operator=(const Reactor&) = delete;

    // --- files; buffers and paths stay put until the completion
    auto readv(int fd,
               std::span<const iovec> to,
               std::uint64_t offset,
               Limit limit = {}) noexcept {
        return vectored(OpCode::readv, fd, to, offset, 0, limit);
    }
    auto writev(int fd,
                std::span<const iovec> from,
                std::uint64_t offset,
                std::uint32_t rwf_flags = 0,
                Limit limit = {}) noexcept {
        return vectored(OpCode::writev, fd, from, offset, rwf_flags, limit);
    }
    OperationAwaiter<UniqueFd> openat2(int dir,
                                       const char* path,
                                       open_how& how,
                                       Limit limit = {}) noexcept {
        return {
            *this, {.code = OpCode::openat2, .fd = dir, .address = &how, .path = path}, limit};
    }
    OperationAwaiter<void> close(UniqueFd fd, Limit limit = {}) noexcept {
        return {*this, {.code = OpCode::close, .fd = fd.release()}, limit};
    }
    OperationAwaiter<void> statx(int dir,
                                 const char* path,
                                 std::uint32_t at_flags,
                                 std::uint32_t mask,
                                 struct statx& out,
                                 Limit limit = {}) noexcept {
        return {*this,
                {.code = OpCode::statx,
                 .fd = dir,
                 .flags = at_flags,
                 .mode = mask,
                 .address = &out,
                 .path = path},
                limit};
    }
    /// `data_only`: as fdatasync(2).
    OperationAwaiter<void> fsync(int fd, bool data_only, Limit limit = {}) noexcept {
        const std::uint32_t flags = data_only ? fsync_data_only : 0;
        return {*this, {.code = OpCode::fsync, .fd = fd, .flags = flags}, limit};
    }
    OperationAwaiter<void> sync_file_range(int fd,
                                           std::uint64_t offset,
                                           std::uint64_t length,
                                           std::uint32_t flags,
                                           Limit limit = {}) noexcept {
        return {*this,
                {.code = OpCode::sync_file_range,
                 .fd = fd,
                 .flags = flags,
                 .offset = offset,
                 .length = length},
                limit};
    }
    OperationAwaiter<void> fallocate(int fd,
                                     std::uint32_t mode,
                                     std::uint64_t offset,
                                     std::uint64_t length,
                                     Limit limit = {}) noexcept {
        return {*this,
                {.code = OpCode::fallocate,
                 .fd = fd,
                 .mode = mode,
                 .offset = offset,
                 .length = length},
                limit};
    }
    OperationAwaiter<void> ftruncate(int fd, std::uint64_t length, Limit limit = {}) noexcept {
        return {*this, {.code = OpCode::ftruncate, .fd = fd, .length = length}, limit};
    }
    OperationAwaiter<void> mkdirat(int dir,
                                   const char* path,
                                   std::uint32_t mode,
                                   Limit limit = {}) noexcept {
        return {*this, {.code = OpCode::mkdirat, .fd = dir, .mode = mode, .path = path}, limit};
    }
    OperationAwaiter<void> unlinkat(int dir,
                                    const char* path,
                                    std::uint32_t at_flags,
                                    Limit limit = {}) noexcept {
        return {*this,
                {.code = OpCode::unlinkat, .fd = dir, .flags = at_flags, .path = path},
                limit};
    }
    OperationAwaiter<void> renameat2(int dir,
                                     const char* path,
                                     int dir2,
                                     const char* path2,
                                     std::uint32_t rename_flags,
                                     Limit limit = {}) noexcept {
        return {*this,
                {.code = OpCode::renameat2,
                 .fd = dir,
                 .fd2 = dir2,
                 .flags = rename_flags,
                 .path = path,
                 .path2 = path2},
                limit};
    }
    OperationAwaiter<void> linkat(int dir,
                                  const char* path,
                                  int dir2,
                                  const char* path2,
                                  std::uint32_t at_flags,
                                  Limit limit = {}) noexcept {
        return {*this,
                {.code = OpCode::linkat,
                 .fd = dir,
                 .fd2 = dir2,
                 .flags = at_flags,
                 .path = path,
                 .path2 = path2},
                limit};
    }
    OperationAwaiter<void> symlinkat(const char* target,
                                     int dir,
                                     const char* path,
                                     Limit limit = {}) noexcept {
        return {*this,
                {.code = OpCode::symlinkat, .fd2 = dir, .path = target, .path2 = path},
                limit};
    }
    /// Not for O_PATH descriptors (fgetxattr(2) refuses them).
    OperationAwaiter<std::uint32_t> fgetxattr(int fd,
                                              const char* name,
                                              std::span<std::byte> to,
                                              Limit limit = {}) noexcept {
        return {*this,
                {.code = OpCode::fgetxattr,
                 .fd = fd,
                 .size = static_cast<std::uint32_t>(to.size()),
                 .address = to.data(),
                 .path = name},
                limit};
    }

    /// Not for O_PATH descriptors. `xattr_flags` = XATTR_CREATE, XATTR_REPLACE or 0.
    OperationAwaiter<void> fsetxattr(int fd,
                                     const char* name,
                                     std::span<const std::byte> value,
                                     std::uint32_t xattr_flags,
                                     Limit limit = {}) noexcept {
        return {*this,
                {.code = OpCode::fsetxattr,
                 .fd = fd,
                 .flags = xattr_flags,
                 .size = static_cast<std::uint32_t>(value.size()),
                 .address = const_cast<std::byte*>(value.data()),
                 .path = name},
                limit};
    }

    // --- sockets and descriptors that are waited for; in blocking mode, because older kernels
    // give EAGAIN for those with O_NONBLOCK instead of waiting (docs/footguns.md)

    /// The new descriptor has SOCK_CLOEXEC.
    OperationAwaiter<UniqueFd> accept(int fd, Limit limit = {}) noexcept {
        return {*this, {.code = OpCode::accept, .fd = fd, .flags = SOCK_CLOEXEC}, limit};
    }
    OperationAwaiter<void> connect(int fd,
                                   const sockaddr* address,
                                   socklen_t size,
                                   Limit limit = {}) noexcept {
        return {*this,
                {.code = OpCode::connect,
                 .fd = fd,
                 .size = size,
                 .address = const_cast<sockaddr*>(address)},
                limit};
    }
    OperationAwaiter<void> shutdown(int fd, int how, Limit limit = {}) noexcept {
        const auto flags = static_cast<std::uint32_t>(how);
        return {*this, {.code = OpCode::shutdown, .fd = fd, .flags = flags}, limit};
    }
    OperationAwaiter<std::uint32_t> recvmsg(int fd,
                                            msghdr& message,
                                            std::uint32_t flags = 0,
                                            Limit limit = {}) noexcept {
        return {*this,
                {.code = OpCode::recvmsg, .fd = fd, .flags = flags, .address = &message},
                limit};
    }
    /// MSG_NOSIGNAL is implied.
    OperationAwaiter<std::uint32_t> sendmsg(int fd,
                                            msghdr& message,
                                            std::uint32_t flags = 0,
                                            Limit limit = {}) noexcept {
        return {*this,
                {.code = OpCode::sendmsg, .fd = fd, .flags = flags, .address = &message},
                limit};
    }
    /// Waits for poll(2) `events`; gives the events that came.
    OperationAwaiter<std::uint32_t> poll(int fd,
                                         std::uint32_t events,
                                         Limit limit = {}) noexcept {
        return {*this, {.code = OpCode::poll, .fd = fd, .flags = events}, limit};
    }

    // --- time and scheduling
    [[nodiscard]] virtual Instant now() const noexcept = 0;
    /// Ends with success at `when`, with ECANCELED before.
    OperationAwaiter<void> sleep_until(Instant when, CancelSource* cancel = nullptr) noexcept {
        return {*this, {.code = OpCode::timeout}, Limit{when, cancel}};
    }
    OperationAwaiter<void> sleep(Duration time, CancelSource* cancel = nullptr) noexcept {
        return sleep_until(now() + time, cancel);
    }
    /// Lets everything else that is ready run first: for loops that may not suspend otherwise.
    [[nodiscard]] auto yield() noexcept { return Yield(*this); }
    /// Goes on, on the thread of `target` (at once where that is this reactor). What the
    /// caller's frames hold must be fit for use there.
    [[nodiscard]] static auto switch_to(Reactor& target) noexcept { return SwitchTo(target); }
    /// Resumes `handle` from the loop, soon, in no order to rely on. Thread: this reactor's.
    virtual void schedule(std::coroutine_handle<> handle) noexcept = 0;
    /// Like schedule(), from any thread. `posted` stays put until it is resumed.
    virtual void post(Posted& posted) noexcept = 0;
    /// Whether the calling thread is the one that runs this reactor.
    [[nodiscard]] virtual bool on_own_thread() const noexcept = 0;

    // --- calls that block
    /// Runs `call()` on the blocking pool, as `who`, and gives what it returned. `call` is
    /// taken by value and may refer to the caller's frame. Give `who` only with a call that
    /// returns a Result: it is the act_as() error where the pool may not act as `who`.
    /// A call that has been submitted runs: neither deadlines nor cancellation can stop it.
    template <class Call>
    [[nodiscard]] auto blocking(Call call, const Credentials* who = nullptr) noexcept {
        return Blocking<Call>(*this, std::move(call), who);
    }

    // --- polled sources
    /// `source` is polled from the next round on; it stays put until it has been removed.
    virtual void add_pollable(Pollable& source) = 0;
    virtual void remove_pollable(Pollable& source) noexcept = 0;
    /// Tells a sleeping or spinning loop that a notification of `source` came (its kick was
    /// read).
    virtual void notice_work() noexcept = 0;

    // --- what a reactor may keep at hand for many operations; those without io_uring need none
    /// Transfers to and from `memory` spare the kernel a look-up of its pages from now on,
    /// until drop_buffers() has come as often. Errors: EOPNOTSUPP, ENOSPC (no place), ENOMEM.
    // NOLINTNEXTLINE(performance-unnecessary-value-param): those who override it keep it
    virtual Result<void> use_buffers(std::shared_ptr<const PinnedMemory> /*memory*/) {
        return fail(Errno::not_supported);
    }
    virtual void drop_buffers(const PinnedMemory& /*memory*/) noexcept {}
    /// Operations on `fd` spare the kernel a look-up from now on, until unregister_file(),
    /// which must come before the descriptor is closed. Errors: EOPNOTSUPP, ENOSPC (no place).
    virtual Result<void> register_file(int /*fd*/) { return fail(Errno::not_supported); }
    virtual void unregister_file(int /*fd*/) noexcept {}

    // --- life
    /// Runs the loop on this thread until stop().
    virtual void run() = 0;
    /// Asks run() to return. Thread: any; also from a signal handler.
    virtual void stop() noexcept = 0;

    // --- what implementations provide to the awaitables above
    virtual void submit(Operation& operation) noexcept = 0;
    virtual void cancel(Operation& operation) noexcept = 0;
    virtual void submit_blocking(BlockingCall& call) noexcept = 0;

  protected:
    Reactor() = default;

  private:
    static constexpr std::uint32_t fsync_data_only = 1;  // IORING_FSYNC_DATASYNC

    OperationAwaiter<std::uint32_t> vectored(OpCode code,
                                             int fd,
                                             std::span<const iovec> buffers,
                                             std::uint64_t offset,
                                             std::uint32_t flags,
                                             Limit limit) noexcept {
        // The kernel takes them as const; one field of Arguments serves both directions.
        return {*this,
                {.code = code,
                 .fd = fd,
                 .flags = flags,
                 .size = static_cast<std::uint32_t>(buffers.size()),
                 .address = const_cast<iovec*>(buffers.data()),
                 .offset = offset},
                limit};
    }

    class Yield {
      public:
        explicit Yield(Reactor& reactor) noexcept : reactor_(reactor) {}
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<> waiter) const noexcept {
            reactor_.schedule(waiter);
        }
        void await_resume() const noexcept {}

      private:
        Reactor& reactor_;
    };

    class SwitchTo {
      public:
        explicit SwitchTo(Reactor& target) noexcept : target_(target) {}
        bool await_ready() const noexcept { return target_.on_own_thread(); }
        void await_suspend(std::coroutine_handle<> waiter) noexcept {
            posted_.handle = waiter;
            target_.post(posted_);
        }
        void await_resume() const noexcept {}

      private:
        Reactor& target_;
        Posted posted_;
    };

    template <class Call>
    class Blocking final : BlockingCall {
      public:
        using Value = std::invoke_result_t<Call&>;
        Blocking(Reactor& owner, Call call, const Credentials* who) noexcept
            : call_(std::move(call)) {
            this->reactor = &owner;
            this->as = who;
        }
        Blocking(const Blocking&) = delete;
        Blocking& operator=(const Blocking&) = delete;
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<> handle) noexcept {
            this->waiter = handle;
            this->reactor->submit_blocking(*this);
        }
        Value await_resume() noexcept {
            if constexpr (!std::is_void_v<Value>) {
                DPFS_ASSERT(value_.has_value());
                return std::move(*value_);
            }
        }

      private:
        struct Nothing {};

        void run() noexcept override {
            if constexpr (std::is_void_v<Value>) {
                call_();
            } else {
                value_.emplace(call_());
            }
        }
        void refuse(Errno error) noexcept override {
            if constexpr (std::is_constructible_v<Value, std::unexpected<Errno>>) {
                value_.emplace(fail(error));
            } else {
                DPFS_ASSERT(this->as == nullptr);  // a call that cannot say that it failed
            }
        }

        Call call_;
        std::optional<std::conditional_t<std::is_void_v<Value>, Nothing, Value>> value_;
    };
};

template <class Value>
void OperationAwaiter<Value>::await_suspend(std::coroutine_handle<> waiter) noexcept {
    operation_.waiter = waiter;
    reactor_.submit(operation_);
}

inline void Operation::on_cancel() noexcept {
    reactor->cancel(*this);
}

}  // namespace dpfs::reactor
