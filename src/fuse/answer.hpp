// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fuse/call.hpp"
#include "fuse/operations.hpp"

#include <utility>

namespace dpfs::fuse {

[[nodiscard]] inline Answer refuse(Errno error) {
    return Answer::ready(fail(error));
}

/// Writes what a file system gave into the call's reply, and gives the payload's size.
template <class T>
using Writer = Result<std::size_t> (*)(Call&, const T&);

namespace detail {

template <class T>
Answer answer_later(Call& call, Task<Result<T>> started, Writer<T> writer) {
    const Result<T> result = co_await started.join();
    if (!result) co_return fail(result.error());
    co_return writer(call, *result);
}

inline Answer answer_later(Task<Result<void>> started) {
    const Result<void> result = co_await started.join();
    if (!result) co_return fail(result.error());
    co_return std::size_t{0};
}

}  // namespace detail

/// Turns a file system's task into a handler's answer. What is there at once is written at
/// once, without a frame; else a coroutine waits for it.
template <class T>
Answer answer(Call& call, Task<Result<T>> task, Writer<T> writer) {
    if (!task.start()) return detail::answer_later(call, std::move(task), writer);
    const Result<T> result = task.take();
    if (!result) return refuse(result.error());
    return Answer::ready(writer(call, *result));
}

/// For replies without a payload.
inline Answer answer(Task<Result<void>> task) {
    if (!task.start()) return detail::answer_later(std::move(task));
    const Result<void> result = task.take();
    if (!result) return refuse(result.error());
    return Answer::ready(std::size_t{0});
}

}  // namespace dpfs::fuse
