// SPDX-License-Identifier: Apache-2.0
// Goal: guest memory that is registered with reactors follows the guest's, and neither outlives
// it nor stands in its way. Method: a device on io_uring whose front end adds and removes
// memory; what is registered is in the log, what is left is in /proc/self.
#include "device_fixture.hpp"

#include <array>
#include <cstring>

namespace dpfs::hal::test {
namespace {

constexpr std::uint64_t extra_start = 1ULL << 32;
constexpr std::uint64_t extra_size = 4 << 20;
constexpr std::string_view mapping = "memfd:dpfs-driver";

class FixedMemoryTest : public DeviceTest {
  protected:
    void start(reactor::ReactorKind kind = reactor::ReactorKind::uring) {
        start_device({.reactor_count = 2,
                      .request_queue_count = 2,
                      .fixed_buffers = true,
                      .kind = kind});
    }
};

TEST_F(FixedMemoryTest, is_registered_while_the_guest_works) {
    start();
    FrontEnd front_end = connect_and_share(split_features);
    const auto queue = start_queue(front_end, 1);
    echo_once(*queue, 0);
    log().wait_for("1 regions of guest memory are registered", 1);
    for (std::uint32_t i = 0; i < 20; ++i) echo_once(*queue, i);
    EXPECT_EQ(log().problem_count(), 0) << log().all();
}

TEST_F(FixedMemoryTest, follows_what_comes_and_goes) {
    start();
    FrontEnd front_end = connect_and_share(split_features);
    const auto queue = start_queue(front_end, 1);
    log().wait_for("1 regions of guest memory are registered", 1);
    const std::size_t mappings = mapping_count(mapping);
    const std::size_t fds = open_fd_count();
    for (int i = 1; i <= 10; ++i) {
        const auto extra = SharedMemory::make(extra_start, extra_size);
        ASSERT_TRUE(extra.has_value());
        ASSERT_TRUE(front_end.add_memory_region(extra->region(), extra->fd()));
        log().wait_for("2 regions of guest memory are registered", i);
        ASSERT_TRUE(front_end.remove_memory_region(extra->region()));
        log().wait_for("guest memory went; 1 regions are registered", i);
        echo_once(*queue, 0);
    }
    EXPECT_EQ(mapping_count(mapping), mappings);
    EXPECT_EQ(open_fd_count(), fds);
    EXPECT_EQ(log().problem_count(), 0) << log().all();
}

/// Changes that do not wait for the last one to be caught up with.
TEST_F(FixedMemoryTest, may_change_faster_than_it_is_registered) {
    start();
    FrontEnd front_end = connect_and_share(split_features);
    const auto queue = start_queue(front_end, 1);
    for (int i = 0; i < 30; ++i) {
        const auto extra = SharedMemory::make(extra_start, extra_size);
        ASSERT_TRUE(front_end.add_memory_region(extra->region(), extra->fd()));
        ASSERT_TRUE(front_end.remove_memory_region(extra->region()));
    }
    echo_once(*queue, 0);
    stop_device();
    EXPECT_EQ(log().problem_count(), 0) << log().all();
}

TEST_F(FixedMemoryTest, is_let_go_with_each_of_many_front_ends) {
    start();
    {
        const FrontEnd warm_up = connect_and_share(split_features);
        log().wait_for("1 regions of guest memory are registered", 1);
    }
    log().wait_for("the front end has left", 1);
    const std::size_t mappings = mapping_count(mapping);
    std::size_t fds = 0;
    for (int i = 0; i < 20; ++i) {
        FrontEnd front_end = connect_and_share(split_features);
        const auto queue = start_queue(front_end, 1);
        echo_once(*queue, 0);
        log().wait_for("1 regions of guest memory are registered", i + 2);
        if (i == 0) fds = open_fd_count();
        ASSERT_LE(open_fd_count(), fds + 1) << i;
    }
    stop_device();
    EXPECT_LE(mapping_count(mapping), mappings);
    EXPECT_EQ(log().problem_count(), 0) << log().all();
}

TEST_F(FixedMemoryTest, is_done_without_where_there_is_no_io_uring) {
    start(reactor::ReactorKind::epoll);
    FrontEnd front_end = connect_and_share(split_features);
    const auto queue = start_queue(front_end, 1);
    log().wait_for("goes on without", 1);
    for (std::uint32_t i = 0; i < 20; ++i) echo_once(*queue, i);
    const auto extra = SharedMemory::make(extra_start, extra_size);
    ASSERT_TRUE(front_end.add_memory_region(extra->region(), extra->fd()));
    echo_once(*queue, 0);
    stop_device();
    EXPECT_EQ(log().count("goes on without"), 1) << log().all();
}

/// A front end that lies about its memory gets no registration, and nothing worse.
TEST_F(FixedMemoryTest, that_is_taken_away_is_not_registered) {
    start();
    FrontEnd front_end = connect_and_share(split_features);
    const auto queue = start_queue(front_end, 1);
    log().wait_for("1 regions of guest memory are registered", 1);
    const auto extra = SharedMemory::make(extra_start, 64 << 20);
    ASSERT_TRUE(extra.has_value());
    ASSERT_TRUE(front_end.add_memory_region(extra->region(), extra->fd()));
    ASSERT_EQ(::ftruncate(extra->fd(), 0), 0);
    echo_once(*queue, 0);
    stop_device();
}

}  // namespace
}  // namespace dpfs::hal::test
