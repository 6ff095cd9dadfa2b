// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "bench/target.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace dpfs::bench {

/// What the process behind a device has used up to now.
struct ServerUse {
    std::int64_t cpu_ns = 0;       ///< user and system, exact
    std::uint64_t user_ticks = 0;  ///< the kernel's own estimate, for the ratio of the two
    std::uint64_t system_ticks = 0;
    std::optional<std::uint64_t> instructions;  ///< where the machine counts them
};

[[nodiscard]] ServerUse operator-(const ServerUse& after, const ServerUse& before);

/// Reads CPU time and instruction counters of the processes that serve some targets: of who
/// listens on the socket, and all its children (a server may fork into a sandbox); of a floor,
/// its threads. A process that serves several targets counts once.
///
/// Thread    one at a time.
class ServerMeter {
  public:
    /// `server_pid` 0: each socket's own. Targets without a process that can be seen are left
    /// out.
    ServerMeter(const std::vector<const Target*>& targets, pid_t server_pid);

    [[nodiscard]] ServerUse sample() const;
    /// Whether there is anything to read.
    [[nodiscard]] bool sees_a_server() const noexcept { return !sources_.empty(); }

  private:
    struct Source {
        clockid_t clock = {};
        std::string stat_path;
    };
    void add_process(pid_t pid);
    void add_thread_counter(pid_t thread);

    std::vector<Source> sources_;
    std::vector<pid_t> seen_;
    std::vector<UniqueFd> counters_;
    bool counts_ = true;  // instructions, of all threads
};

/// Of the process that listens at the other end of a connected socket. Errors: as getsockopt.
Result<pid_t> peer_pid(int socket);

}  // namespace dpfs::bench
