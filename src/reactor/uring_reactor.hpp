// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/unique_fd.hpp"
#include "reactor/fixed_buffers.hpp"
#include "reactor/fixed_files.hpp"
#include "reactor/offloading_loop.hpp"
#include "reactor/personality_cache.hpp"
#include "reactor/uring_request.hpp"

#include <liburing.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace dpfs::reactor {

struct UringOptions {
    LoopOptions loop = {};
    unsigned entry_count = 512;      ///< of the submission queue; a power of two
    bool submission_thread = false;  ///< IORING_SETUP_SQPOLL: the kernel polls for us
    Duration submission_thread_idle = milliseconds(10);
    bool deferred_completions = true;  ///< IORING_SETUP_DEFER_TASKRUN (Linux 6.1)
    unsigned worker_count_max = 0;     ///< kernel threads for calls that block; 0: its own
    std::size_t personality_count_max = 256;  ///< callers whose credentials are kept registered
    unsigned file_count_max = 0;              ///< for register_file(); at most 32768
};

/// The reactor on io_uring (Linux 5.11 and up; what it uses of later kernels, it asks for).
///
/// All requests of a round go to the kernel in one system call, and completions are looked for
/// in memory first, so that a spinning loop makes none. Opcodes that this kernel lacks run on
/// the blocking pool as plain system calls.
class UringReactor final : public OffloadingLoop {
  public:
    /// Errors: ENOSYS, EPERM: io_uring is not there, or forbidden; EOPNOTSUPP: this kernel's is
    /// too old; ENOMEM, EMFILE. `pool` outlives the reactor.
    static Result<std::unique_ptr<UringReactor>> make(const UringOptions& options,
                                                      BlockingPool& pool);
    ~UringReactor() override;

    Result<void> use_buffers(std::shared_ptr<const PinnedMemory> memory) override;
    void drop_buffers(const PinnedMemory& memory) noexcept override;
    Result<void> register_file(int fd) override;
    void unregister_file(int fd) noexcept override;

    /// Why there is no table of `file_count_max` files, if there is none: EMFILE, ENOMEM….
    [[nodiscard]] std::optional<Errno> files_error() const noexcept { return files_error_; }

    /// What this kernel has; tests make it forget some.
    [[nodiscard]] UringOpcodes& opcodes() noexcept { return opcodes_; }
    [[nodiscard]] const io_uring& ring() const noexcept { return ring_; }

  private:
    UringReactor(const UringOptions& options, BlockingPool& pool);
    Result<void> set_up(const UringOptions& options);
    Result<void> set_up_ring(const UringOptions& options);

    void enter() noexcept override;
    void leave() noexcept override;
    void start_operation(Operation& operation) noexcept override;
    void cancel_operation(Operation& operation) noexcept override;
    bool collect() noexcept override;
    void wait(Instant until) noexcept override;
    void wake() noexcept override;

    /// A free place in the submission queue, nullptr when there is none even after submitting.
    io_uring_sqe* next_request() noexcept;
    void submit_queued() noexcept;
    /// The same; when it returns, the kernel has looked at all of it.
    void flush_queue() noexcept;
    /// False: no place in the queue. An operation that may not be made is completed.
    bool try_push(Operation& operation) noexcept;
    void use_registrations(io_uring_sqe& request, const Arguments& call) const noexcept;
    void push_overflow(Operation& operation) noexcept;
    void feed_overflow() noexcept;
    bool push_cancel(Operation& operation) noexcept;
    void feed_cancels() noexcept;
    void listen_for_wake_ups() noexcept;
    bool reap() noexcept;
    void take_completion(const io_uring_cqe& completion) noexcept;
    [[nodiscard]] bool kernel_has_work() const noexcept;
    io_uring ring_ = {};
    bool ring_exists_ = false;
    bool enabled_ = false;
    UringOpcodes opcodes_;
    PersonalityCache personalities_;
    const unsigned worker_count_max_;
    const bool has_submission_thread_;
    const bool switches_credentials_;

    Operation* overflow_first_ = nullptr;  // found the submission queue full
    Operation* overflow_last_ = nullptr;
    std::vector<Operation*> late_cancels_;  // found it full, too

    UniqueFd wake_fd_;
    std::uint64_t wake_count_ = 0;  // the kernel writes it
    bool listening_ = false;        // a read of wake_fd_ is in flight

    FixedBuffers buffers_;
    FixedFiles files_;
    std::optional<Errno> files_error_;
};

}  // namespace dpfs::reactor
