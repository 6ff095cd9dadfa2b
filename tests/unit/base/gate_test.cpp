// SPDX-License-Identifier: Apache-2.0
// Goal: close() returns only when all work has left, and nothing enters after it has begun.
#include "base/gate.hpp"

#include "hand_fired_event.hpp"

#include <gtest/gtest.h>

namespace dpfs {
namespace {

Task<void> wait_for(HandFiredEvent& event) {
    co_await event;
}

TEST(Gate, closes_at_once_when_empty) {
    Gate gate;
    auto closed = gate.close();
    EXPECT_TRUE(closed.start());
}

TEST(Gate, close_waits_for_the_work_inside) {
    Gate gate;
    HandFiredEvent event;
    ASSERT_TRUE(gate.spawn(wait_for(event)));
    auto closed = gate.close();
    EXPECT_FALSE(closed.start());
    event.fire();
    EXPECT_TRUE(closed.is_ready());
    EXPECT_EQ(gate.count(), 0U);
}

TEST(Gate, refuses_work_once_it_is_closing) {
    Gate gate;
    HandFiredEvent event;
    auto closed = gate.close();
    ASSERT_TRUE(closed.start());
    EXPECT_FALSE(gate.spawn(wait_for(event)));
    EXPECT_FALSE(gate.try_enter());
}

TEST(GateDeathTest, asserts_that_it_is_empty_when_destroyed) {
    EXPECT_DEATH(
        {
            Gate gate;
            [[maybe_unused]] const bool entered = gate.try_enter();
        },
        "count_ == 0");
}

}  // namespace
}  // namespace dpfs
