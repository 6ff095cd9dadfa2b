// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/frame_pool.hpp"
#include "base/iovec_cursor.hpp"
#include "hal/device.hpp"
#include "reactor/reactor.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace dpfs::hal::test {

/// A coroutine that nobody awaits, for tests only: it starts at once and frees itself.
struct Detached {
    struct promise_type {
        Detached get_return_object() const noexcept { return {}; }
        std::suspend_never initial_suspend() const noexcept { return {}; }
        std::suspend_never final_suspend() const noexcept { return {}; }
        void unhandled_exception() const noexcept { std::terminate(); }
        void return_void() const noexcept {}
    };
};

/// Answers each request with its own bytes, at once or when it is told to.
class EchoSink final : public RequestSink {
  public:
    void handle(RequestHandle request) noexcept override {
        if (!holding_.load()) return answer(std::move(request));
        const std::lock_guard lock(mutex_);
        held_.push_back(std::move(request));
        changed_.notify_all();
    }

    void interrupt_waits() noexcept override {
        ++interrupt_count_;
        if (answers_when_interrupted_.load()) release_held();
        changed_.notify_all();
    }

    Task<void> reset() override {
        ++reset_count_;
        co_return;
    }

    /// From now on requests are kept until release().
    void hold() { holding_ = true; }
    /// Whether interrupt_waits() answers what is held.
    void answer_when_interrupted(bool answers) { answers_when_interrupted_ = answers; }
    void release() {
        holding_ = false;
        release_held();
    }

    void wait_until_held(std::size_t count) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return held_.size() >= count; });
    }
    void wait_until_interrupted(int count) {
        while (interrupt_count_.load() < count) std::this_thread::yield();
    }
    [[nodiscard]] int reset_count() const { return reset_count_.load(); }
    [[nodiscard]] int interrupt_count() const { return interrupt_count_.load(); }

  private:
    static void answer(RequestHandle request) noexcept {
        IovecCursor in(request->readable);
        IovecCursor out(request->writable);
        const std::size_t size = std::min(in.left(), out.left());
        std::vector<std::byte> bytes(size);
        if (!in.copy_out(bytes) || !out.copy_in(bytes)) std::terminate();
        std::move(request).complete(static_cast<std::uint32_t>(size));
    }

    static Detached answer_on_its_thread(RequestHandle request) {
        co_await reactor::Reactor::switch_to(request->queue->reactor());
        answer(std::move(request));
    }

    void release_held() noexcept {
        std::vector<RequestHandle> ours;
        {
            const std::lock_guard lock(mutex_);
            ours = std::move(held_);
            held_.clear();
        }
        for (RequestHandle& request : ours) answer_on_its_thread(std::move(request));
    }

    std::atomic<bool> holding_ = false;
    std::atomic<bool> answers_when_interrupted_ = false;
    std::atomic<int> interrupt_count_ = 0;
    std::atomic<int> reset_count_ = 0;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<RequestHandle> held_;
};

}  // namespace dpfs::hal::test
