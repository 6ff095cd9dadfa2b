// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/assert.hpp"
#include "base/frame_pool.hpp"
#include "base/result.hpp"

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

namespace dpfs {

template <class T>
class Task;

namespace detail {

/// What every task's promise has: pooled frames, no exceptions, and a continuation that is
/// resumed at the end. The end is a flag of its own, because or_return() ends a coroutine
/// that is, for the language, only suspended.
class TaskPromiseBase {
  public:
    static void* operator new(std::size_t size) { return allocate_frame(size); }
    static void operator delete(void* frame, std::size_t size) { release_frame(frame, size); }

    std::suspend_always initial_suspend() const noexcept { return {}; }

    struct FinalAwaiter {
        bool await_ready() const noexcept { return false; }
        template <class Promise>
        void await_suspend(std::coroutine_handle<Promise> self) const noexcept {
            self.promise().finish();
        }
        void await_resume() const noexcept {}
    };
    FinalAwaiter final_suspend() const noexcept { return {}; }

    void unhandled_exception() const noexcept { std::terminate(); }

    /// Marks the end and resumes whoever waits; the frame may be gone when it returns.
    void finish() noexcept {
        finished_ = true;
        if (continuation_) continuation_.resume();
    }

    [[nodiscard]] bool finished() const noexcept { return finished_; }
    void continue_with(std::coroutine_handle<> next) noexcept { continuation_ = next; }

  private:
    std::coroutine_handle<> continuation_;
    bool finished_ = false;
};

template <class T>
class TaskPromise : public TaskPromiseBase {
  public:
    Task<T> get_return_object() noexcept;

    template <class U>
    void return_value(U&& value) {
        value_.emplace(std::forward<U>(value));
    }
    /// For or_return(): T must be a Result.
    void return_error(Errno error) { value_.emplace(fail(error)); }

    T take() {
        DPFS_ASSERT(value_.has_value());
        return std::move(*value_);
    }

  private:
    std::optional<T> value_;
};

template <>
class TaskPromise<void> : public TaskPromiseBase {
  public:
    Task<void> get_return_object() noexcept;
    void return_void() const noexcept {}
    void take() const noexcept {}
};

/// Where a task keeps a value that was there at once.
template <class T>
using ReadyValue = std::optional<T>;

}  // namespace detail

/// A lazy asynchronous computation of one T: starts when it is awaited (or start()ed), is
/// awaited once, by the frame that owns it. Or no coroutine at all: Task::ready(value) carries
/// a value that was there at once and costs neither a frame nor a suspension.
///
/// Thread    belongs to one reactor thread from start to end.
/// Lifetime  destroying a task destroys its frame; one that has an operation in flight must be
///           cancelled and drained first (the reactor asserts it).
///
/// A child is started inside a `bool await_suspend`, not by symmetric transfer: with GCC 12 a
/// loop of ready awaits would overflow the stack in unoptimised and sanitizer builds
/// (docs/footguns.md).
template <class T>
class [[nodiscard]] Task {
  public:
    using promise_type = detail::TaskPromise<T>;
    using Handle = std::coroutine_handle<promise_type>;
    using value_type = T;

    static Task ready(T value) { return Task(std::move(value)); }

    explicit Task(Handle coroutine) noexcept : coroutine_(coroutine) {}
    Task(Task&& other) noexcept
        : value_(std::move(other.value_)),
          coroutine_(std::exchange(other.coroutine_, nullptr)) {}
    Task& operator=(Task&&) = delete;
    ~Task() {
        if (coroutine_) coroutine_.destroy();
    }

    /// Whether take() may be called: the value came with the task, or its coroutine has ended.
    [[nodiscard]] bool is_ready() const noexcept {
        return !coroutine_ || coroutine_.promise().finished();
    }

    /// Runs the coroutine up to its first wait; true if it ended without one. To be called at
    /// most once, and only by who does not co_await the task before.
    bool start() {
        if (coroutine_) coroutine_.resume();
        return is_ready();
    }

    /// The value, once, when is_ready().
    T take() {
        DPFS_ASSERT(is_ready());
        if (coroutine_) return coroutine_.promise().take();
        DPFS_ASSERT(value_.has_value());
        return std::move(*value_);
    }

    /// Awaits a task that was start()ed and did not end at once; `co_await std::move(task)` is
    /// for one that has not been started.
    [[nodiscard]] auto join() noexcept { return Awaiter<true>{*this}; }
    auto operator co_await() && noexcept { return Awaiter<false>{*this}; }

  private:
    explicit Task(T value) : value_(std::move(value)) {}

    template <bool started>
    struct Awaiter {
        explicit Awaiter(Task& awaited) noexcept : task(awaited) {}
        bool await_ready() const noexcept {
            return task.is_ready() && (started || !task.coroutine_);
        }
        bool await_suspend(std::coroutine_handle<> parent) noexcept {
            if constexpr (!started) {
                if (task.start()) return false;
            }
            task.coroutine_.promise().continue_with(parent);
            return true;
        }
        T await_resume() { return task.take(); }

        Task& task;
    };

    detail::ReadyValue<T> value_;
    Handle coroutine_;
};

template <>
class [[nodiscard]] Task<void> {
  public:
    using promise_type = detail::TaskPromise<void>;
    using Handle = std::coroutine_handle<promise_type>;
    using value_type = void;

    static Task ready() { return Task(nullptr); }

    explicit Task(Handle coroutine) noexcept : coroutine_(coroutine) {}
    Task(Task&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
    Task& operator=(Task&&) = delete;
    ~Task() {
        if (coroutine_) coroutine_.destroy();
    }

    [[nodiscard]] bool is_ready() const noexcept {
        return !coroutine_ || coroutine_.promise().finished();
    }
    bool start() {
        if (coroutine_) coroutine_.resume();
        return is_ready();
    }

    auto operator co_await() && noexcept { return Awaiter{*this}; }

  private:
    struct Awaiter {
        explicit Awaiter(Task& awaited) noexcept : task(awaited) {}
        bool await_ready() const noexcept { return !task.coroutine_; }
        bool await_suspend(std::coroutine_handle<> parent) noexcept {
            if (task.start()) return false;
            task.coroutine_.promise().continue_with(parent);
            return true;
        }
        void await_resume() const noexcept {}

        Task& task;
    };

    Handle coroutine_;
};

namespace detail {

template <class T>
Task<T> TaskPromise<T>::get_return_object() noexcept {
    return Task<T>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}

inline Task<void> TaskPromise<void>::get_return_object() noexcept {
    return Task<void>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}

}  // namespace detail
}  // namespace dpfs
