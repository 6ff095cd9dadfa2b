// SPDX-License-Identifier: Apache-2.0
#include "fs/nfs/copy_buffers.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

namespace dpfs::nfs {
namespace {

constexpr std::size_t step = CopyBuffers::size_step;

TEST(CopyBuffers, a_copy_gets_the_memory_of_the_one_before) {
    CopyBuffers buffers(8 * step);
    std::byte* const first = buffers.take(2 * step).data();
    EXPECT_EQ(buffers.spare_size(), 2 * step);
    const auto again = buffers.take(2 * step - 1);  // of the same class
    EXPECT_EQ(again.data(), first);
    EXPECT_EQ(again.size(), 2 * step - 1);
    EXPECT_EQ(buffers.spare_size(), 0U);
}

TEST(CopyBuffers, memory_that_is_in_use_is_nobody_elses) {
    CopyBuffers buffers(8 * step);
    const auto one = buffers.take(step);
    const auto other = buffers.take(step);
    std::fill_n(one.data(), step, std::byte{1});
    std::fill_n(other.data(), step, std::byte{2});
    EXPECT_EQ(std::count(one.data(), one.data() + step, std::byte{1}),
              static_cast<std::ptrdiff_t>(step));
}

TEST(CopyBuffers, no_more_waits_than_there_is_room_for) {
    CopyBuffers buffers(2 * step);
    {
        const auto one = buffers.take(step);
        const auto two = buffers.take(step);
        const auto three = buffers.take(step);
    }
    EXPECT_EQ(buffers.spare_size(), 2 * step);
}

TEST(CopyBuffers, a_size_that_is_not_used_any_more_makes_room_for_the_one_that_is) {
    CopyBuffers buffers(4 * step);
    {
        const auto one = buffers.take(2 * step);
        const auto two = buffers.take(2 * step);
    }
    std::byte* const larger = buffers.take(4 * step).data();
    EXPECT_EQ(buffers.spare_size(), 4 * step);
    EXPECT_EQ(buffers.take(4 * step).data(), larger);
}

TEST(CopyBuffers, small_and_very_large_ones_do_not_wait) {
    CopyBuffers buffers(std::size_t{1} << 30);
    static_cast<void>(buffers.take(step - 1));
    static_cast<void>(buffers.take(CopyBuffers::kept_size_max + 1));
    static_cast<void>(buffers.take(0));
    EXPECT_EQ(buffers.spare_size(), 0U);
}

TEST(CopyBuffers, nothing_waits_after_a_trim) {
    CopyBuffers buffers(8 * step);
    static_cast<void>(buffers.take(step));
    static_cast<void>(buffers.take(3 * step));
    EXPECT_EQ(buffers.spare_size(), 4 * step);
    buffers.trim();
    EXPECT_EQ(buffers.spare_size(), 0U);
}

TEST(CopyBuffers, a_moved_buffer_is_given_back_once) {
    CopyBuffers buffers(8 * step);
    {
        auto from = buffers.take(step);
        std::byte* const memory = from.data();
        CopyBuffers::Buffer to = std::move(from);
        EXPECT_EQ(to.data(), memory);
        CopyBuffers::Buffer last;
        last = std::move(to);
        EXPECT_EQ(last.size(), step);
    }
    EXPECT_EQ(buffers.spare_size(), step);
}

}  // namespace
}  // namespace dpfs::nfs
