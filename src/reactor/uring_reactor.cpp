// SPDX-License-Identifier: Apache-2.0
#include "reactor/uring_reactor.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <sched.h>
#include <span>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace dpfs::reactor {
namespace {

// What completions that are no operation's carry; no object has such an address.
constexpr std::uint64_t ignored_tag = 0;
constexpr std::uint64_t wake_tag = 1;

/// Places in the table of registered buffers: for so many GiB of guests' memory at most.
constexpr std::uint32_t buffer_slot_count = 4096;

/// What we cannot do without: waits with a timeout, requests that a poll retries, completions
/// that are never dropped, and read(2)'s own file position.
constexpr unsigned needed_features =
    IORING_FEAT_EXT_ARG | IORING_FEAT_FAST_POLL | IORING_FEAT_NODROP | IORING_FEAT_RW_CUR_POS;

/// Whether the kernel knows `call.fd` as a file to work on: only then may it be a registered
/// one (a directory to start from may not).
bool takes_registered_file(OpCode code) noexcept {
    switch (code) {
        case OpCode::poll:
        case OpCode::readv:
        case OpCode::writev:
        case OpCode::accept:
        case OpCode::connect:
        case OpCode::recvmsg:
        case OpCode::sendmsg:
        case OpCode::shutdown:
        case OpCode::fsync:
        case OpCode::sync_file_range:
        case OpCode::fallocate:
            return true;
        case OpCode::timeout:
        case OpCode::openat2:
        case OpCode::close:
        case OpCode::statx:
        case OpCode::ftruncate:
        case OpCode::mkdirat:
        case OpCode::unlinkat:
        case OpCode::renameat2:
        case OpCode::linkat:
        case OpCode::symlinkat:
        case OpCode::fgetxattr:
        case OpCode::fsetxattr:
            return false;
    }
    return false;
}

/// io_uring's sync_file_range has 32 bits for the length.
bool fits_io_uring(const Arguments& call) noexcept {
    return call.code != OpCode::sync_file_range ||
           call.length <= std::numeric_limits<std::uint32_t>::max();
}

}  // namespace

// --- set-up

Result<std::unique_ptr<UringReactor>> UringReactor::make(const UringOptions& options,
                                                         BlockingPool& pool) {
    std::unique_ptr<UringReactor> made(new UringReactor(options, pool));
    if (const Result<void> done = made->set_up(options); !done) return fail(done.error());
    return made;
}

UringReactor::UringReactor(const UringOptions& options, BlockingPool& pool)
    : OffloadingLoop(options.loop, pool),
      personalities_(ring_, options.personality_count_max, [this] { flush_queue(); }),
      worker_count_max_(options.worker_count_max),
      has_submission_thread_(options.submission_thread),
      switches_credentials_(can_switch_credentials()),
      buffers_(ring_, buffer_slot_count),
      files_(ring_) {}

UringReactor::~UringReactor() {
    wait_for_visitors();
    DPFS_ASSERT(!listening_);
    if (ring_exists_) ::io_uring_queue_exit(&ring_);
}

Result<void> UringReactor::set_up(const UringOptions& options) {
    if (const Result<void> ring = set_up_ring(options); !ring) return ring;
    if ((ring_.features & needed_features) != needed_features) {
        return fail(Errno::not_supported);
    }
    opcodes_ = UringOpcodes::probe(ring_);
    wake_fd_.reset(::eventfd(0, EFD_CLOEXEC));
    if (!wake_fd_) return fail_errno();

    if (options.file_count_max == 0) return {};
    const auto table = files_.make_table(options.file_count_max);
    if (!table) files_error_ = table.error();
    return {};
}

Result<void> UringReactor::set_up_ring(const UringOptions& options) {
    // Disabled until the thread is there that will be its only user.
    constexpr unsigned always = IORING_SETUP_R_DISABLED | IORING_SETUP_CLAMP;
    constexpr unsigned cooperative = IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
    constexpr unsigned deferred = IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
    std::array<unsigned, 4> attempts = {
        always | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER | deferred,     // 6.1
        always | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER | cooperative,  // 6.0
        always | IORING_SETUP_SUBMIT_ALL | cooperative,                               // 5.19
        always};
    if (!options.deferred_completions) attempts[0] = attempts[1];
    if (options.submission_thread) attempts.fill(always | IORING_SETUP_SQPOLL);

    int result = 0;
    for (const unsigned flags : attempts) {
        io_uring_params parameters = {};
        parameters.flags = flags;
        parameters.sq_thread_idle =
            static_cast<unsigned>(options.submission_thread_idle.ns / 1'000'000);
        result = ::io_uring_queue_init_params(options.entry_count, &ring_, &parameters);
        ring_exists_ = result == 0;
        if (result != -EINVAL) break;
    }
    if (result < 0) return fail(static_cast<Errno>(-result));
    return {};
}

