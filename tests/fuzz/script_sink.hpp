// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/iovec_cursor.hpp"
#include "hal/device.hpp"
#include "reactor/reactor.hpp"
#include "require.hpp"

#include <algorithm>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <utility>
#include <vector>

namespace dpfs::fuzz {

/// A coroutine that nobody awaits: it starts at once and frees itself.
struct Detached {
    struct promise_type {
        Detached get_return_object() const noexcept { return {}; }
        std::suspend_never initial_suspend() const noexcept { return {}; }
        std::suspend_never final_suspend() const noexcept { return {}; }
        void unhandled_exception() const noexcept { std::terminate(); }
        void return_void() const noexcept {}
    };
};

/// Answers each request with its own bytes, at once or when it is told to; holds the transport
/// to what RequestSink promises.
class ScriptSink final : public hal::RequestSink {
  public:
    void handle(hal::RequestHandle request) noexcept override {
        require(request->queue->reactor().on_own_thread());
        ++in_flight_;
        if (!holding_) return answer(std::move(request));
        held_.push_back(std::move(request));
    }
    void interrupt_waits() noexcept override { release(); }
    Task<void> reset() override {
        require(in_flight_ == 0);
        co_return;
    }

    /// From now on requests are kept until release(), or the next interrupt_waits().
    void hold() { holding_ = true; }
    /// What is held stays so.
    void stop_holding() { holding_ = false; }
    void release() noexcept {
        for (hal::RequestHandle& request : std::exchange(held_, {})) {
            answer_on_its_thread(std::move(request));
        }
    }

  private:
    static constexpr std::size_t answer_size_max = 4096;

    void answer(hal::RequestHandle request) noexcept {
        IovecCursor in(request->readable);
        IovecCursor out(request->writable);
        std::vector<std::byte> bytes(std::min({in.left(), out.left(), answer_size_max}));
        require(in.copy_out(bytes) && out.copy_in(bytes));
        --in_flight_;
        std::move(request).complete(static_cast<std::uint32_t>(bytes.size()));
    }
    Detached answer_on_its_thread(hal::RequestHandle request) {
        co_await reactor::Reactor::switch_to(request->queue->reactor());
        answer(std::move(request));
    }

    bool holding_ = false;
    std::size_t in_flight_ = 0;
    std::vector<hal::RequestHandle> held_;
};

}  // namespace dpfs::fuzz
