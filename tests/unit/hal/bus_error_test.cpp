// SPDX-License-Identifier: Apache-2.0
// A front end takes away the memory that it shared, while a ring in it runs: its device stops
// with one line, the process lives, and others are served. The truncated file is a real one.
#include "hal/vhost_user/bus_error.hpp"

#include "device_fixture.hpp"

#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <unistd.h>

namespace dpfs::hal::test {
namespace {

class BusError : public DeviceTest {};

TEST_F(BusError, puts_zeros_where_a_page_went_away) {
    const UniqueFd file(::memfd_create("dpfs-shrinking", MFD_CLOEXEC));
    ASSERT_EQ(::ftruncate(file.get(), 8192), 0);
    auto mapped = virtio::map_shared(file.get(), 8192, 0);
    ASSERT_TRUE(mapped.has_value());
    const auto lost = std::make_shared<std::atomic<bool>>(false);
    const virtio::Mapping memory = vhost_user::guard(std::move(*mapped), 8192, lost);
    memory.get()[0] = std::byte{1};
    memory.get()[4096] = std::byte{2};
    EXPECT_FALSE(lost->load());

    ASSERT_EQ(::ftruncate(file.get(), 4096), 0);
    volatile std::byte* const second_page = memory.get() + 4096;
    EXPECT_TRUE(second_page[0] == std::byte{0});
    second_page[1] = std::byte{3};
    EXPECT_TRUE(second_page[1] == std::byte{3});
    EXPECT_EQ(memory.get()[0], std::byte{1});
    EXPECT_TRUE(lost->load());
}

/// The largest share of guests with much memory; needs one free huge page (vm.nr_hugepages).
TEST_F(BusError, puts_zeros_where_a_huge_page_went_away) {
    constexpr std::size_t size = std::size_t{2} << 20;
    const UniqueFd file(::memfd_create("dpfs-huge", MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB));
    const bool has_pages =
        file && ::ftruncate(file.get(), size) == 0 && ::fallocate(file.get(), 0, 0, size) == 0;
    if (!has_pages) GTEST_SKIP() << "this machine has no free huge page";
    auto mapped = virtio::map_shared(file.get(), size, 0);
    ASSERT_TRUE(mapped.has_value());
    const auto lost = std::make_shared<std::atomic<bool>>(false);
    const virtio::Mapping memory = vhost_user::guard(std::move(*mapped), size, lost);
    memory.get()[size - 1] = std::byte{1};

    ASSERT_EQ(::ftruncate(file.get(), 0), 0);
    volatile std::byte* const last = memory.get() + (size - 1);
    EXPECT_TRUE(*last == std::byte{0});
    EXPECT_TRUE(lost->load());
}

TEST_F(BusError, stops_the_device_whose_memory_went_away) {
    start_device();
    {
        FrontEnd front_end = connect();
        ASSERT_TRUE(front_end.negotiate(split_features, all_protocol_features));
        auto shrinking = SharedMemory::make(memory_start, memory_size);
        const wire::MemoryRegion region = shrinking->region();
        const int fd = shrinking->fd();
        ASSERT_TRUE(front_end.set_memory_table(std::span(&region, 1), std::span(&fd, 1)));
        const auto queue = DriverQueue::make(
            *shrinking, front_end, {.index = 1, .size = 64, .guest_address = memory_start});
        ASSERT_TRUE((*queue)->start(front_end));
        ASSERT_EQ(::ftruncate(fd, 0), 0);
        (*queue)->kick();  // the driver's own memory must not be touched from here on
        log().wait_for("needs a reset", 1);
        EXPECT_EQ(*front_end.ask_number(MessageId::get_status) & 64U, 64U);
    }
    FrontEnd next = connect_and_share(split_features);
    const auto queue = start_queue(next, 1);
    echo_once(*queue, 0);
    EXPECT_EQ(log().problem_count(), 1) << log().all();
}

}  // namespace
}  // namespace dpfs::hal::test
