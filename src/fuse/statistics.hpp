// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fuse/wire.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>
#include <vector>

namespace dpfs::fuse {

/// A number that one thread counts up and any thread may read: no locked instruction.
class Counter {
  public:
    void add_one() noexcept {
        value_.store(value_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t get() const noexcept {
        return value_.load(std::memory_order_relaxed);
    }

  private:
    std::atomic<std::uint64_t> value_ = 0;
};

struct OperationStatistics {
    std::string_view name;  ///< "READ"; of a string that lives for ever
    wire::Opcode opcode;
    std::uint64_t count;   ///< answered, errors included
    std::uint64_t errors;  ///< answered with an error, also those that are everyday (ENOENT)
};

struct SessionStatistics {
    std::vector<OperationStatistics> operations;  ///< those that have been asked for
    std::uint64_t unknown = 0;                    ///< opcodes that this server does not know
    std::uint64_t malformed = 0;  ///< requests without a header, or without room for a reply's
};

/// One reactor's share of them.
struct Counters {
    struct PerOperation {
        Counter count;
        Counter errors;
    };
    std::array<PerOperation, wire::opcode_count> operations;
    Counter unknown;
    Counter malformed;
};

}  // namespace dpfs::fuse
