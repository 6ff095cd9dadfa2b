// SPDX-License-Identifier: Apache-2.0
// Goal: entries are written whole or not at all, never beyond what the tenant asked for,
// whatever its buffers look like.
#include "fuse/directory_writer.hpp"

#include "fake_file_system.hpp"
#include "fuse/wire_file.hpp"
#include "fuse/wire_inode.hpp"
#include "message.hpp"
#include "session_fixture.hpp"

#include <gtest/gtest.h>

namespace dpfs::fuse::test {
namespace {

/// Room in buffers of the given sizes, each its own allocation.
class Room {
  public:
    explicit Room(const std::vector<std::size_t>& sizes) {
        for (const std::size_t size : sizes) {
            memory_.push_back(std::make_unique<std::byte[]>(size));
            buffers_.push_back({memory_.back().get(), size});
        }
    }
    [[nodiscard]] IovecCursor cursor() const { return IovecCursor(buffers_); }

  private:
    std::vector<std::unique_ptr<std::byte[]>> memory_;
    std::vector<iovec> buffers_;
};

DirectoryWriter::Item item(std::string_view name) {
    return {.name = name, .ino = 3, .type = 8, .next_offset = 4};
}

TEST(DirectoryWriter, pads_entries_to_8_bytes) {
    const Room room({4096});
    DirectoryWriter writer(room.cursor(), 4096, false);
    EXPECT_TRUE(writer.add(item("12345678")));
    EXPECT_EQ(writer.size(), 32U);
    EXPECT_TRUE(writer.add(item("123456789")));
    EXPECT_EQ(writer.size(), 32U + 40U);
}

TEST(DirectoryWriter, fills_the_room_to_the_last_byte) {
    const Room room({32});
    DirectoryWriter writer(room.cursor(), 4096, false);
    EXPECT_TRUE(writer.has_room_for(8));
    EXPECT_FALSE(writer.has_room_for(9));
    EXPECT_FALSE(writer.add(item("123456789")));
    EXPECT_EQ(writer.size(), 0U);
    EXPECT_TRUE(writer.add(item("12345678")));
    EXPECT_FALSE(writer.has_room_for(1));
    EXPECT_FALSE(writer.add(item("1")));
    EXPECT_EQ(writer.size(), 32U);
}

TEST(DirectoryWriter, writes_no_more_than_was_asked_for) {
    const Room room({4096});
    DirectoryWriter writer(room.cursor(), 63, false);
    EXPECT_TRUE(writer.add(item("a")));
    EXPECT_FALSE(writer.add(item("b")));
    EXPECT_EQ(writer.size(), 32U);
}

TEST(DirectoryWriter, has_no_room_in_nothing) {
    const Room room({});
    EXPECT_FALSE(DirectoryWriter(room.cursor(), 4096, false).has_room_for(1));
    EXPECT_FALSE(DirectoryWriter(room.cursor(), 0, true).has_room_for(1));
}

TEST(DirectoryWriter, needs_128_bytes_more_for_an_entry_with_attributes) {
    const Room room({159 + 160});
    DirectoryWriter writer(room.cursor(), 4096, true);
    EXPECT_TRUE(writer.plus());
    EXPECT_TRUE(writer.add(item("name"), FakeFileSystem::entry()));
    EXPECT_EQ(writer.size(), 160U);
    EXPECT_FALSE(writer.add(item("name"), FakeFileSystem::entry()));
}

TEST(DirectoryWriter, writes_across_buffers) {
    const Room scattered(std::vector<std::size_t>(64, 1));
    const Room whole({64});
    DirectoryWriter one(scattered.cursor(), 64, false);
    DirectoryWriter other(whole.cursor(), 64, false);
    EXPECT_TRUE(one.add(item("abc")));
    EXPECT_TRUE(other.add(item("abc")));
    Bytes left(32);
    Bytes right(32);
    EXPECT_TRUE(scattered.cursor().copy_out(left));
    EXPECT_TRUE(whole.cursor().copy_out(right));
    EXPECT_EQ(left, right);
}

Bytes list(wire::Opcode opcode, std::uint32_t size) {
    const wire::ReadIn in{.fh = 1,
                          .offset = 0,
                          .size = size,
                          .read_flags = 0,
                          .lock_owner = 0,
                          .flags = 0,
                          .padding = 0};
    return make_request(opcode, Message().add(in));
}

TEST(Listing, stops_at_the_reply_even_if_more_was_asked_for) {
    SessionFixture fixture;
    fixture.mount();
    fixture.files.entry_count = 1000;
    const auto request = fixture.ask(list(wire::Opcode::readdir, 0xffff'ffff), 16 + 100);
    EXPECT_EQ(request->size, 16U + 96U);
}

TEST(Listing, keeps_entries_that_came_before_an_error) {
    // Their references have been given: thrown away, they would never be given back.
    SessionFixture fixture;
    fixture.mount();
    fixture.files.error = Errno::io_error;
    const auto request = fixture.ask(list(wire::Opcode::readdirplus, 4096));
    EXPECT_EQ(request->out_header().error, 0);
    EXPECT_EQ(request->size, 16U + 3 * 160U);
}

TEST(Listing, ends_with_an_empty_reply) {
    SessionFixture fixture;
    fixture.mount();
    fixture.files.entry_count = 0;
    const auto request = fixture.ask(list(wire::Opcode::readdir, 4096));
    EXPECT_EQ(request->size, 16U);
    EXPECT_EQ(request->out_header().error, 0);
}

}  // namespace
}  // namespace dpfs::fuse::test
