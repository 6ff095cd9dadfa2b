// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "nfs_counter_program.hpp"
#include "nfs_history.hpp"
#include "nfs_model_server.hpp"
#include "nfs_mount.hpp"
#include "nfs_program.hpp"
#include "nfs_rules.hpp"
#include "reactor/sim_world.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

namespace dpfs::sim {

/// What may happen in a run; the seed decides what of it does, and when.
struct NfsScenario {
    bool cuts = false;  ///< connections break; answers are late, silent, doubled, in pieces
    /// Requests take their time at the server, and find themselves there when they come again.
    bool slow_execution = false;
    bool restarts = false;       ///< the server dies and comes back, with a grace period
    bool lost_sessions = false;  ///< it forgets sessions
    bool lost_leases = false;    ///< it forgets clients; it is away for longer than a lease
    bool delays = false;         ///< DELAY, where nothing has been done yet
    bool late_delays = false;    ///< DELAY behind something that has been done
    bool short_io = false;       ///< READ and WRITE move less than was asked for
    bool slot_targets = false;   ///< the number of slots that is wished for changes
    bool interruptions = false;  ///< programs are interrupted while they wait
    bool time_limit = false;     ///< soft: requests end when they take too long
    bool hostile = false;        ///< answers are spoilt: no wrong byte, but errors
    bool stops = false;          ///< the tenants go away in the middle of it all
    bool counters = true;        ///< programs that count under locks
    bool no_state_stays = true;  ///< off where leases are lost, or answers are no answers
    ModelLies lies = {};         ///< planted, to be found
    bool slow_stop = false;      ///< planted: a mount's end takes too long
};

/// One run: a server, two tenants with programs, a time of troubles, a time of checks.
class NfsRun {
  public:
    NfsRun(std::uint64_t seed, const NfsScenario& scenario);
    ~NfsRun();
    void run();
    /// Requests that came long enough after a wish for fewer slots to be held against it.
    [[nodiscard]] std::uint64_t judged_target_count() {
        return server_.core().judged_target_count;
    }

  private:
    Task<bool> live();
    Task<bool> start_mounts();
    void make_programs();
    Task<void> work();
    /// A run that goes on and on without getting anywhere has failed.
    Task<void> watch();
    Task<bool> live_watched();
    Task<void> trouble();
    Task<void> make_trouble();
    Task<void> be_away(bool restart);
    Task<void> stop_some_time();
    Task<void> stop_mounts();
    Task<void> wait_until_quiet();
    Task<void> wish_for_few_slots();
    Task<void> check();
    void choose_behaviour();
    void choose_faults();
    void calm_down();
    [[nodiscard]] std::unique_ptr<NfsMount> make_mount(const std::string& name);
    [[nodiscard]] Duration up_to(Duration longest);

    class Sink;
    std::unique_ptr<LogSink> sink_;
    Logger log_;
    const NfsScenario scenario_;
    reactor::SimWorld world_;
    NfsHistory history_;
    std::vector<reactor::Reactor*> reactors_;
    ModelServer server_;
    NfsRules rules_;
    NfsCounter counter_;
    std::vector<std::unique_ptr<NfsMount>> mounts_;
    std::vector<std::unique_ptr<NfsProgram>> programs_;
    bool is_left_to_lease_ = false;  // what a mount had open when it was stopped
    bool calm_ = false;
    reactor::CancelSource trouble_over_;
    reactor::CancelSource all_over_;
};

}  // namespace dpfs::sim
