// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/assert.hpp"
#include "base/task.hpp"
#include "base/time.hpp"
#include "reactor/reactor.hpp"
#include "reactor/sim_random.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <sys/socket.h>
#include <vector>

namespace dpfs::reactor {

class SimReactor;

/// Where connect() leads in a simulation that has its own servers. Sockets of the system's
/// would do, but what is sent through them arrives when the kernel gets to it, which is not
/// the same in each run.
class SimNetwork {
  public:
    /// Makes `fd`, a socket that is to be connected to `address`, one end of a connection. 0,
    /// or minus errno.
    virtual std::int32_t connect(int fd, const sockaddr& address) noexcept = 0;

  protected:
    ~SimNetwork() = default;
};

/// What may go wrong in a simulation, and how often: chances in a thousand for each operation
/// that the fault can hit. All zero: nothing fails, but times and order still vary.
struct SimFaults {
    std::uint32_t short_io = 0;  ///< readv, writev move fewer bytes than they could
    std::uint32_t io_error = 0;  ///< readv, writev, fsync, fallocate: EIO, nothing done
    std::uint32_t no_space = 0;  ///< writev, fallocate, making names: ENOSPC, nothing done
    std::uint32_t dropped = 0;   ///< sendmsg on message-preserving sockets: sent, never arrives
    std::uint32_t late = 0;      ///< completes after up to late_max instead of latency_max
    Duration latency_max = microseconds(100);
    Duration late_max = milliseconds(200);
};

/// Several reactors on one thread, in virtual time: one seed decides which of them runs next,
/// in which order its coroutines go on, when each operation completes and which of them fail.
/// The same seed replays the same run, as long as the operations' own outcomes do (use files
/// and sockets that nobody else touches).
///
/// System calls are real, made at the operation's virtual time; only waiting is simulated.
/// Calls for the blocking pool are made in turn on the same thread.
///
/// Thread    one, for the world and all its reactors.
class SimWorld {
  public:
    explicit SimWorld(std::uint64_t seed, const SimFaults& faults = {});
    ~SimWorld();
    SimWorld(const SimWorld&) = delete;
    SimWorld& operator=(const SimWorld&) = delete;

    /// A reactor of this world; it lives as long as the world.
    Reactor& add_reactor();

    [[nodiscard]] std::uint64_t seed() const noexcept { return seed_; }
    [[nodiscard]] Instant now() const noexcept { return now_; }
    [[nodiscard]] SimRandom& random() noexcept { return random_; }
    /// May be changed while it runs: a phase of faults, then a phase of checks.
    [[nodiscard]] SimFaults& faults() noexcept { return faults_; }
    /// nullptr (as at first): connect() is the system's. It outlives its use.
    void set_network(SimNetwork* network) noexcept { network_ = network; }
    [[nodiscard]] SimNetwork* network() const noexcept { return network_; }

    /// Runs the world until `task`, started on `reactor`, has ended, and gives its value. Where
    /// it never can, because everything waits for something that nobody will do, the process
    /// ends with a message that names the seed and what is waited for.
    template <class T>
    T run(Reactor& reactor, Task<T> task) {
        std::optional<T> value;
        Task<void> root = start_there(reactor, std::move(task), value);
        run_root(root);
        DPFS_ASSERT(value.has_value());
        return std::move(*value);
    }

  private:
    template <class T>
    static Task<void> start_there(Reactor& reactor, Task<T> task, std::optional<T>& value) {
        co_await Reactor::switch_to(reactor);
        value.emplace(co_await std::move(task));
    }

    void run_root(Task<void>& root);
    /// Lets every reactor, or else the clock, go on.
    void advance();
    [[noreturn]] void stuck() const;
    bool step_all();

    const std::uint64_t seed_;
    SimRandom random_;
    SimFaults faults_;
    SimNetwork* network_ = nullptr;
    Instant now_ = {1'000'000'000};  // so that subtracting a little stays a positive time
    std::vector<std::unique_ptr<SimReactor>> reactors_;
};

}  // namespace dpfs::reactor
