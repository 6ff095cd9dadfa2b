// SPDX-License-Identifier: Apache-2.0
// Goal: a run of the simulated NFS finds what it is there to find; one that cannot fail says
// nothing.
// Method: the model server is made to lie, in one way at a time, and seeds are run until the
// check that is meant for it speaks.
#include "nfs_run.hpp"

#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <string_view>

namespace dpfs::sim {
namespace {

constexpr std::uint64_t seed_count_max = 20;

/// Whether a run with this seed fails, and says so with `text`; its failures are no others'.
bool complains(std::uint64_t seed, const NfsScenario& scenario, std::string_view text) {
    testing::TestPartResultArray results;
    {
        const testing::ScopedFakeTestPartResultReporter reporter(
            testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD, &results);
        NfsRun(seed, scenario).run();
    }
    for (int i = 0; i < results.size(); ++i) {
        const testing::TestPartResult& each = results.GetTestPartResult(i);
        const std::string_view message = each.message();
        if (each.failed() && message.find(text) != std::string_view::npos) return true;
    }
    return false;
}

void expect_found(const NfsScenario& scenario, std::string_view text) {
    for (std::uint64_t seed = 1; seed <= seed_count_max; ++seed) {
        if (complains(seed, scenario, text)) return;
    }
    ADD_FAILURE() << "no run of " << seed_count_max << " says '" << text << "'";
}

TEST(NfsOracle, finds_a_wrong_byte) {
    expect_found({.lies = {.wrong_byte = true}}, ": a wrong byte at ");
}

TEST(NfsOracle, finds_data_that_were_synced_and_lost) {
    expect_found({.counters = false, .lies = {.drops_commits = true}}, ": a wrong byte at ");
}

TEST(NfsOracle, finds_a_count_that_was_synced_and_lost) {
    expect_found({.lies = {.drops_commits = true}}, " at the server, ");
}

TEST(NfsOracle, finds_an_operation_that_is_lost) {
    expect_found({.lies = {.claims_removals = true}}, "answered, and not done");
}

TEST(NfsOracle, finds_an_operation_that_is_done_and_denied) {
    expect_found({.cuts = true, .lies = {.repeats = true}}, ", and was done");
}

TEST(NfsOracle, finds_two_who_have_the_lock) {
    expect_found({.lies = {.ignores_locks = true}}, " have the lock");
}

TEST(NfsOracle, finds_state_that_is_left_at_the_server) {
    expect_found({.lies = {.keeps_opens = true}}, "state was left at the server");
}

TEST(NfsOracle, finds_a_name_that_no_listing_has) {
    expect_found({.counters = false, .lies = {.hides_names = true}}, "*names");
}

TEST(NfsOracle, finds_a_name_that_a_crash_has_taken) {
    expect_found({.lies = {.loses_names = true}}, " is lost: ENOENT");
}

TEST(NfsOracle, finds_a_slot_number_that_is_used_twice) {
    expect_found({.cuts = true, .lies = {.mixes_requests = true}},
                 "a slot's number was used for two requests");
}

TEST(NfsOracle, finds_slots_that_were_not_wished_for) {
    expect_found({.slot_targets = true, .lies = {.denies_slots = true}},
                 "slots were used that were not to be");
}

TEST(NfsOracle, holds_requests_against_the_wish_for_fewer_slots) {
    NfsRun run(1, {.slot_targets = true});
    run.run();
    EXPECT_GT(run.judged_target_count(), 0U);
}

TEST(NfsOracle, finds_an_end_that_takes_too_long) {
    expect_found({.slow_stop = true}, "it took too long to stop");
}

}  // namespace
}  // namespace dpfs::sim
