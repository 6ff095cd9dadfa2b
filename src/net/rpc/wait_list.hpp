// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "reactor/cancel.hpp"
#include "reactor/reactor.hpp"

#include <coroutine>

namespace dpfs::rpc {

/// Coroutines that wait for the same thing, first come first served.
///
/// Thread    one reactor's.
/// Lifetime  nobody waits when it is destroyed.
class WaitList {
  public:
    class Awaiter final : reactor::Cancelable {
      public:
        Awaiter(WaitList& list, reactor::Reactor& reactor, reactor::Limit limit)
            : list_(list), reactor_(reactor), limit_(limit) {}
        Awaiter(const Awaiter&) = delete;
        Awaiter& operator=(const Awaiter&) = delete;

        bool await_ready() const noexcept {
            return limit_.cancel != nullptr && limit_.cancel->canceled();
        }
        void await_suspend(std::coroutine_handle<> waiter) noexcept {
            waiter_ = waiter;
            list_.append(*this);
            if (limit_.cancel != nullptr) limit_.cancel->link(*this);
        }
        /// Errors: ECANCELED; ETIMEDOUT, if somebody calls expire().
        Result<void> await_resume() const noexcept { return outcome_; }

      private:
        friend class WaitList;
        void on_cancel() noexcept override {
            list_.remove(*this);
            reactor_.schedule(waiter_);
        }
        void wake(Result<void> outcome) noexcept {
            outcome_ = outcome;
            unlink();
            reactor_.schedule(waiter_);
        }

        WaitList& list_;
        reactor::Reactor& reactor_;
        reactor::Limit limit_;
        std::coroutine_handle<> waiter_;
        Result<void> outcome_ = fail(Errno::canceled);
        Awaiter* next_ = nullptr;
        Awaiter* previous_ = nullptr;
    };

    WaitList() = default;
    WaitList(const WaitList&) = delete;
    WaitList& operator=(const WaitList&) = delete;
    ~WaitList() { DPFS_ASSERT(first_ == nullptr); }

    [[nodiscard]] Awaiter wait(reactor::Reactor& reactor, reactor::Limit limit = {}) noexcept {
        return {*this, reactor, limit};
    }
    [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }

    void wake_one() noexcept {
        if (first_ == nullptr) return;
        Awaiter& woken = *first_;
        remove(woken);
        woken.wake({});
    }
    /// Those that wait now; who waits again while they run is not among them.
    void wake_all() noexcept {
        while (first_ != nullptr) wake_one();
    }
    /// Ends the waits whose deadline is over. A list has no timer of its own: whoever gives
    /// deadlines calls this from time to time.
    void expire(Instant now) noexcept {
        for (Awaiter *each = first_, *next = nullptr; each != nullptr; each = next) {
            next = each->next_;
            if (each->limit_.deadline > now) continue;
            remove(*each);
            each->wake(fail(Errno::timed_out));
        }
    }

  private:
    void append(Awaiter& waiting) noexcept {
        waiting.previous_ = last_;
        (last_ != nullptr ? last_->next_ : first_) = &waiting;
        last_ = &waiting;
    }
    void remove(Awaiter& waiting) noexcept {
        (waiting.previous_ != nullptr ? waiting.previous_->next_ : first_) = waiting.next_;
        (waiting.next_ != nullptr ? waiting.next_->previous_ : last_) = waiting.previous_;
        waiting.next_ = waiting.previous_ = nullptr;
    }

    Awaiter* first_ = nullptr;
    Awaiter* last_ = nullptr;
};

}  // namespace dpfs::rpc
