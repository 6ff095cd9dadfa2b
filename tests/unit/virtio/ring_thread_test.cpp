// SPDX-License-Identifier: Apache-2.0
// Goal: with driver and device on two threads no wake-up is lost and no data is seen before it
// is there. Method: both sleep whenever they find nothing to do; a bell that does not ring for
// ten seconds is a lost wake-up. To be run under TSan, which checks the ordering of all
// accesses.
#include "ring_pair.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <set>
#include <thread>

namespace dpfs::virtio {
namespace {

using namespace std::chrono_literals;

/// An eventfd in small.
class Bell {
  public:
    void ring() {
        {
            const std::lock_guard lock(mutex_);
            rung_ = true;
        }
        changed_.notify_one();
    }
    /// False: nobody rang for ten seconds.
    bool wait() {
        std::unique_lock lock(mutex_);
        const bool rung = changed_.wait_for(lock, 10s, [this] { return rung_; });
        rung_ = false;
        return rung;
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool rung_ = false;
};

constexpr std::uint32_t request_count = 30'000;
constexpr std::uint64_t slab_size = 64;

/// The device echoes each request's number, plus one.
class EchoDevice {
  public:
    EchoDevice(RingPair& ring, Bell& kick, Bell& notification)
        : ring_(ring), kick_(kick), notification_(notification) {}

    void run() {
        while (served_ < request_count) {
            if (!serve_batch()) return;
            ring_.device->flush();
            if (ring_.device->needs_notification()) notification_.ring();
            if (ring_.device->enable_notifications()) {
                ring_.device->disable_notifications();
                continue;
            }
            if (served_ < request_count && !kick_.wait()) {
                ADD_FAILURE() << "lost kick after " << served_;
                return;
            }
        }
    }

  private:
    bool serve_batch() {
        for (int i = 0; i < 5; ++i) {
            const auto popped = ring_.device->pop(ring_.memory, ring_.chain);
            if (!popped) {
                ADD_FAILURE() << describe(ring_.device->violation());
                return false;
            }
            if (!*popped) return true;
            std::uint32_t number = 0;
            std::memcpy(&number, ring_.chain.readable()[0].iov_base, sizeof(number));
            number += 1;
            std::memcpy(ring_.chain.writable()[0].iov_base, &number, sizeof(number));
            ring_.device->push(ring_.chain.head(), sizeof(number));
            ++served_;
        }
        return true;
    }

    RingPair& ring_;
    Bell& kick_;
    Bell& notification_;
    std::uint32_t served_ = 0;
};

/// Sends numbers and checks that each comes back, plus one.
class NumberDriver {
  public:
    NumberDriver(RingPair& ring, Bell& kick, Bell& notification)
        : ring_(ring), kick_(kick), notification_(notification), sent_by_id_(ring.size) {}

    void run() {
        while (answered_ < request_count) {
            send_batch();
            ring_.driver->publish();
            if (ring_.driver->needs_kick()) kick_.ring();
            ring_.driver->disable_notifications();
            if (take_answers() > 0) continue;  // there is room to send more
            if (ring_.driver->enable_notifications()) continue;
            if (!notification_.wait()) {
                ADD_FAILURE() << "lost notification after " << answered_;
                return;
            }
        }
    }

  private:
    std::uint32_t* number_at(std::uint64_t address) { return ring_.at<std::uint32_t>(address); }

    void send_batch() {
        while (sent_ < request_count && ring_.driver->free_count() >= 2) {
            // Never used by two at a time: there are twice as many slabs as chains.
            const std::uint64_t slab = buffers + (sent_ % (2 * ring_.size)) * slab_size;
            if (busy_slabs_.contains(slab)) return;
            *number_at(slab) = sent_;
            const Segment question{slab, 4};
            const Segment answer{slab + 32, 4};
            const bool indirect = (ring_.features & feature_indirect_desc) != 0;
            const auto id = ring_.driver->add({.readable = std::span(&question, 1),
                                               .writable = std::span(&answer, 1),
                                               .indirect = indirect});
            ASSERT_TRUE(id);
            sent_by_id_[*id] = sent_;
            busy_slabs_.insert(slab);
            ++sent_;
        }
    }

    /// How many there were.
    int take_answers() {
        for (int count = 0;; ++count) {
            const auto used = ring_.driver->poll();
            EXPECT_TRUE(used);
            const std::optional<UsedChain> chain = used.value_or(std::nullopt);
            if (!chain) return count;
            const std::uint32_t number = sent_by_id_[chain->id];
            const std::uint64_t slab = buffers + (number % (2 * ring_.size)) * slab_size;
            EXPECT_EQ(chain->written, 4U);
            EXPECT_EQ(*number_at(slab + 32), number + 1);
            busy_slabs_.erase(slab);
            ++answered_;
        }
    }

