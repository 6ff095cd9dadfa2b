// SPDX-License-Identifier: Apache-2.0
// Goal: the main thread hears signals and notifications, and signals first.
#include "daemon/signals.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <thread>

namespace dpfs::daemon {
namespace {

constexpr Duration soon = milliseconds(1);

TEST(Signals, tell_what_was_asked) {
    auto signals = Signals::make();
    ASSERT_TRUE(signals);
    ::raise(SIGUSR1);
    EXPECT_EQ(signals->wait(), Event::statistics);
    ::raise(SIGTERM);
    EXPECT_EQ(signals->wait(), Event::terminate);
    ::raise(SIGINT);
    EXPECT_EQ(signals->wait(), Event::terminate);
}

TEST(Signals, wait_no_longer_than_asked) {
    auto signals = Signals::make();
    ASSERT_TRUE(signals);
    EXPECT_EQ(signals->wait(soon), Event::timed_out);
}

TEST(Signals, make_one_event_of_many_notifications) {
    auto signals = Signals::make();
    ASSERT_TRUE(signals);
    signals->notify();
    signals->notify();
    EXPECT_EQ(signals->wait(), Event::notified);
    EXPECT_EQ(signals->wait(soon), Event::timed_out);
}

TEST(Signals, come_before_notifications) {
    auto signals = Signals::make();
    ASSERT_TRUE(signals);
    signals->notify();
    ::raise(SIGTERM);
    EXPECT_EQ(signals->wait(), Event::terminate);
    EXPECT_EQ(signals->wait(), Event::notified);
}

TEST(Signals, take_notifications_from_other_threads) {
    auto signals = Signals::make();
    ASSERT_TRUE(signals);
    std::thread other([&signals] { signals->notify(); });
    EXPECT_EQ(signals->wait(), Event::notified);
    other.join();
}

}  // namespace
}  // namespace dpfs::daemon
