// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "reactor/blocking_pool.hpp"
#include "reactor/event_loop.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

namespace dpfs::reactor {

/// An event loop with a blocking pool, also for operations: what an implementation cannot do
/// asynchronously is made as a plain system call by a pool thread.
class OffloadingLoop : public EventLoop {
  public:
    ~OffloadingLoop() override;

  protected:
    /// `pool` outlives the loop.
    OffloadingLoop(const LoopOptions& options, BlockingPool& pool);

    /// Has the pool do `operation`; complete() follows. Never blocks, and never allocates but
    /// when more operations are offloaded at the same time than ever before.
    void offload(Operation& operation);
    /// Ends an offloaded operation at once if no thread has begun it; one that has been begun
    /// ends by itself. False: it is not an offloaded one.
    bool cancel_offloaded(Operation& operation) noexcept;
    /// Hands on calls that the pool had no room for. To be called each round.
    void feed_pool() noexcept {
        if (backlog_first_ != nullptr) feed_pool_slowly();
    }

    void start_blocking(BlockingCall& call) noexcept override;
    void finish_own_call(BlockingCall& call) noexcept override;

  private:
    /// The pool's side of one operation; used again and again.
    class OffloadedCall final : public BlockingCall {
      public:
        void begin(Operation& operation) noexcept;
        /// True: no thread has it, and none will touch the operation.
        bool abandon() noexcept;
        void run() noexcept override;
        void refuse(Errno error) noexcept override;
        /// nullptr after abandon().
        [[nodiscard]] Operation* operation() const noexcept { return operation_; }
        [[nodiscard]] std::int32_t result() const noexcept { return result_; }

      private:
        enum class State : unsigned char { waiting, running, abandoned };
        [[nodiscard]] bool claim() noexcept;

        Operation* operation_ = nullptr;
        std::int32_t result_ = 0;
        std::atomic<State> state_ = State::waiting;
    };

    OffloadedCall& take_free_call();
    void feed_pool_slowly() noexcept;

    BlockingPool& pool_;
    BlockingCall* backlog_first_ = nullptr;  // found the pool full
    BlockingCall* backlog_last_ = nullptr;
    std::vector<std::unique_ptr<OffloadedCall>> calls_;
    BlockingCall* free_calls_ = nullptr;
};

}  // namespace dpfs::reactor
