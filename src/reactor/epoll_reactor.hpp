// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/unique_fd.hpp"
#include "reactor/aio_queue.hpp"
#include "reactor/descriptor_waits.hpp"
#include "reactor/offloading_loop.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace dpfs::reactor {

struct EpollOptions {
    LoopOptions loop = {};
    std::size_t direct_count_max = 256;  ///< transfers with O_DIRECT that are under way
};

/// The reactor for machines where io_uring is forbidden; it makes none of its system calls.
///
/// Sockets, pipes and the like are tried without blocking and then waited for with epoll; files
/// opened with O_DIRECT go through Linux AIO; all else, buffered files first of all, is done by
/// the blocking pool.
///
/// Differs from io_uring in what the kernel cannot do here: transfers that Linux AIO or a pool
/// thread has begun end by themselves, whatever their deadline; a connect to a unix socket
/// whose backlog is full gives EAGAIN; a listening socket gets O_NONBLOCK for good.
class EpollReactor final : public OffloadingLoop {
  public:
    /// Errors: EMFILE, ENOMEM; EAGAIN: fs.aio-max-nr. `pool` outlives the reactor.
    static Result<std::unique_ptr<EpollReactor>> make(const EpollOptions& options,
                                                      BlockingPool& pool);
    ~EpollReactor() override;

  private:
    EpollReactor(const EpollOptions& options, BlockingPool& pool, UniqueFd epoll_fd);
    Result<void> set_up(const EpollOptions& options);

    void start_operation(Operation& operation) noexcept override;
    void cancel_operation(Operation& operation) noexcept override;
    bool collect() noexcept override;
    void wait(Instant until) noexcept override;
    void wake() noexcept override;

    void start_transfer(Operation& operation);
    void start_direct(Operation& operation);
    /// Tries it; waits for its descriptor where it would block.
    void start_on_descriptor(Operation& operation);
    void wait_for_descriptor(Operation& operation);
    /// Its result; nothing where it would block. `events`: as try_without_blocking().
    std::optional<std::int32_t> attempt(const Operation& operation,
                                        std::uint32_t events) noexcept;
    bool collect_direct() noexcept;
    bool collect_events(Instant until) noexcept;
    void take_report(int fd, std::uint32_t events) noexcept;

    UniqueFd epoll_fd_;
    UniqueFd wake_fd_;
    DescriptorWaits waits_;
    std::unique_ptr<AioQueue> direct_;
    Operation* direct_first_ = nullptr;  // found the AIO queue full
    Operation* direct_last_ = nullptr;
    std::vector<AioQueue::Completion> ended_;
    std::uint32_t rounds_to_skip_ = 0;  // until epoll is asked again
};

}  // namespace dpfs::reactor
