// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "reactor/loop_statistics.hpp"

#include <cstdint>

namespace dpfs::hal::vhost_user {

/// What one queue has done since its device was made; a copy.
struct QueueStats {
    std::uint64_t requests = 0;     ///< taken from the ring
    std::uint64_t completions = 0;  ///< given back
    std::uint64_t kicks = 0;        ///< notifications from the driver that were read
    std::uint64_t calls = 0;        ///< notifications to the driver
    std::uint64_t polls = 0;        ///< looks at the ring, successful or not
    std::uint64_t bytes_in = 0;     ///< readable bytes of the requests taken
    std::uint64_t bytes_out = 0;    ///< bytes written into requests given back
};

/// The same as the queue's thread keeps it: any thread may read, no locked instruction.
struct QueueCounters {
    reactor::Counter requests;
    reactor::Counter completions;
    reactor::Counter kicks;
    reactor::Counter calls;
    reactor::Counter polls;
    reactor::Counter bytes_in;
    reactor::Counter bytes_out;

    [[nodiscard]] QueueStats read() const noexcept {
        return {
            .requests = requests.value(),
            .completions = completions.value(),
            .kicks = kicks.value(),
            .calls = calls.value(),
            .polls = polls.value(),
            .bytes_in = bytes_in.value(),
            .bytes_out = bytes_out.value(),
        };
    }
};

}  // namespace dpfs::hal::vhost_user
