// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/assert.hpp"
#include "reactor/reactor.hpp"

#include <coroutine>
#include <mutex>
#include <utility>

namespace dpfs::mirror {

/// One coroutine at a time, first come first served, also where they run on different reactors:
/// who has to wait is resumed on his own. Not to be held for longer than bounded work takes,
/// since waiting for it cannot be cancelled.
class AsyncMutex {
    struct Waiter;

  public:
    AsyncMutex() = default;
    AsyncMutex(const AsyncMutex&) = delete;
    AsyncMutex& operator=(const AsyncMutex&) = delete;
    ~AsyncMutex() { DPFS_ASSERT(!held_); }

    /// Holds the mutex until its end.
    class [[nodiscard]] Hold {
      public:
        explicit Hold(AsyncMutex& mutex) noexcept : mutex_(&mutex) {}
        Hold(Hold&& other) noexcept : mutex_(std::exchange(other.mutex_, nullptr)) {}
        Hold& operator=(Hold&&) = delete;
        ~Hold() {
            if (mutex_ != nullptr) mutex_->unlock();
        }

      private:
        AsyncMutex* mutex_;
    };

    /// `auto hold = co_await mutex.lock(reactor);`
    [[nodiscard]] auto lock(reactor::Reactor& reactor) noexcept {
        return Awaiter(*this, reactor);
    }

  private:
    struct Waiter {
        reactor::Reactor& reactor;
        reactor::Posted posted;
        Waiter* next = nullptr;
    };

    class Awaiter {
      public:
        Awaiter(AsyncMutex& mutex, reactor::Reactor& reactor) noexcept
            : mutex_(mutex), waiter_{reactor, {}} {}
        bool await_ready() const noexcept { return mutex_.try_lock(); }
        bool await_suspend(std::coroutine_handle<> handle) noexcept {
            waiter_.posted.handle = handle;
            return mutex_.enqueue(waiter_);
        }
        Hold await_resume() const noexcept { return Hold(mutex_); }

      private:
        AsyncMutex& mutex_;
        Waiter waiter_;
    };

    bool try_lock() noexcept {
        const std::lock_guard lock(mutex_);
        return !std::exchange(held_, true);
    }
    /// False: it has become free meanwhile, and is the caller's.
    bool enqueue(Waiter& waiter) noexcept {
        const std::lock_guard lock(mutex_);
        if (!std::exchange(held_, true)) return false;
        (last_ != nullptr ? last_->next : first_) = &waiter;
        last_ = &waiter;
        return true;
    }
    void unlock() noexcept {
        Waiter* next = nullptr;
        {
            const std::lock_guard lock(mutex_);
            next = first_;
            if (next == nullptr) {
                held_ = false;
                return;
            }
            first_ = next->next;
            if (first_ == nullptr) last_ = nullptr;
        }
        // It stays held, by the next one; whose frame may be gone once it has been posted.
        next->reactor.post(next->posted);
    }

    std::mutex mutex_;
    bool held_ = false;
    Waiter* first_ = nullptr;
    Waiter* last_ = nullptr;
};

}  // namespace dpfs::mirror
