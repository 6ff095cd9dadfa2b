// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/log.hpp"
#include "nfs_history.hpp"
#include "nfs_model_server.hpp"
#include "reactor/sim_random.hpp"

#include <optional>

namespace dpfs::sim {

/// What the programs of one run have in common: the dice, the history, and which errors may be
/// the scenario's doing instead of the file system's.
struct NfsRules {
    reactor::SimRandom& random;
    NfsHistory& history;
    ModelServer& server;
    Logger log;
    std::uint32_t interruptions = 0;  ///< in a thousand calls
    bool has_time_limit = false;      ///< requests may end with ETIMEDOUT
    bool hostile = false;             ///< answers are spoilt: any error, but no wrong byte
    bool stopping = false;            ///< the tenant has gone: nobody waits for anything

    /// Whether an operation may have ended with `error`. What it was to do may be done or not
    /// then.
    [[nodiscard]] bool allows(Errno error) const noexcept {
        if (hostile) return true;
        if (error == Errno::timed_out) return has_time_limit;
        if (error == Errno::shut_down) return stopping;
        const bool is_interruption = error == Errno::canceled || error == Errno::interrupted;
        return is_interruption && (interruptions > 0 || stopping);
    }
    /// Whether what ended with `error` may still be done.
    [[nodiscard]] static bool is_given_up(Errno error) noexcept {
        return error == Errno::canceled || error == Errno::interrupted ||
               error == Errno::timed_out || error == Errno::shut_down;
    }
    /// Whether the next call is interrupted, and when.
    [[nodiscard]] std::optional<Duration> interruption() const {
        if (!random.chance(interruptions)) return std::nullopt;
        return microseconds(static_cast<std::int64_t>(1 + random.below(2000)));
    }
    /// How long a program thinks before its next step.
    [[nodiscard]] Duration thought() const {
        const std::uint64_t longest = random.chance(50) ? 500'000 : 5'000;
        return microseconds(static_cast<std::int64_t>(random.below(longest)));
    }
};

}  // namespace dpfs::sim
