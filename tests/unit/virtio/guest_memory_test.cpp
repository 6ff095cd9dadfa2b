// SPDX-License-Identifier: Apache-2.0
// Goal: no address of a guest leads outside the memory it gave us, and a mapping lives exactly
// as long as somebody may use it.
#include "virtio/guest_memory.hpp"

#include "base/iovec_cursor.hpp"
#include "base/unique_fd.hpp"
#include "ring_pair.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <sys/mman.h>
#include <unistd.h>

namespace dpfs::virtio {
namespace {

constexpr std::uint64_t address_max = std::numeric_limits<std::uint64_t>::max();

MemoryRegion region(std::uint64_t guest_address, std::uint64_t size) {
    return {.guest_address = guest_address,
            .user_address = guest_address,
            .size = size,
            .host = map_anonymous(0x10000).value()};
}

UniqueFd make_file(off_t size) {
    UniqueFd file(::memfd_create("guest", MFD_CLOEXEC));
    EXPECT_EQ(::ftruncate(file.get(), size), 0);
    return file;
}

TEST(GuestMemory, translates_a_range_inside_one_region_to_one_iovec) {
    const GuestMemory memory = make_test_memory();
    std::vector<iovec> out;
    ASSERT_TRUE(memory.translate(first_region + 8, 100, out));
    ASSERT_EQ(out.size(), 1U);
    EXPECT_EQ(out[0].iov_base, memory.regions()[0].host.get() + 8);
    EXPECT_EQ(out[0].iov_len, 100U);
}

TEST(GuestMemory, translates_a_range_across_adjacent_regions_to_one_iovec_each) {
    const GuestMemory memory = make_test_memory();
    std::vector<iovec> out;
    ASSERT_TRUE(memory.translate(second_region - 3, 10, out));
    ASSERT_EQ(out.size(), 2U);
    EXPECT_EQ(out[0].iov_len, 3U);
    EXPECT_EQ(out[1].iov_base, memory.regions()[1].host.get());
    EXPECT_EQ(out[1].iov_len, 7U);
}

TEST(GuestMemory, refuses_a_range_that_runs_into_a_gap_and_appends_nothing) {
    const GuestMemory memory = make_test_memory();
    std::vector<iovec> out(1);
    EXPECT_EQ(memory.translate(gap - 1, 2, out).error(), Errno::fault);
    EXPECT_EQ(memory.translate(second_region - 1, region_size + 2, out).error(), Errno::fault);
    EXPECT_EQ(out.size(), 1U);
}

TEST(GuestMemory, refuses_addresses_outside_and_lengths_that_wrap_around) {
    const GuestMemory memory = make_test_memory();
    std::vector<iovec> out;
    EXPECT_FALSE(memory.translate(0, 1, out));
    EXPECT_FALSE(memory.translate(first_region - 1, 2, out));
    EXPECT_FALSE(memory.translate(gap, 1, out));
    EXPECT_FALSE(memory.translate(third_region + region_size, 1, out));
    EXPECT_FALSE(memory.translate(first_region, address_max, out));
    EXPECT_FALSE(memory.translate(address_max, 2, out));
    EXPECT_FALSE(GuestMemory().translate(0, 1, out));
}

TEST(GuestMemory, takes_the_last_byte_of_a_region) {
    const GuestMemory memory = make_test_memory();
    std::vector<iovec> out;
    EXPECT_TRUE(memory.translate(third_region + region_size - 1, 1, out));
}

TEST(GuestMemory, refuses_regions_that_overlap) {
    const GuestMemory memory = GuestMemory().with(region(0x2000, 0x2000)).value();
    EXPECT_EQ(memory.with(region(0x2000, 0x2000)).error(), Errno::exists);
    EXPECT_EQ(memory.with(region(0x1000, 0x1001)).error(), Errno::exists);
    EXPECT_EQ(memory.with(region(0x1000, 0x8000)).error(), Errno::exists);
    EXPECT_EQ(memory.with(region(0x3000, 0x10)).error(), Errno::exists);
    EXPECT_EQ(memory.with(region(0x3000, 0x8000)).error(), Errno::exists);
    EXPECT_TRUE(memory.with(region(0x1000, 0x1000)));
    EXPECT_TRUE(memory.with(region(0x4000, 0x1000)));
}

TEST(GuestMemory, refuses_regions_that_are_empty_unmapped_or_wrap_around) {
    const GuestMemory memory;
    EXPECT_EQ(memory.with(region(0x1000, 0)).error(), Errno::invalid);
    EXPECT_EQ(memory.with({.guest_address = 0, .size = 4096}).error(), Errno::invalid);
    EXPECT_EQ(memory.with(region(address_max - 0xFFF, 0x1001)).error(), Errno::invalid);
    auto user_wraps = region(0x1000, 0x2000);
    user_wraps.user_address = address_max - 0x1000;
    EXPECT_EQ(memory.with(user_wraps).error(), Errno::invalid);
}

TEST(GuestMemory, refuses_a_region_that_is_aligned_for_the_guest_but_not_for_us) {
    auto odd = region(0x1000, 0x1000);
    odd.host = Mapping(odd.host, odd.host.get() + 4);
    EXPECT_EQ(GuestMemory().with(odd).error(), Errno::invalid);
}

TEST(GuestMemory, is_a_value_that_a_change_does_not_change) {
    const GuestMemory before = GuestMemory().with(region(0x1000, 0x1000)).value();
    const GuestMemory after = before.with(region(0x8000, 0x1000)).value();
    EXPECT_EQ(before.regions().size(), 1U);
    EXPECT_EQ(after.without(0x1000, 0x1000)->regions().size(), 1U);
    EXPECT_EQ(after.regions().size(), 2U);
}

TEST(GuestMemory, removes_only_a_region_that_is_exactly_there) {
    const GuestMemory memory = GuestMemory().with(region(0x1000, 0x1000)).value();
    EXPECT_EQ(memory.without(0x1000, 0x2000).error(), Errno::no_entry);
    EXPECT_EQ(memory.without(0x1800, 0x1000).error(), Errno::no_entry);
    EXPECT_EQ(memory.without(0x9000, 0x1000).error(), Errno::no_entry);
    EXPECT_TRUE(memory.without(0x1000, 0x1000));
}

TEST(GuestMemory, unmaps_when_the_last_snapshot_that_has_a_region_is_gone) {
    auto before =
        std::make_unique<GuestMemory>(GuestMemory().with(region(0x1000, 0x1000)).value());
    const std::weak_ptr<std::byte> mapping = before->regions()[0].host;
    auto after = std::make_unique<GuestMemory>(before->without(0x1000, 0x1000).value());
    auto copy = std::make_unique<GuestMemory>(*before);
    before.reset();
    EXPECT_FALSE(mapping.expired());
    copy.reset();
    EXPECT_TRUE(mapping.expired());
}

TEST(GuestMemory, finds_ring_parts_by_guest_and_by_user_address) {
    const GuestMemory memory = make_test_memory();
    const auto by_guest = memory.ring_part(AddressSpace::guest, second_region + 64, 16, 16);
    const auto by_user =
        memory.ring_part(AddressSpace::user, second_region + 64 + user_offset, 16, 16);
    ASSERT_TRUE(by_guest);
    ASSERT_TRUE(by_user);
    EXPECT_EQ(by_guest->bytes.get(), by_user->bytes.get());
    EXPECT_EQ(by_user->guest_address, second_region + 64);
}

TEST(GuestMemory, refuses_ring_parts_that_are_unaligned_unmapped_or_cross_regions) {
    const GuestMemory memory = make_test_memory();
    const auto find = [&](std::uint64_t address, std::uint64_t size) {
        return memory.ring_part(AddressSpace::guest, address, size, 16).error();
    };
    EXPECT_EQ(find(first_region + 8, 16), Errno::invalid);
    EXPECT_EQ(find(gap, 16), Errno::fault);
    EXPECT_EQ(find(second_region - 16, 32), Errno::fault);
    EXPECT_EQ(find(second_region, region_size + 1), Errno::fault);
    EXPECT_EQ(find(second_region, address_max), Errno::fault);
    EXPECT_EQ(memory.ring_part(AddressSpace::user, second_region, 16, 16).error(),
              Errno::fault);
}

TEST(GuestMemory, a_ring_part_keeps_its_mapping) {
    auto memory =
        std::make_unique<GuestMemory>(GuestMemory().with(region(0x1000, 0x1000)).value());
    const auto part = memory->ring_part(AddressSpace::guest, 0x1000, 16, 16).value();
    memory.reset();
    EXPECT_EQ(*part.bytes, std::byte{0});
}

TEST(GuestMemory, knows_the_guest_address_of_its_host_pointers) {
    const GuestMemory memory = make_test_memory();
    std::vector<iovec> out;
    ASSERT_TRUE(memory.translate(second_region + 5, 1, out));
    EXPECT_EQ(memory.guest_address_of(out[0].iov_base), second_region + 5);
    EXPECT_EQ(memory.guest_address_of(&out).error(), Errno::fault);
}

TEST(GuestMemory, reads_and_writes_across_regions) {
    const GuestMemory memory = make_test_memory();
    write_text(memory, second_region - 3, "across");
    EXPECT_EQ(read_text(memory, second_region - 3, 6), "across");
    std::array<std::byte, 4> out;
    EXPECT_EQ(memory.read(gap - 2, out).error(), Errno::fault);
    EXPECT_EQ(memory.write(gap - 2, out).error(), Errno::fault);
}

TEST(MapShared, maps_a_piece_of_a_file_that_need_not_start_on_a_page) {
    const UniqueFd file = make_file(0x4000);
    ASSERT_EQ(::pwrite(file.get(), "here", 4, 0x1010), 4);
    const auto mapping = map_shared(file.get(), 0x1000, 0x1010);
    ASSERT_TRUE(mapping);
    EXPECT_EQ(*mapping->get(), std::byte{'h'});
    *mapping->get() = std::byte{'H'};
    char back = 0;
    ASSERT_EQ(::pread(file.get(), &back, 1, 0x1010), 1);
    EXPECT_EQ(back, 'H');
}

TEST(MapShared, refuses_what_lies_beyond_the_end_of_the_file) {
    const UniqueFd file = make_file(0x4000);
    EXPECT_EQ(map_shared(file.get(), 0x4001, 0).error(), Errno::invalid);
    EXPECT_EQ(map_shared(file.get(), 0x1000, 0x3001).error(), Errno::invalid);
    EXPECT_EQ(map_shared(file.get(), 0, 0).error(), Errno::invalid);
    EXPECT_EQ(map_shared(file.get(), address_max, 0x1000).error(), Errno::invalid);
    EXPECT_EQ(map_shared(file.get(), 0x1000, address_max - 0xFFF).error(), Errno::invalid);
    EXPECT_EQ(map_shared(-1, 0x1000, 0).error(), Errno::bad_descriptor);
    EXPECT_TRUE(map_shared(file.get(), 0x4000, 0));
}

}  // namespace
}  // namespace dpfs::virtio
