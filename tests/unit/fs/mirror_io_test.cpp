// SPDX-License-Identifier: Apache-2.0
// Goal: data goes between the file and the request's memory, whole and in its place.
// Method: requests through fuse::FileSystem; the file is compared from the host's side.
#include "mirror_fixture.hpp"

#include <climits>

#include <fcntl.h>
#include <filesystem>
#include <random>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

namespace dpfs::mirror {
namespace {

using fuse::FileHandle;
using fuse::NodeId;
using fuse::root_node;

struct Opened {
    NodeId node;
    FileHandle handle;
};

class MirrorIo : public MirrorTest {
  protected:
    Opened open(const std::string& name, std::uint32_t flags = O_RDWR) {
        const NodeId node = guest_->lookup(root_node, name)->node;
        return {node, guest_->open(node, flags).value()};
    }
    static std::string random_text(std::size_t size) {
        std::mt19937 random(42);
        std::string text(size, ' ');
        for (char& c : text) c = static_cast<char>('a' + random() % 26);
        return text;
    }
    void drop_from_cache(const std::string& name) {
        const UniqueFd fd(::open(host(name).c_str(), O_RDONLY));
        ::fdatasync(fd.get());
        ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);
    }
};
DPFS_ON_ALL_SETTINGS(MirrorIo);

TEST_P(MirrorIo, reads_what_is_there_and_no_more) {
    host_write("file", "hello, world");
    const auto [node, handle] = open("file");

    EXPECT_EQ(guest_->read(node, handle, 0, 5).value(), "hello");
    EXPECT_EQ(guest_->read(node, handle, 7, 100).value(), "world");
    EXPECT_EQ(guest_->read(node, handle, 12, 10).value(), "");
    EXPECT_EQ(guest_->read(node, handle, 1 << 30, 10).value(), "");
}

TEST_P(MirrorIo, writes_in_its_place) {
    host_write("file", "0123456789");
    const auto [node, handle] = open("file");

    EXPECT_EQ(guest_->write(node, handle, 3, "abc").value(), 3u);
    EXPECT_EQ(guest_->write(node, handle, 12, "z").value(), 1u);

    EXPECT_EQ(host_read("file"), std::string("012abc6789\0\0z", 13));
}

TEST_P(MirrorIo, reads_what_is_partly_cached_completely) {
    constexpr std::size_t size = 1 << 20;
    const std::string text = random_text(size);
    host_write("file", text);
    drop_from_cache("file");
    const auto [node, handle] = open("file");
    // A page in the middle of what is asked for is in memory, what is around it is not.
    ASSERT_EQ(guest_->read(node, handle, size / 2, 4096).value(), text.substr(size / 2, 4096));

    EXPECT_EQ(guest_->read(node, handle, 100, size).value(), text.substr(100));
}

TEST_P(MirrorIo, moves_more_buffers_than_one_system_call_takes) {
    constexpr std::size_t count = IOV_MAX * 2 + 7;
    std::string text = random_text(count * 3);
    host_write("file", "");
    const auto [node, handle] = open("file");
    std::vector<iovec> parts;
    parts.reserve(count);
    for (std::size_t i = 0; i < count; ++i) parts.push_back({text.data() + i * 3, 3});
    const auto size = static_cast<std::uint32_t>(text.size());
    const fuse::WriteRequest write = {.offset = 0,
                                      .size = size,
                                      .flags = 0,
                                      .from_page_cache = false,
                                      .kill_suid_gid = false};
    ASSERT_EQ(guest_->run(fs().write(guest_->context, node, handle, write, parts)).value(),
              text.size());
    EXPECT_EQ(host_read("file"), text);

    std::string back(text.size(), '?');
    for (std::size_t i = 0; i < count; ++i) parts[i].iov_base = back.data() + i * 3;
    const fuse::ReadRequest read = {.offset = 0, .size = size, .flags = 0};
    ASSERT_EQ(guest_->run(fs().read(guest_->context, node, handle, read, parts)).value(),
              text.size());
    EXPECT_EQ(back, text);
}

TEST_P(MirrorIo, appends_where_the_file_ends_now) {
    host_write("file", "one ");
    const auto [node, handle] = open("file", O_WRONLY | O_APPEND);
    // Another guest, or the host, has appended since this one has asked for the size.
    host_write("file", "one two ");

    ASSERT_TRUE(guest_->write(node, handle, 4, "three", O_WRONLY | O_APPEND));

    EXPECT_EQ(host_read("file"), "one two three");
}

TEST_P(MirrorIo, writes_mapped_pages_back_in_their_place_although_it_is_open_for_appending) {
    host_write("file", "0123456789");
    const auto [node, handle] = open("file", O_RDWR | O_APPEND);
    std::string data = "xy";
    const std::array from = {iovec{data.data(), data.size()}};
    const fuse::WriteRequest request = {.offset = 2,
                                        .size = 2,
                                        .flags = O_RDWR | O_APPEND,
                                        .from_page_cache = true,
                                        .kill_suid_gid = false};

    ASSERT_TRUE(guest_->run(fs().write(guest_->context, node, handle, request, from)));

    EXPECT_EQ(host_read("file"), "01xy456789");
}

TEST_P(MirrorIo, says_ebadf_for_what_a_handle_is_not_open_for) {
    host_write("file", "data");
    const auto [node, handle] = open("file", O_RDONLY);
    const auto writer = guest_->open(node, O_WRONLY).value();
    const auto dir = guest_->opendir(root_node).value();

    EXPECT_EQ(guest_->write(node, handle, 0, "x").error(), Errno::bad_descriptor);
    EXPECT_EQ(guest_->read(node, writer, 0, 1).error(), Errno::bad_descriptor);
    EXPECT_EQ(guest_->read(root_node, dir, 0, 1).error(), Errno::bad_descriptor);
    EXPECT_EQ(guest_->read(root_node, handle, 0, 1).error(), Errno::bad_descriptor);
    EXPECT_EQ(guest_->read(node, FileHandle{0}, 0, 1).error(), Errno::bad_descriptor);
    EXPECT_EQ(guest_->read(node, FileHandle{~std::uint64_t{0}}, 0, 1).error(),
              Errno::bad_descriptor);
}

TEST_P(MirrorIo, opens_for_reading_too_where_the_tenant_collects_writes) {
    host_write("file", "data");
    serve({.writeback = true});
    ASSERT_TRUE(guest_->init(std::uint64_t{1} << 16));  // FUSE_WRITEBACK_CACHE
    const auto [node, handle] = open("file", O_WRONLY | O_APPEND);

    EXPECT_EQ(guest_->read(node, handle, 0, 4).value(), "data");
    ASSERT_TRUE(guest_->write(node, handle, 1, "x", O_WRONLY | O_APPEND));
    EXPECT_EQ(host_read("file"), "dxta");
}

TEST_P(MirrorIo, releases_a_handle_once) {
    host_write("file", "data");
    const auto [node, handle] = open("file");

    ASSERT_TRUE(guest_->release(node, handle));

    EXPECT_EQ(guest_->release(node, handle).error(), Errno::bad_descriptor);
    EXPECT_EQ(guest_->read(node, handle, 0, 1).error(), Errno::bad_descriptor);
    EXPECT_EQ(fs().counts().open_files, 0u);
}

TEST_P(MirrorIo, limits_what_may_be_open) {
    host_write("file", "data");
    serve({.open_file_count_max = 2});
    const auto [node, handle] = open("file");
    ASSERT_TRUE(guest_->open(node, O_RDONLY));

    EXPECT_EQ(guest_->open(node, O_RDONLY).error(), Errno::too_many_files_system);
    EXPECT_EQ(guest_->create(root_node, "new").error(), Errno::too_many_files_system);
    ASSERT_TRUE(guest_->release(node, handle));
    EXPECT_TRUE(guest_->open(node, O_RDONLY));
}

TEST_P(MirrorIo, frees_a_large_file_that_was_unlinked_while_open) {
    host_write("file", "");
    const auto [node, handle] = open("file");
    ASSERT_TRUE(guest_->write(node, handle, 0, std::string(3 << 20, 'x')));
    ASSERT_TRUE(guest_->unlink(root_node, "file"));

    EXPECT_TRUE(guest_->release(node, handle));
    guest_->forget(node);

    EXPECT_EQ(fs().counts().inodes, 1u);
    EXPECT_EQ(fs().counts().descriptors, 1u);
}

TEST_P(MirrorIo, syncs_a_file_and_a_directory) {
    host_write("file", "data");
    const auto [node, handle] = open("file");
    const auto dir = guest_->opendir(root_node).value();
    auto& context = guest_->context;

    EXPECT_TRUE(guest_->run(fs().fsync(context, node, handle, false)));
    EXPECT_TRUE(guest_->run(fs().fsync(context, node, handle, true)));
    EXPECT_TRUE(guest_->run(fs().fsyncdir(context, root_node, dir, false)));
    EXPECT_TRUE(guest_->run(fs().flush(context, node, handle, fuse::LockOwner{1})));
}

TEST_P(MirrorIo, allocates_punches_and_finds_holes) {
    host_write("file", "");
    const auto [node, handle] = open("file");
    auto& context = guest_->context;
    constexpr std::uint64_t block = 64 << 10;

    ASSERT_TRUE(guest_->run(fs().fallocate(context, node, handle, 0, 0, 3 * block)));
    EXPECT_EQ(host_stat("file").st_size, 3 * off_t{block});
    ASSERT_TRUE(guest_->write(node, handle, 0, std::string(3 * block, 'x')));
    constexpr std::uint32_t punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    ASSERT_TRUE(guest_->run(fs().fallocate(context, node, handle, punch, block, block)));

    EXPECT_EQ(guest_->run(fs().lseek(context, node, handle, 0, SEEK_HOLE)).value(), block);
    EXPECT_EQ(guest_->run(fs().lseek(context, node, handle, block, SEEK_DATA)).value(),
              2 * block);
    EXPECT_EQ(guest_->run(fs().lseek(context, node, handle, 3 * block, SEEK_DATA)).error(),
              Errno::no_device);
    EXPECT_EQ(guest_->run(fs().lseek(context, node, handle, 0, SEEK_SET)).error(),
              Errno::invalid);
}

TEST_P(MirrorIo, copies_between_files) {
    host_write("from", "0123456789");
    host_write("to", "abcdefghij");
    const auto from = open("from");
    const auto to = open("to");

    const auto copied = guest_->run(fs().copy_file_range(guest_->context,
                                                         {.from = from.node,
                                                          .from_handle = from.handle,
                                                          .from_offset = 2,
                                                          .to = to.node,
                                                          .to_handle = to.handle,
                                                          .to_offset = 5,
                                                          .size = 3}));

    EXPECT_EQ(copied.value(), 3u);
    EXPECT_EQ(host_read("to"), "abcde234ij");
}

// --- direct I/O

TEST_P(MirrorIo, does_what_is_not_aligned_through_the_page_cache_with_policy_always) {
    const std::string text = random_text(20'000);
    host_write("file", text);
    serve({.direct = DirectPolicy::always});
    const auto [node, handle] = open("file");
    auto* const aligned = static_cast<char*>(std::aligned_alloc(4096, 8192));
    const std::array to = {iovec{aligned, 8192}};
    const fuse::ReadRequest request = {.offset = 4096, .size = 8192, .flags = 0};

    const auto direct =
        guest_->run(fs().read(guest_->context, node, handle, request, to)).value();

    EXPECT_EQ(std::string(aligned, direct), text.substr(4096, 8192));
    EXPECT_EQ(guest_->read(node, handle, 3, 5000).value(), text.substr(3, 5000));
    EXPECT_TRUE(guest_->write(node, handle, 1, "odd"));
    EXPECT_EQ(guest_->read(node, handle, 0, 5).value(), text.substr(0, 1) + "odd" + text[4]);
    std::free(aligned);
}

TEST_P(MirrorIo, follows_the_tenants_o_direct_and_its_errors) {
    host_write("file", std::string(8192, 'x'));
    const auto [node, handle] = open("file", O_RDWR | O_DIRECT);

    // As Linux: ext4 refuses memory and offsets that are not aligned, tmpfs takes them.
    const auto odd = guest_->read(node, handle, 1, 100);
    EXPECT_TRUE(on_tmpfs() ? odd.has_value() : odd.error() == Errno::invalid);
    auto* const aligned = static_cast<char*>(std::aligned_alloc(4096, 4096));
    const std::array to = {iovec{aligned, 4096}};
    const fuse::ReadRequest request = {.offset = 4096, .size = 4096, .flags = O_DIRECT};
    EXPECT_EQ(guest_->run(fs().read(guest_->context, node, handle, request, to)).value(),
              4096u);
    std::free(aligned);
}

TEST_P(MirrorIo, reads_up_to_an_end_that_is_not_aligned_with_o_direct) {
    host_write("file", std::string(5000, 'x'));
    const auto [node, handle] = open("file", O_RDONLY | O_DIRECT);
    auto* const aligned = static_cast<char*>(std::aligned_alloc(4096, 16384));
    const std::array to = {iovec{aligned, 16384}};
    const fuse::ReadRequest request = {.offset = 0, .size = 16384, .flags = O_DIRECT};

    EXPECT_EQ(guest_->run(fs().read(guest_->context, node, handle, request, to)).value(),
              5000u);
    std::free(aligned);
}

TEST_P(MirrorIo, ignores_the_tenants_o_direct_with_policy_never) {
    host_write("file", "data");
    serve({.direct = DirectPolicy::never});
    const auto [node, handle] = open("file", O_RDWR | O_DIRECT);

    EXPECT_EQ(guest_->read(node, handle, 1, 2).value(), "at");
}

TEST_P(MirrorIo, tells_the_tenant_how_to_cache) {
    host_write("file", "data");
    serve({.cache = CachePolicy::never});
    NodeId node = guest_->lookup(root_node, "file")->node;
    const auto direct = guest_->run(fs().open(guest_->context, node, {.flags = O_RDONLY}));
    EXPECT_EQ(direct->open_flags & 1, 1u);  // FOPEN_DIRECT_IO
    EXPECT_EQ(guest_->lookup(root_node, "file")->entry_valid, seconds(0));

    serve({.cache = CachePolicy::always});
    node = guest_->lookup(root_node, "file")->node;
    const auto keep = guest_->run(fs().open(guest_->context, node, {.flags = O_RDONLY}));
    EXPECT_EQ(keep->open_flags, 2u);  // FOPEN_KEEP_CACHE
}

}  // namespace
}  // namespace dpfs::mirror