    RingPair& ring_;
    Bell& kick_;
    Bell& notification_;
    std::vector<std::uint32_t> sent_by_id_;
    std::set<std::uint64_t> busy_slabs_;
    std::uint32_t sent_ = 0;
    std::uint32_t answered_ = 0;
};

class RingThreads : public testing::TestWithParam<std::tuple<std::uint64_t, int>> {};

INSTANTIATE_TEST_SUITE_P(
    ,
    RingThreads,
    testing::Combine(testing::Values(split,
                                     split | feature_event_idx | feature_indirect_desc,
                                     packed,
                                     packed | feature_event_idx | feature_indirect_desc),
                     testing::Values(2, 16)));

TEST_P(RingThreads, lose_no_wake_up) {
    const auto& [features, size] = GetParam();
    RingPair ring(static_cast<std::uint32_t>(size), features);
    Bell kick;
    Bell notification;
    EchoDevice device(ring, kick, notification);
    NumberDriver driver(ring, kick, notification);
    std::thread device_thread([&] { device.run(); });
    driver.run();
    device_thread.join();
}

/// Two threads that do one step each at the same time, round after round.
class Starter {
  public:
    void meet() {
        const std::uint32_t round = round_.load();
        if (waiting_.fetch_add(1) == 1) {
            waiting_.store(0);
            round_.store(round + 1);
            return;
        }
        // The other may not be running at all: let it.
        for (int spins = 0; round_.load() == round; ++spins) {
            if (spins > 1000) std::this_thread::yield();
        }
    }

  private:
    std::atomic<std::uint32_t> round_ = 0;
    std::atomic<int> waiting_ = 0;
};

class SleepRaces : public testing::TestWithParam<std::uint64_t> {};

INSTANTIATE_TEST_SUITE_P(
    ,
    SleepRaces,
    testing::Values(split, split | feature_event_idx, packed, packed | feature_event_idx));

constexpr int race_count = 5'000;

// 2.7.13.4.1, 2.8.21.3.1: one side publishes and looks for a sleeper while the other lies down
// and looks for work. Without full barriers on both sides, both can miss each other.
TEST_P(SleepRaces, device_that_falls_asleep_sees_a_chain_or_gets_a_kick) {
    RingPair ring(8, GetParam());
    Starter starter;
    bool device_sleeps = false;
    std::thread device([&] {
        for (int i = 0; i < race_count; ++i) {
            ring.device->disable_notifications();
            starter.meet();
            device_sleeps = !ring.device->enable_notifications();
            starter.meet();
            ring.serve(0);
            starter.meet();
        }
    });
    int missed = 0;
    for (int i = 0; i < race_count; ++i) {
        const Segment segment{buffers, 1};
        EXPECT_TRUE(ring.driver->add({.readable = std::span(&segment, 1)}));
        starter.meet();
        ring.driver->publish();
        const bool kicked = ring.driver->needs_kick();
        starter.meet();
        missed += device_sleeps && !kicked;
        starter.meet();
        EXPECT_TRUE(ring.take_used());
    }
    device.join();
    EXPECT_EQ(missed, 0);
}

TEST_P(SleepRaces, driver_that_falls_asleep_sees_a_used_chain_or_is_notified) {
    RingPair ring(8, GetParam());
    Starter starter;
    bool driver_sleeps = false;
    std::thread driver([&] {
        for (int i = 0; i < race_count; ++i) {
            ring.offer({{buffers, 1}}, {});
            ring.driver->disable_notifications();
            starter.meet();
            starter.meet();
            driver_sleeps = !ring.driver->enable_notifications();
            starter.meet();
            EXPECT_TRUE(ring.take_used());
            starter.meet();
        }
    });
    int missed = 0;
    for (int i = 0; i < race_count; ++i) {
        starter.meet();
        EXPECT_EQ(ring.device->pop(ring.memory, ring.chain), true);
        ring.device->push(ring.chain.head(), 0);
        starter.meet();
        ring.device->flush();
        const bool notified = ring.device->needs_notification();
        starter.meet();
        missed += driver_sleeps && !notified;
        starter.meet();
    }
    driver.join();
    EXPECT_EQ(missed, 0);
}

}  // namespace
}  // namespace dpfs::virtio
