// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"

#include <coroutine>

namespace dpfs {

/// `auto value = co_await or_return(result);` gives the value, or ends this coroutine (a
/// Task<Result<…>>) with the error. The frame's destructors run when its owner lets it go,
/// which is right after the owner has the error. A macro cannot do this: GCC 12 crashes on
/// co_await inside a statement expression.
template <class T>
class [[nodiscard]] OrReturn {
  public:
    explicit OrReturn(Result<T>&& result) noexcept : result_(std::move(result)) {}

    bool await_ready() const noexcept { return result_.has_value(); }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> self) noexcept {
        self.promise().return_error(result_.error());
        self.promise().finish();
    }
    T await_resume() {
        if constexpr (!std::is_void_v<T>) return std::move(*result_);
    }

  private:
    Result<T> result_;
};

template <class T>
OrReturn<T> or_return(Result<T> result) noexcept {
    return OrReturn<T>(std::move(result));
}

/// For `co_await or_return(fail(…))`-like uses of a result without a value.
inline OrReturn<void> or_return(std::unexpected<Errno> error) noexcept {
    return OrReturn<void>(Result<void>(error));
}

}  // namespace dpfs
