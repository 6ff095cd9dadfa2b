// SPDX-License-Identifier: Apache-2.0
// Goal: a page that we write during a migration is marked, and no bit outside the log is
// touched.
#include "virtio/dirty_log.hpp"

#include "ring_pair.hpp"

#include <gtest/gtest.h>

namespace dpfs::virtio {
namespace {

constexpr std::uint64_t page = DirtyLog::page_size;

struct Log {
    explicit Log(std::uint64_t size)
        : bits(map_anonymous(size + 1).value()),
          log(std::make_shared<const DirtyLog>(bits, size)) {}

    /// Whether a page is marked; the mark is taken away, as a front end does.
    bool take(std::uint64_t address) const {
        std::byte& byte = bits.get()[address / page / 8];
        const auto bit = std::byte{1} << (address / page % 8);
        const bool marked = (byte & bit) != std::byte{0};
        byte &= ~bit;
        return marked;
    }
    /// Whether nothing is marked in the first `size` bytes of the log.
    bool clean(std::uint64_t size) const {
        return std::all_of(
            bits.get(), bits.get() + size, [](std::byte b) { return b == std::byte{0}; });
    }

    Mapping bits;
    std::shared_ptr<const DirtyLog> log;
};

// Covers guest addresses up to 16 MiB: the first two regions of the test memory.
constexpr std::uint64_t log_size = 512;

TEST(DirtyLog, marks_each_page_that_a_range_touches) {
    const Log log(log_size);
    EXPECT_TRUE(log.log->mark(page * 9 - 1, page + 2));
    EXPECT_EQ(log.bits.get()[1], std::byte{0b111});
    EXPECT_TRUE(log.take(page * 8) && log.take(page * 9) && log.take(page * 10));
    EXPECT_TRUE(log.clean(log_size));
}

TEST(DirtyLog, marks_nothing_for_an_empty_range) {
    const Log log(log_size);
    EXPECT_TRUE(log.log->mark(page, 0));
    EXPECT_TRUE(log.clean(log_size));
}

TEST(DirtyLog, reports_pages_beyond_its_end_and_does_not_touch_what_follows) {
    const Log log(1);
    EXPECT_TRUE(log.log->mark(page * 7, page));
    EXPECT_FALSE(log.log->mark(page * 7, page + 1));
    EXPECT_FALSE(log.log->mark(~0ULL, 1));
    EXPECT_FALSE(log.log->mark(~0ULL, 2));
    EXPECT_EQ(log.bits.get()[1], std::byte{0});
}

TEST(DirtyLog, marks_of_a_chain_only_what_was_written) {
    const GuestMemory memory = make_test_memory();
    const Log log(log_size);
    std::vector<iovec> writable;
    ASSERT_TRUE(memory.translate(buffers, 100, writable));
    ASSERT_TRUE(memory.translate(buffers + 4 * page, 2 * page, writable));
    EXPECT_TRUE(log.log->mark_buffers(memory, writable, 101));
    EXPECT_TRUE(log.take(buffers));
    EXPECT_TRUE(log.take(buffers + 4 * page));
    EXPECT_TRUE(log.clean(log_size));
}

TEST(DirtyLog, reports_buffers_that_are_of_no_known_memory) {
    const Log log(log_size);
    char foreign = 0;
    const iovec buffer{&foreign, 1};
    EXPECT_FALSE(log.log->mark_buffers(make_test_memory(), std::span(&buffer, 1), 1));
}

TEST(DirtyLog, split_ring_marks_used_entries_index_and_event) {
    RingPair ring(1024, split | feature_event_idx);
    const Log log(log_size);
    ring.device->attach_log(log.log);
    ring.offer({}, {{buffers, 8}});
    ring.serve(8);
    EXPECT_TRUE(log.take(ring.layout.addresses.device));
    EXPECT_TRUE(log.clean(log_size));
    EXPECT_FALSE(ring.device->enable_notifications());
    // avail_event lies behind 1024 entries of 8 bytes: two pages on.
    EXPECT_TRUE(log.take(ring.layout.addresses.device + 4 + 8ULL * 1024));
    EXPECT_TRUE(log.clean(log_size));
}

TEST(DirtyLog, packed_ring_marks_descriptors_and_its_event_structure) {
    RingPair ring(1024, packed);
    const Log log(log_size);
    ring.device->attach_log(log.log);
    ring.offer({}, {{buffers, 8}});
    ring.serve(8);
    EXPECT_TRUE(log.take(ring.layout.addresses.descriptors));
    EXPECT_TRUE(log.clean(log_size));
    ring.device->disable_notifications();
    EXPECT_TRUE(log.take(ring.layout.addresses.device));
    EXPECT_TRUE(log.clean(log_size));
}

}  // namespace
}  // namespace dpfs::virtio
