// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/assert.hpp"
#include "base/task.hpp"

#include <coroutine>
#include <cstddef>
#include <exception>
#include <utility>

namespace dpfs {

/// Background work must end before what it uses does. A gate counts the work that an object has
/// started; the object's shutdown awaits close(), after which nothing can enter and nothing is
/// left inside. The destructor asserts that it is empty.
///
/// Thread    one reactor thread.
class Gate {
  public:
    Gate() = default;
    Gate(const Gate&) = delete;
    Gate& operator=(const Gate&) = delete;
    ~Gate() { DPFS_ASSERT(count_ == 0); }

    /// False once the gate is closing: the caller must not start the work.
    [[nodiscard]] bool try_enter() noexcept {
        if (closing_) return false;
        ++count_;
        return true;
    }
    void leave() noexcept {
        DPFS_ASSERT(count_ > 0);
        if (--count_ == 0 && waiter_) std::exchange(waiter_, nullptr).resume();
    }

    /// Starts `work` at once and owns it until it ends. False (and the work is dropped
    /// unstarted) if the gate is closing.
    bool spawn(Task<void> work) {
        if (!try_enter()) return false;
        run(*this, std::move(work));
        return true;
    }

    [[nodiscard]] std::size_t count() const noexcept { return count_; }
    [[nodiscard]] bool closing() const noexcept { return closing_; }

    /// Refuses new work, and waits until what is inside has left. One waiter.
    Task<void> close() {
        closing_ = true;
        co_await Empty(*this);
    }

    /// Lets work in again after a finished close().
    void reopen() noexcept {
        DPFS_ASSERT(count_ == 0);
        closing_ = false;
    }

  private:
    class Empty {
      public:
        explicit Empty(Gate& gate) noexcept : gate_(gate) {}
        bool await_ready() const noexcept { return gate_.count_ == 0; }
        void await_suspend(std::coroutine_handle<> waiter) const noexcept {
            DPFS_ASSERT(!gate_.waiter_);
            gate_.waiter_ = waiter;
        }
        void await_resume() const noexcept {}

      private:
        Gate& gate_;
    };

    /// A coroutine that nobody awaits: it starts at once and frees itself at its end.
    struct Background {
        struct promise_type {
            static void* operator new(std::size_t size) { return allocate_frame(size); }
            static void operator delete(void* frame, std::size_t size) {
                release_frame(frame, size);
            }
            Background get_return_object() const noexcept { return {}; }
            std::suspend_never initial_suspend() const noexcept { return {}; }
            std::suspend_never final_suspend() const noexcept { return {}; }
            void unhandled_exception() const noexcept { std::terminate(); }
            void return_void() const noexcept {}
        };
    };

    static Background run(Gate& gate, Task<void> work) {
        {
            // Its own scope: the work's frame is gone before the gate may let its owner go.
            Task<void> mine = std::move(work);
            co_await std::move(mine);
        }
        gate.leave();
    }

    std::size_t count_ = 0;
    bool closing_ = false;
    std::coroutine_handle<> waiter_;
};

}  // namespace dpfs
