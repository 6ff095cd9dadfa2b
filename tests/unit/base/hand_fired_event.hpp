// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <coroutine>
#include <utility>

namespace dpfs {

/// Something to wait for that a test fires by hand.
class HandFiredEvent {
  public:
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) noexcept { waiter_ = waiter; }
    void await_resume() const noexcept {}
    void fire() { std::exchange(waiter_, nullptr).resume(); }

  private:
    std::coroutine_handle<> waiter_;
};

}  // namespace dpfs
