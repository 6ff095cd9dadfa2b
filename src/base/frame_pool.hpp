// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace dpfs {

/// Memory for coroutine frames: per-thread free lists by size class, so that the data path does
/// not call malloc. A frame may be released on another thread than the one that made it; it
/// then joins that thread's list. Sanitizer builds use malloc, so that a use after free is
/// seen.
[[nodiscard]] void* allocate_frame(std::size_t size);
void release_frame(void* frame, std::size_t size) noexcept;

}  // namespace dpfs
