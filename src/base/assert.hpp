// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace dpfs {

/// Prints where and what to standard error and aborts.
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line) noexcept;

}  // namespace dpfs

/// Always on: for programmer errors only. What a peer can cause is a value, never an assertion.
#define DPFS_ASSERT(expression)          \
    ((expression) ? static_cast<void>(0) \
                  : ::dpfs::assertion_failed(#expression, __FILE__, __LINE__))
