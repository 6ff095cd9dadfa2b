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
        Awaiter(WaitList& list, reactor::Reactor& reactor, reactor::CancelSource* cancel)
            : list_(list), reactor_(reactor), cancel_(cancel) {}
        Awaiter(const Awaiter&) = delete;
        Awaiter& operator=(const Awaiter&) = delete;

        bool await_ready() const noexcept { return cancel_ != nullptr && cancel_->canceled(); }
        void await_suspend(std::coroutine_handle<> waiter) noexcept {
            waiter_ = waiter;
            list_.append(*this);
            if (cancel_ != nullptr) cancel_->link(*this);
        }
        /// Error: ECANCELED.
        Result<void> await_resume() const noexcept {
            if (!woken_) return fail(Errno::canceled);
            return {};
        }

      private:
        friend class WaitList;
        void on_cancel() noexcept override {
            list_.remove(*this);
            reactor_.schedule(waiter_);
        }
        void wake() noexcept {
            woken_ = true;
            unlink();
            reactor_.schedule(waiter_);
        }

        WaitList& list_;
        reactor::Reactor& reactor_;
        reactor::CancelSource* cancel_;
        std::coroutine_handle<> waiter_;
        bool woken_ = false;
        Awaiter* next_ = nullptr;
        Awaiter* previous_ = nullptr;
    };

    WaitList() = default;
    WaitList(const WaitList&) = delete;
    WaitList& operator=(const WaitList&) = delete;
    ~WaitList() { DPFS_ASSERT(first_ == nullptr); }

    [[nodiscard]] Awaiter wait(reactor::Reactor& reactor,
                               reactor::CancelSource* cancel = nullptr) noexcept {
        return {*this, reactor, cancel};
    }
    [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }

    void wake_one() noexcept {
        if (first_ == nullptr) return;
        Awaiter& woken = *first_;
        remove(woken);
        woken.wake();
    }
    /// Those that wait now; who waits again while they run is not among them.
    void wake_all() noexcept {
        while (first_ != nullptr) wake_one();
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
