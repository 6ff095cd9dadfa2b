// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdio>
#include <cstdlib>
#include <source_location>

namespace dpfs::fuzz {

/// What an oracle demands: where it does not hold, the process ends and libFuzzer keeps the
/// input.
inline void require(bool condition,
                    const std::source_location& where = std::source_location::current()) {
    if (condition) return;
    std::fprintf(stderr, "%s:%u: %s\n", where.file_name(), where.line(), where.function_name());
    std::abort();
}

}  // namespace dpfs::fuzz