Result<void> UringReactor::use_buffers(std::shared_ptr<const PinnedMemory> memory) {
    flush_queue();
    return buffers_.add(std::move(memory));
}

void UringReactor::drop_buffers(const PinnedMemory& memory) noexcept {
    flush_queue();  // what names its places must be in the kernel before they are emptied
    buffers_.remove(memory);
}

Result<void> UringReactor::register_file(int fd) {
    return files_.add(fd);
}

void UringReactor::unregister_file(int fd) noexcept {
    flush_queue();
    files_.remove(fd);
}

// --- run()

void UringReactor::enter() noexcept {
    if (!enabled_) {
        // liburing 2.3 declares io_uring_enable_rings() but does not export it.
        const long enabled = ::syscall(
            SYS_io_uring_register, ring_.ring_fd, IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
        DPFS_ASSERT(enabled == 0);
        enabled_ = true;
        if (worker_count_max_ > 0) {
            unsigned counts[2] = {worker_count_max_, 0};  // bounded, unbounded: unchanged
            ::io_uring_register_iowq_max_workers(&ring_, counts);
        }
    }
    // Saves each system call a look-up of the ring; a thread has few places, so it may fail.
    ::io_uring_register_ring_fd(&ring_);
    listen_for_wake_ups();
}

void UringReactor::leave() noexcept {
    // The kernel must not write to wake_count_ when this object is gone.
    wake();
    while (listening_) {
        ::io_uring_submit_and_wait(&ring_, 1);
        reap();
    }
    ::io_uring_unregister_ring_fd(&ring_);
}

bool UringReactor::kernel_has_work() const noexcept {
    const unsigned flags = IO_URING_READ_ONCE(*ring_.sq.kflags);
    return (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

bool UringReactor::collect() noexcept {
    feed_pool();
    if (!late_cancels_.empty()) feed_cancels();
    if (overflow_first_ != nullptr) feed_overflow();
    if (!listening_) listen_for_wake_ups();
    if (::io_uring_sq_ready(&ring_) > 0 || kernel_has_work()) submit_queued();
    return reap();
}

void UringReactor::submit_queued() noexcept {
    if (!enabled_) return;
    // Errors leave the requests in the queue, and the next round tries again: EBUSY and EAGAIN
    // say that completions must be taken, or memory be found, first.
    const int result = has_submission_thread_ ? ::io_uring_submit(&ring_)
                                              : ::io_uring_submit_and_get_events(&ring_);
    DPFS_ASSERT(result != -EEXIST);  // another thread than the one that first called run()
}

void UringReactor::flush_queue() noexcept {
    submit_queued();
    while (enabled_ && ::io_uring_sq_ready(&ring_) > 0) {
        // A kernel thread that submits takes them in its own time; without one, the kernel has
        // no memory, or wants completions to be taken. None of it waits for anything of ours.
        ::sched_yield();
        if (has_submission_thread_) {
            if (::io_uring_submit(&ring_) == -EOWNERDEAD) return;  // it has ended: so do we
        } else {
            reap();
            submit_queued();
        }
    }
}

void UringReactor::wait(Instant until) noexcept {
    feed_pool();
    if (overflow_first_ != nullptr || !late_cancels_.empty() || !listening_) {
        collect();
        return;
    }
    if (reap()) return;
    io_uring_cqe* first = nullptr;
    if (until == Instant::never()) {
        ::io_uring_submit_and_wait_timeout(&ring_, &first, 1, nullptr, nullptr);
    } else {
        const std::int64_t left = std::max<std::int64_t>((until - now()).ns, 0);
        __kernel_timespec timeout = {left / 1'000'000'000, left % 1'000'000'000};
        ::io_uring_submit_and_wait_timeout(&ring_, &first, 1, &timeout, nullptr);
    }
    reap();
}

void UringReactor::wake() noexcept {
    const std::uint64_t one = 1;
    // It fails only when 2^64 - 2 wake-ups have not been read.
    [[maybe_unused]] const auto written = ::write(wake_fd_.get(), &one, sizeof one);
}

void UringReactor::listen_for_wake_ups() noexcept {
    io_uring_sqe* const request = next_request();
    if (request == nullptr) return;
    ::io_uring_prep_read(request, wake_fd_.get(), &wake_count_, sizeof wake_count_, 0);
    ::io_uring_sqe_set_data64(request, wake_tag);
    listening_ = true;
}

// --- completions

bool UringReactor::reap() noexcept {
    unsigned count = 0;
    unsigned head = 0;
    io_uring_cqe* completion = nullptr;
    io_uring_for_each_cqe(&ring_, head, completion) {
        take_completion(*completion);
        ++count;
    }
    if (count == 0) return false;
    ::io_uring_cq_advance(&ring_, count);
    return true;
}

void UringReactor::take_completion(const io_uring_cqe& completion) noexcept {
    if (completion.user_data == ignored_tag) return;
    if (completion.user_data == wake_tag) {
        listening_ = false;
        return;
    }
    auto& operation = *static_cast<Operation*>(::io_uring_cqe_get_data(&completion));
    if (operation.queued) {
        operation.queued = false;
        std::erase(late_cancels_, &operation);
    }
    complete(operation, completion.res);
}

// --- requests

io_uring_sqe* UringReactor::next_request() noexcept {
    io_uring_sqe* const request = ::io_uring_get_sqe(&ring_);
    if (request != nullptr) return request;
    submit_queued();
    return ::io_uring_get_sqe(&ring_);
}

void UringReactor::start_operation(Operation& operation) noexcept {
    const Arguments& call = operation.arguments;
    if (!opcodes_.has(call.code) || !fits_io_uring(call)) return offload(operation);
    // First come, first served.
    if (overflow_first_ != nullptr || !try_push(operation)) push_overflow(operation);
}

bool UringReactor::try_push(Operation& operation) noexcept {
    const Arguments& call = operation.arguments;
    std::uint16_t personality = 0;
    // The thread may be acting as somebody else (act_as) when the request reaches the kernel,
    // so what the daemon does for itself names the daemon, too.
    if (switches_credentials_ && (call.as != nullptr || depends_on_caller(call.code))) {
        const Result<std::uint16_t> id = personalities_.id_for(call.as);
        if (!id) {
            complete(operation, -static_cast<std::int32_t>(id.error()));
            return true;
        }
        personality = *id;
    }
    io_uring_sqe* const request = next_request();
    if (request == nullptr) return false;
    fill_request(*request, call);
    request->personality = personality;
    ::io_uring_sqe_set_data(request, &operation);
    use_registrations(*request, call);
    return true;
}

void UringReactor::use_registrations(io_uring_sqe& request,
                                     const Arguments& call) const noexcept {
    if (!files_.empty() && takes_registered_file(call.code)) {
        const int slot = files_.find(request.fd);
        if (slot != FixedFiles::none) {
            request.fd = slot;
            request.flags |= IOSQE_FIXED_FILE;
        }
    }
    const bool transfers = call.code == OpCode::readv || call.code == OpCode::writev;
    if (!transfers || buffers_.empty() || call.size == 0) return;
    const std::span all(static_cast<const iovec*>(call.address), call.size);
    const int slot = buffers_.find(all);
    if (slot != FixedBuffers::none) {
        use_fixed_buffer(request, opcodes_, static_cast<std::uint16_t>(slot));
    }
}

void UringReactor::push_overflow(Operation& operation) noexcept {
    operation.queued = true;
    operation.next = nullptr;
    (overflow_last_ != nullptr ? overflow_last_->next : overflow_first_) = &operation;
    overflow_last_ = &operation;
}

void UringReactor::feed_overflow() noexcept {
    while (overflow_first_ != nullptr) {
        Operation& operation = *overflow_first_;
        Operation* const next = operation.next;
        if (operation.cancel_requested) {
            operation.queued = false;
            complete(operation, -ECANCELED);
        } else if (try_push(operation)) {
            operation.queued = false;
        } else {
            return;
        }
        overflow_first_ = next;
    }
    overflow_last_ = nullptr;
}

// --- cancellation

void UringReactor::cancel_operation(Operation& operation) noexcept {
    if (cancel_offloaded(operation)) return;
    if (operation.queued) return;  // feed_overflow() sees it
    if (push_cancel(operation)) return;
    operation.queued = true;
    late_cancels_.push_back(&operation);
}

bool UringReactor::push_cancel(Operation& operation) noexcept {
    io_uring_sqe* const request = next_request();
    if (request == nullptr) return false;
    // Requests are taken in order: an operation that has completed meanwhile, and another one
    // that was then made in its place, cannot be confused.
    ::io_uring_prep_cancel(request, &operation, 0);
    ::io_uring_sqe_set_data64(request, ignored_tag);
    return true;
}

void UringReactor::feed_cancels() noexcept {
    while (!late_cancels_.empty() && push_cancel(*late_cancels_.back())) {
        late_cancels_.back()->queued = false;
        late_cancels_.pop_back();
    }
}

}  // namespace dpfs::reactor
