// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/errno.hpp"

#include <expected>
#include <utility>

namespace dpfs {

/// A value, or the errno that says why there is none.
template <class T>
using Result = std::expected<T, Errno>;

/// The failed result: `return fail(Errno::no_entry);`
[[nodiscard]] inline std::unexpected<Errno> fail(Errno error) noexcept {
    return std::unexpected<Errno>(error);
}

/// The failed result of a libc call that has just returned -1: reads `errno`.
[[nodiscard]] inline std::unexpected<Errno> fail_errno() noexcept {
    return std::unexpected<Errno>(static_cast<Errno>(errno));
}

/// Turns the kernel's "value, or minus errno" (io_uring, libaio) into a Result.
[[nodiscard]] inline Result<std::uint32_t> from_kernel(std::int32_t result) noexcept {
    if (result < 0) return fail(static_cast<Errno>(-result));
    return static_cast<std::uint32_t>(result);
}

}  // namespace dpfs
