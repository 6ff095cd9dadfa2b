// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "reactor/operation.hpp"

#include <cstdint>

namespace dpfs::reactor {

/// Makes the system call that `call` describes, on this thread and as whom it acts now: it may
/// block. Not for OpCode::timeout. Gives what the kernel gave: ≥ 0, or minus errno.
[[nodiscard]] std::int32_t make_system_call(const Arguments& call) noexcept;

}  // namespace dpfs::reactor
