// SPDX-License-Identifier: Apache-2.0
// Goal: whatever becomes of connections, sessions, leases and the server itself, the NFS back
// end loses nothing that was acknowledged, does nothing twice, and invents nothing.
// Method: the real client and back end against a model server, all on simulated reactors; one
// seed decides everything. Programs hold each answer against what they know, and a history of
// what was asked for is held against what the server has done. DPFS_SIM_SEED=N replays one
// seed, DPFS_SIM_SEEDS=N runs so many of them.
#include "nfs_run.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace dpfs::sim {
namespace {

std::uint64_t number_from_environment(const char* name, std::uint64_t otherwise) {
    const char* const text = std::getenv(name);
    return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

void run_seeds(const NfsScenario& scenario, std::uint64_t default_count) {
    std::uint64_t first = 1;
    std::uint64_t count = number_from_environment("DPFS_SIM_SEEDS", default_count);
    if (const std::uint64_t seed = number_from_environment("DPFS_SIM_SEED", 0); seed != 0) {
        first = seed;
        count = 1;
    }
    for (std::uint64_t seed = first; seed < first + count; ++seed) {
        SCOPED_TRACE("replay with DPFS_SIM_SEED=" + std::to_string(seed));
        NfsRun(seed, scenario).run();
        if (testing::Test::HasFailure()) return;
    }
}

// What docs/back-ends/nfs.md lists as known defects is left out, until it is mended.
constexpr NfsScenario without_known_defects = {
    .counters = false, .state_may_stay = true, .truncation_may_fail = true};

TEST(SimulatedNfs, works_when_nothing_fails) {
    run_seeds({}, 10);
}

TEST(SimulatedNfs, loses_nothing_when_connections_break) {
    run_seeds({.cuts = true}, 40);
}

TEST(SimulatedNfs, waits_when_it_is_asked_to) {
    run_seeds({.delays = true, .short_io = true}, 10);
}

TEST(SimulatedNfs, loses_nothing_with_its_session) {
    run_seeds({.lost_sessions = true}, 20);
}

TEST(SimulatedNfs, loses_nothing_when_the_server_restarts) {
    NfsScenario scenario = without_known_defects;
    scenario.restarts = true;
    run_seeds(scenario, 20);
}

TEST(SimulatedNfs, says_what_it_has_lost_with_its_lease) {
    NfsScenario scenario = without_known_defects;
    scenario.lost_leases = true;
    run_seeds(scenario, 20);
}

TEST(SimulatedNfs, uses_as_many_slots_as_the_server_likes) {
    run_seeds({.slot_targets = true}, 10);
}

/// Not run by itself: it does not come to an end with every seed yet.
TEST(SimulatedNfs, DISABLED_bears_everything_at_once) {
    NfsScenario scenario = without_known_defects;
    scenario.cuts = scenario.restarts = scenario.lost_sessions = scenario.lost_leases = true;
    scenario.delays = scenario.short_io = scenario.slot_targets = true;
    run_seeds(scenario, 20);
}

}  // namespace
}  // namespace dpfs::sim
