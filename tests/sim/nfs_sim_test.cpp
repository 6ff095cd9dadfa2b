// SPDX-License-Identifier: Apache-2.0
// Goal: whatever becomes of connections, sessions, leases and the server itself, the NFS back
// end loses nothing that was acknowledged, does nothing twice, and invents nothing.
// Method: the real client and back end against a model server, all on simulated reactors; one
// seed decides everything. Programs hold each answer against what they know, and a history of
// what was asked for is held against what the server has done. DPFS_SIM_SEED=N replays one
// seed, DPFS_SIM_SEEDS=N runs so many of them from DPFS_SIM_FIRST on,
// DPFS_SIM_FAULTS=cuts,restarts says which faults there are.
#include "nfs_run.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <string>
#include <string_view>

namespace dpfs::sim {
namespace {

std::uint64_t number_from_environment(const char* name, std::uint64_t otherwise) {
    const char* const text = std::getenv(name);
    return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

struct NamedFault {
    std::string_view name;
    bool NfsScenario::* fault;
};
constexpr std::array named_faults = {
    NamedFault{"cuts", &NfsScenario::cuts},
    NamedFault{"slow_execution", &NfsScenario::slow_execution},
    NamedFault{"restarts", &NfsScenario::restarts},
    NamedFault{"lost_sessions", &NfsScenario::lost_sessions},
    NamedFault{"lost_leases", &NfsScenario::lost_leases},
    NamedFault{"delays", &NfsScenario::delays},
    NamedFault{"late_delays", &NfsScenario::late_delays},
    NamedFault{"short_io", &NfsScenario::short_io},
    NamedFault{"slot_targets", &NfsScenario::slot_targets},
    NamedFault{"interruptions", &NfsScenario::interruptions},
    NamedFault{"time_limit", &NfsScenario::time_limit},
    NamedFault{"hostile", &NfsScenario::hostile},
    NamedFault{"stops", &NfsScenario::stops},
};

/// The scenario, or what the environment asks for instead.
NfsScenario scenario_or_asked(NfsScenario scenario) {
    const char* const asked = std::getenv("DPFS_SIM_FAULTS");
    if (asked == nullptr) return scenario;
    const std::string list = "," + std::string(asked) + ",";
    for (const NamedFault& each : named_faults) {
        scenario.*each.fault = list.find("," + std::string(each.name) + ",") != list.npos;
    }
    return scenario;
}

void run_seeds(NfsScenario scenario, std::uint64_t default_count) {
    scenario = scenario_or_asked(scenario);
    std::uint64_t first = number_from_environment("DPFS_SIM_FIRST", 1);
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

TEST(SimulatedNfs, works_when_nothing_fails) {
    run_seeds({}, 5);
}

TEST(SimulatedNfs, loses_nothing_when_connections_break) {
    run_seeds({.cuts = true}, 15);
}

TEST(SimulatedNfs, waits_when_it_is_asked_to) {
    run_seeds({.delays = true, .short_io = true}, 5);
}

TEST(SimulatedNfs, loses_nothing_with_its_session) {
    run_seeds({.lost_sessions = true}, 10);
}

TEST(SimulatedNfs, loses_nothing_when_the_server_restarts) {
    run_seeds({.restarts = true}, 10);
}

TEST(SimulatedNfs, says_what_it_has_lost_with_its_lease) {
    run_seeds({.lost_leases = true, .no_state_stays = false}, 10);
}

TEST(SimulatedNfs, uses_as_many_slots_as_the_server_likes) {
    run_seeds({.slot_targets = true}, 5);
}

TEST(SimulatedNfs, finds_requests_that_are_still_under_way) {
    run_seeds({.cuts = true, .slow_execution = true}, 10);
}

TEST(SimulatedNfs, waits_behind_what_has_been_done) {
    run_seeds({.late_delays = true}, 5);
}

TEST(SimulatedNfs, stops_whether_the_server_is_there_or_not) {
    run_seeds({.cuts = true, .restarts = true, .stops = true}, 10);
}

TEST(SimulatedNfs, makes_no_wrong_byte_of_a_spoilt_answer) {
    run_seeds({.hostile = true, .counters = false, .no_state_stays = false}, 10);
}

TEST(SimulatedNfs, bears_everything_at_once) {
    run_seeds({.cuts = true,
               .slow_execution = true,
               .restarts = true,
               .lost_sessions = true,
               .lost_leases = true,
               .delays = true,
               .short_io = true,
               .slot_targets = true},
              10);
}

TEST(SimulatedNfs, gives_up_when_it_is_interrupted) {
    run_seeds({.cuts = true, .interruptions = true}, 10);
}

TEST(SimulatedNfs, gives_up_when_it_takes_too_long) {
    run_seeds({.cuts = true, .restarts = true, .time_limit = true}, 10);
}

}  // namespace
}  // namespace dpfs::sim
