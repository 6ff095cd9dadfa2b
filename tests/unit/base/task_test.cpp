// SPDX-License-Identifier: Apache-2.0
// Goal: Task and or_return do what every handler relies on, also in unoptimised and sanitizer
// builds. Method: coroutines that end at once, wait on a hand-made event, or fail.
#include "base/task.hpp"

#include "base/or_return.hpp"
#include "hand_fired_event.hpp"

#include <gtest/gtest.h>

namespace dpfs {
namespace {

/// Counts the frames' locals that are alive.
class Counted {
  public:
    explicit Counted(int& alive) : alive_(alive) { ++alive_; }
    Counted(const Counted&) = delete;
    ~Counted() { --alive_; }

  private:
    int& alive_;
};

Task<int> at_once(int value) {
    co_return value;
}

Task<int> sum_of_ready_awaits(int count) {
    int sum = 0;
    for (int i = 0; i < count; ++i) sum += co_await at_once(1);
    co_return sum;
}

Task<int> after(HandFiredEvent& event, int value) {
    co_await event;
    co_return value;
}

Task<int> twice(HandFiredEvent& event) {
    const int first = co_await after(event, 1);
    const int second = co_await after(event, 2);
    co_return first * 10 + second;
}

Task<Result<int>> fails(Errno error) {
    co_return fail(error);
}

Task<Result<int>> passes_on(Errno error, int& alive, bool& went_on) {
    const Counted local(alive);
    const int value = co_await or_return(co_await fails(error));
    went_on = true;
    co_return value;
}

Task<Result<int>> fails_after(HandFiredEvent& event, Errno error) {
    co_await event;
    co_await or_return(Result<void>(fail(error)));
    co_return 0;
}

Task<Result<int>> outer(HandFiredEvent& event) {
    const Result<int> inner = co_await fails_after(event, Errno::stale);
    if (!inner) co_return fail(inner.error());
    co_return 1;
}

TEST(Task, carries_a_ready_value_without_a_coroutine) {
    auto task = Task<int>::ready(7);
    EXPECT_TRUE(task.is_ready());
    EXPECT_EQ(task.take(), 7);
}

TEST(Task, is_lazy) {
    auto task = at_once(3);
    EXPECT_FALSE(task.is_ready());
    EXPECT_TRUE(task.start());
    EXPECT_EQ(task.take(), 3);
}

TEST(Task, a_million_ready_awaits_do_not_grow_the_stack) {
    auto task = sum_of_ready_awaits(1'000'000);
    ASSERT_TRUE(task.start());
    EXPECT_EQ(task.take(), 1'000'000);
}

TEST(Task, resumes_its_parent_when_the_child_ends_later) {
    HandFiredEvent event;
    auto task = twice(event);
    EXPECT_FALSE(task.start());
    event.fire();
    EXPECT_FALSE(task.is_ready());
    event.fire();
    ASSERT_TRUE(task.is_ready());
    EXPECT_EQ(task.take(), 12);
}

TEST(OrReturn, ends_the_coroutine_with_the_error) {
    int alive = 0;
    bool went_on = false;
    {
        auto task = passes_on(Errno::no_entry, alive, went_on);
        ASSERT_TRUE(task.start());
        EXPECT_EQ(task.take().error(), Errno::no_entry);
    }
    EXPECT_FALSE(went_on);
    EXPECT_EQ(alive, 0);
}

TEST(OrReturn, resumes_the_parent_when_it_ends_a_coroutine_later) {
    HandFiredEvent event;
    auto task = outer(event);
    EXPECT_FALSE(task.start());
    event.fire();
    ASSERT_TRUE(task.is_ready());
    EXPECT_EQ(task.take().error(), Errno::stale);
}

}  // namespace
}  // namespace dpfs
