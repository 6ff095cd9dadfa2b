// SPDX-License-Identifier: Apache-2.0
// Goal: the parts of the mirror that need no file system.
// Method: each alone, through its own interface.
#include "base/slot_table.hpp"
#include "fs/ids/id_map.hpp"
#include "fs/mirror/pace.hpp"
#include "fs/mirror/xattr_names.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace dpfs::mirror {
namespace {

// --- SlotTable

struct Thing {
    int value = 0;
    int recycled_count = 0;
    void recycle() noexcept {
        value = 0;
        ++recycled_count;
    }
};
using Things = SlotTable<Thing>;

TEST(SlotTable, finds_what_was_published_and_nothing_else) {
    Things things(10);
    auto made = things.make().value();
    EXPECT_FALSE(things.pin(made.id()));
    made->value = 7;

    things.publish(made);

    EXPECT_EQ((*things.pin(made.id()))->value, 7);
    EXPECT_EQ(things.pin(made.id() + 1).error(), Errno::stale);
    EXPECT_EQ(things.pin(made.id() | std::uint64_t{1} << 40).error(), Errno::stale);
    EXPECT_EQ(things.pin(0).error(), Errno::stale);
    things.retire(made);
}

TEST(SlotTable, keeps_a_retired_object_for_its_pins) {
    Things things(10);
    auto made = things.make().value();
    things.publish(made);
    const std::uint64_t id = made.id();
    auto second = things.pin(id).value();
    made->value = 7;

    EXPECT_TRUE(things.retire(made));
    EXPECT_FALSE(things.retire(second));
    made.release();

    EXPECT_FALSE(things.pin(id));
    EXPECT_EQ(second->value, 7);
    Thing& object = *second;
    second.release();
    EXPECT_EQ(object.recycled_count, 1);
}

TEST(SlotTable, gives_a_place_again_under_another_number) {
    Things things(1);
    auto first = things.make().value();
    things.publish(first);
    const std::uint64_t id = first.id();
    EXPECT_EQ(things.make().error(), Errno::too_many_files_system);
    things.retire(first);
    first.release();

    auto second = things.make().value();
    things.publish(second);

    EXPECT_NE(second.id(), id);
    EXPECT_FALSE(things.pin(id));
    things.retire(second);
}

TEST(SlotTable, takes_what_was_never_published_back) {
    Things things(1);
    things.make().value().release();

    EXPECT_TRUE(things.make());
    EXPECT_EQ(things.count(), 0u);
}

TEST(SlotTable, keeps_others_out_while_one_is_exclusive) {
    Things things(1);
    auto made = things.make().value();
    things.publish(made);
    auto second = made.share();
    EXPECT_FALSE(things.try_exclusive(made));
    second.release();
    ASSERT_TRUE(things.try_exclusive(made));
    std::atomic<bool> found = false;
    std::thread other([&]() { found = things.pin(made.id()).has_value(); });

    made->value = 1;
    EXPECT_FALSE(found);
    things.end_exclusive(made);
    other.join();

    EXPECT_TRUE(found);
    things.retire(made);
}

TEST(SlotTable, is_sound_when_threads_make_find_and_retire) {
    Things things(64);
    std::atomic<std::uint64_t> last = 0;
    std::atomic<int> bad = 0;
    const auto work = [&]() {
        for (int i = 0; i < 20'000; ++i) {
            if (auto found = things.pin(last)) {
                if ((*found)->value != 1) ++bad;
                if (i % 3 == 0) things.retire(*found);
            }
            auto made = things.make();
            if (!made) continue;
            (*made)->value = 1;
            things.publish(*made);
            const std::uint64_t before = last.exchange(made->id());
            if (auto old = things.pin(before)) things.retire(*old);
        }
    };

    std::thread one(work);
    std::thread two(work);
    one.join();
    two.join();

    EXPECT_EQ(bad, 0);
    things.for_each([&](Things::Pin& pin) { things.retire(pin); });
    EXPECT_EQ(things.count(), 0u);
}

// --- IdMap

TEST(IdMap, changes_nothing_when_empty) {
    const ids::IdMap map({});
    EXPECT_EQ(map.to_host(4'000'000'000).value(), 4'000'000'000u);
    EXPECT_EQ(map.to_guest(7), 7u);
}

TEST(IdMap, maps_ranges_to_their_last_id) {
    const ids::IdMap map(
        {{.guest = 0, .host = 1000, .count = 10}, {.guest = 100, .host = 5000, .count = 1}});
    EXPECT_EQ(map.to_host(9).value(), 1009u);
    EXPECT_EQ(map.to_host(10).error(), Errno::overflow);
    EXPECT_EQ(map.to_host(100).value(), 5000u);
    EXPECT_EQ(map.to_guest(1009), 9u);
    EXPECT_EQ(map.to_guest(1010), ids::IdMap::overflow_id);
    EXPECT_EQ(map.to_guest(0), ids::IdMap::overflow_id);
}

TEST(IdMap, says_why_ranges_make_no_map) {
    EXPECT_EQ(ids::IdMap::check({{.guest = 0, .host = 5, .count = 1}}), "");
    EXPECT_EQ(ids::IdMap::check({{.guest = 0, .host = 5, .count = 0}}), "range 1 is empty");
    EXPECT_EQ(ids::IdMap::check({{.guest = 0, .host = 5, .count = 10},
                                 {.guest = 10, .host = 14, .count = 1}}),
              "ranges 1 and 2 overlap");
    EXPECT_NE(ids::IdMap::check({{.guest = 1, .host = 0, .count = ~0u}}), "");
}

// --- XattrNames

TEST(XattrNames, passes_everything_without_rules) {
    const XattrNames names({});
    EXPECT_EQ(names.to_host("user.a"), "user.a");
    EXPECT_EQ(names.to_guest("trusted.b"), "trusted.b");
}

TEST(XattrNames, shows_only_what_the_tenant_can_have_made) {
    using Action = XattrRule::Action;
    const XattrNames names(
        {{.action = Action::pass, .match = "user.free.", .host_prefix = ""},
         {.action = Action::refuse, .match = "system.", .host_prefix = ""},
         {.action = Action::prefix, .match = "", .host_prefix = "user.vfs."}});
    EXPECT_EQ(names.to_host("user.free.x"), "user.free.x");
    EXPECT_EQ(names.to_host("system.x"), std::nullopt);
    EXPECT_EQ(names.to_host("trusted.x"), "user.vfs.trusted.x");
    EXPECT_EQ(names.to_guest("user.vfs.trusted.x"), "trusted.x");
    EXPECT_EQ(names.to_guest("trusted.x"), std::nullopt);
    EXPECT_EQ(names.to_guest("user.vfs.system.x"), std::nullopt);
    EXPECT_EQ(names.to_guest("user.vfs."), std::nullopt);
}

// --- Pace

using Watch = Pace::Watch;
constexpr std::int64_t ms = 1'000'000;
constexpr std::int64_t soon = ms;  // before any time for a retry

void took_async(Pace& pace, int count, std::int64_t ns) {
    for (int i = 0; i < count; ++i) pace.took_async(ns, 0);
}
/// A pace that has been told of a stall in which the thread slept.
void stall(Pace& pace, std::int64_t now_ns) {
    pace.took_in_place(3 * ms, now_ns, 0, Watch::slept);
}

TEST(Pace, starts_in_place_and_stays_there_while_calls_are_quick) {
    Pace pace;
    for (int i = 0; i < 1000; ++i) pace.took_in_place(1000, i, 0, Watch::unwatched);
    EXPECT_TRUE(pace.in_place(soon));
    EXPECT_FALSE(pace.is_suspicious());
}

TEST(Pace, only_suspects_after_a_stall_that_may_be_the_schedulers) {
    Pace pace;
    pace.took_in_place(3 * ms, 0, 0, Watch::unwatched);
    EXPECT_TRUE(pace.in_place(soon));
    EXPECT_TRUE(pace.is_suspicious());
}

TEST(Pace, turns_asynchronous_when_a_watched_call_sleeps_long) {
    Pace pace;
    pace.took_in_place(3 * ms, 0, 0, Watch::unwatched);
    pace.took_in_place(3 * ms, 0, 0, Watch::slept);
    EXPECT_FALSE(pace.in_place(soon));
}

TEST(Pace, does_not_mind_a_watched_call_that_was_preempted) {
    Pace pace;
    pace.took_in_place(3 * ms, 0, 0, Watch::unwatched);
    for (int i = 0; i < 100; ++i) pace.took_in_place(3 * ms, 0, 0, Watch::ran);
    EXPECT_TRUE(pace.in_place(soon));
}

TEST(Pace, loses_its_suspicion_after_a_while) {
    Pace pace;
    pace.took_in_place(3 * ms, 0, 0, Watch::unwatched);
    for (int i = 0; i < 256; ++i) pace.took_in_place(1000, 0, 0, Watch::ran);
    EXPECT_FALSE(pace.is_suspicious());
}

TEST(Pace, needs_no_second_proof_of_a_very_long_stall) {
    Pace pace;
    pace.took_in_place(100 * ms, 0, 0, Watch::unwatched);
    EXPECT_FALSE(pace.in_place(soon));
}

TEST(Pace, turns_asynchronous_after_several_slow_sleeps_close_together) {
    Pace pace;
    for (int i = 0; i < 7; ++i) pace.took_in_place(ms / 10, ms, 0, Watch::slept);
    EXPECT_TRUE(pace.in_place(soon));
    pace.took_in_place(ms / 10, ms, 0, Watch::slept);
    EXPECT_FALSE(pace.in_place(soon));
}

TEST(Pace, forgives_slow_calls_far_apart) {
    Pace pace;
    for (int i = 0; i < 100; ++i) pace.took_in_place(ms / 10, 20LL * i * ms, 0, Watch::slept);
    EXPECT_TRUE(pace.in_place(soon));
}

TEST(Pace, allows_for_the_size_of_what_was_moved) {
    Pace pace;
    for (int i = 0; i < 100; ++i) pace.took_in_place(ms, ms, 1 << 20, Watch::slept);
    EXPECT_TRUE(pace.in_place(soon));
}

TEST(Pace, turns_back_after_a_row_of_quick_calls_and_watches_the_next) {
    Pace pace;
    stall(pace, 0);
    took_async(pace, 31, ms / 10);
    EXPECT_FALSE(pace.in_place(soon));
    took_async(pace, 1, ms / 10);
    EXPECT_TRUE(pace.in_place(soon));
    EXPECT_TRUE(pace.is_suspicious());
}

TEST(Pace, begins_the_row_anew_after_a_slow_call) {
    Pace pace;
    stall(pace, 0);
    took_async(pace, 31, ms / 10);
    took_async(pace, 1, 5 * ms);
    took_async(pace, 31, ms / 10);
    EXPECT_FALSE(pace.in_place(soon));
}

TEST(Pace, tries_again_after_a_time) {
    Pace pace;
    stall(pace, 0);
    EXPECT_FALSE(pace.in_place(99 * ms));
    EXPECT_TRUE(pace.in_place(100 * ms));
    EXPECT_TRUE(pace.is_suspicious());
}

TEST(Pace, asks_for_longer_rows_and_times_after_wrong_guesses) {
    Pace pace;
    stall(pace, 0);
    took_async(pace, 32, ms / 10);
    stall(pace, 50 * ms);
    took_async(pace, 63, ms / 10);
    EXPECT_FALSE(pace.in_place(249 * ms));
    took_async(pace, 1, ms / 10);
    EXPECT_TRUE(pace.in_place(51 * ms));
}

}  // namespace
}  // namespace dpfs::mirror
