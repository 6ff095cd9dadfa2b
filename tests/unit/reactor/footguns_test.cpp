// SPDX-License-Identifier: Apache-2.0
// Goal: the forms that docs/footguns.md tells us to use do what they look like, with every
// compiler and in every build. Method: each in the smallest coroutine that has it.
#include "reactor_fixture.hpp"

#include <utility>

namespace dpfs::reactor {
namespace {

class Footguns : public testing::Test {
  protected:
    template <class T>
    T run(Task<T> work) {
        return run_to_completion(*reactor_, std::move(work));
    }

    BlockingPool pool_;
    std::unique_ptr<EventLoop> reactor_ = reactor_of(ReactorKind::automatic, pool_);
};

Task<bool> below_three(int& count) {
    co_return ++count < 3;
}

Task<void> count_to_three(int& count) {
    while (true) {
        const bool goes_on = co_await below_three(count);
        if (!goes_on) co_return;
    }
}

TEST_F(Footguns, a_named_result_may_be_a_condition) {
    int count = 0;
    run(count_to_three(count));
    EXPECT_EQ(count, 3);
}

/// Balances to zero when each copy is destroyed once.
class Counted {
  public:
    explicit Counted(int& alive) : alive_(alive) { ++alive_; }
    Counted(const Counted& other) : alive_(other.alive_) { ++alive_; }
    Counted& operator=(const Counted&) = delete;
    ~Counted() { --alive_; }

  private:
    int& alive_;
};

Task<void> call_with_capture(Reactor& reactor, int& alive) {
    const Counted counted(alive);
    const auto call = [counted] { return 1; };
    EXPECT_EQ(co_await reactor.blocking(call), 1);
}

TEST_F(Footguns, a_named_lambda_is_destroyed_once) {
    int alive = 0;
    run(call_with_capture(*reactor_, alive));
    EXPECT_EQ(alive, 0);
}

Task<int> one() {
    co_return 1;
}
Task<int> two() {
    co_return 2;
}

Task<int> either(bool first) {
    Task<int> chosen = first ? one() : two();
    co_return co_await std::move(chosen);
}

TEST_F(Footguns, a_named_task_may_be_one_of_two) {
    EXPECT_EQ(run(either(true)), 1);
    EXPECT_EQ(run(either(false)), 2);
}

Task<void> sleep_for_ever(Reactor& reactor) {
    (void)co_await reactor.sleep(seconds(3600));
}

void destroy_a_sleeper(Reactor& reactor) {
    Task<void> sleeper = sleep_for_ever(reactor);
    sleeper.start();
}

TEST_F(Footguns, a_frame_with_an_operation_in_flight_cannot_be_destroyed) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_DEATH(destroy_a_sleeper(*reactor_), "in_flight");
}

}  // namespace
}  // namespace dpfs::reactor
