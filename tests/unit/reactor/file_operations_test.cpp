// SPDX-License-Identifier: Apache-2.0
// Goal: every operation on files does what the system call of its name does, on each reactor.
// Method: real files; what an operation did is looked at with plain system calls.
#include "reactor_fixture.hpp"

#include <array>
#include <cstring>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/xattr.h>

namespace dpfs::reactor {
namespace {

class FileOperations : public EachReactor {
  protected:
    [[nodiscard]] std::string path(std::string_view name) const { return scratch_.path(name); }
    [[nodiscard]] UniqueFd make_file(std::string_view name, std::string_view content = "") {
        UniqueFd fd(::open(path(name).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
        EXPECT_EQ(::write(fd.get(), content.data(), content.size()),
                  static_cast<ssize_t>(content.size()));
        return fd;
    }
    [[nodiscard]] struct stat attributes(std::string_view name) const {
        struct stat found = {};
        EXPECT_EQ(::lstat(path(name).c_str(), &found), 0);
        return found;
    }
    [[nodiscard]] bool exists(std::string_view name) const {
        return ::faccessat(AT_FDCWD, path(name).c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    }

  private:
    ScratchDirectory scratch_;
};

Task<Result<std::uint32_t>> read_into(Reactor& reactor,
                                      int fd,
                                      std::span<const iovec> to,
                                      std::uint64_t offset) {
    co_return co_await reactor.readv(fd, to, offset);
}

Task<Result<std::uint32_t>> write_from(Reactor& reactor,
                                       int fd,
                                       std::span<const iovec> from,
                                       std::uint64_t offset,
                                       std::uint32_t flags) {
    co_return co_await reactor.writev(fd, from, offset, flags);
}

TEST_P(FileOperations, readv_fills_one_buffer_from_an_offset) {
    const UniqueFd file = make_file("f", "0123456789");
    std::string text(4, '?');
    const iovec to = buffer_of(text);
    EXPECT_EQ(run(read_into(reactor(), file.get(), std::span(&to, 1), 3)), 4u);
    EXPECT_EQ(text, "3456");
}

TEST_P(FileOperations, readv_fills_several_buffers_and_stops_at_the_end) {
    const UniqueFd file = make_file("f", "0123456789");
    std::string first(4, '?');
    std::string second(9, '?');
    const std::array to = {buffer_of(first), buffer_of(second)};
    EXPECT_EQ(run(read_into(reactor(), file.get(), to, 2)), 8u);
    EXPECT_EQ(first + second, "23456789?????");
}

TEST_P(FileOperations, readv_past_the_end_gives_nothing) {
    const UniqueFd file = make_file("f", "0123456789");
    std::string text(4, '?');
    const iovec to = buffer_of(text);
    EXPECT_EQ(run(read_into(reactor(), file.get(), std::span(&to, 1), 10)), 0u);
}

TEST_P(FileOperations, readv_without_an_offset_moves_the_position) {
    const UniqueFd file = make_file("f", "0123456789");
    ::lseek(file.get(), 5, SEEK_SET);
    std::string text(3, '?');
    const iovec to = buffer_of(text);
    EXPECT_EQ(run(read_into(reactor(), file.get(), std::span(&to, 1), ~std::uint64_t{0})), 3u);
    EXPECT_EQ(text, "567");
    EXPECT_EQ(::lseek(file.get(), 0, SEEK_CUR), 8);
}

TEST_P(FileOperations, readv_of_a_bad_descriptor_fails) {
    std::string text(4, '?');
    const iovec to = buffer_of(text);
    const auto result = run(read_into(reactor(), 1'000'000, std::span(&to, 1), 0));
    EXPECT_EQ(result.error(), Errno::bad_descriptor);
}

TEST_P(FileOperations, writev_writes_several_buffers_at_an_offset) {
    const UniqueFd file = make_file("f", "0123456789");
    std::string first = "ab";
    std::string second = "cde";
    const std::array from = {buffer_of(first), buffer_of(second)};
    EXPECT_EQ(run(write_from(reactor(), file.get(), from, 4, 0)), 5u);
    std::string now(10, '?');
    EXPECT_EQ(::pread(file.get(), now.data(), now.size(), 0), 10);
    EXPECT_EQ(now, "0123abcde9");
}

TEST_P(FileOperations, writev_obeys_its_flags) {
    const UniqueFd file = make_file("f", "0123456789");
    std::string text = "ab";
    const iovec from = buffer_of(text);
    EXPECT_EQ(run(write_from(reactor(), file.get(), std::span(&from, 1), 0, RWF_APPEND)), 2u);
    EXPECT_EQ(attributes("f").st_size, 12);
}

/// Opens, looks at, and closes a file that is not there before.
Task<void> open_stat_close(Reactor& reactor, std::string path) {
    open_how how = {};
    how.flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC;
    how.mode = 0640;
    auto fd = co_await reactor.openat2(AT_FDCWD, path.c_str(), how);
    EXPECT_TRUE(fd.has_value());
    const int number = fd->get();

    struct statx found = {};
    const auto looked = co_await reactor.statx(number, "", AT_EMPTY_PATH, STATX_MODE, found);
    EXPECT_TRUE(looked.has_value());
    EXPECT_EQ(found.stx_mode & 07777, 0640);

    const auto closed = co_await reactor.close(std::move(*fd));
    EXPECT_TRUE(closed.has_value());
    EXPECT_EQ(::fcntl(number, F_GETFD), -1);

    const auto again = co_await reactor.openat2(AT_FDCWD, path.c_str(), how);
    EXPECT_EQ(again.error(), Errno::exists);
}

TEST_P(FileOperations, a_file_is_opened_looked_at_and_closed) {
    run(open_stat_close(reactor(), path("new")));
    EXPECT_TRUE(exists("new"));
}

Task<void> resize_and_sync(Reactor& reactor, int fd) {
    EXPECT_TRUE((co_await reactor.ftruncate(fd, 5'000'000'000)).has_value());
    EXPECT_TRUE((co_await reactor.ftruncate(fd, 3)).has_value());
    // Beyond 4 GiB: the offset and the length have 64 bits.
    EXPECT_TRUE((co_await reactor.fallocate(fd, 0, 5'000'000'000, 4096)).has_value());
    constexpr std::uint32_t punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    EXPECT_TRUE((co_await reactor.fallocate(fd, punch, 0, 5'000'000'000)).has_value());
    EXPECT_TRUE((co_await reactor.fsync(fd, false)).has_value());
    EXPECT_TRUE((co_await reactor.fsync(fd, true)).has_value());
    constexpr unsigned flags = SYNC_FILE_RANGE_WRITE;
    EXPECT_TRUE((co_await reactor.sync_file_range(fd, 0, 4096, flags)).has_value());
    EXPECT_TRUE((co_await reactor.sync_file_range(fd, 0, 5'000'000'000, flags)).has_value());
}

TEST_P(FileOperations, a_file_is_resized_and_synced) {
    const UniqueFd file = make_file("f", "0123456789");
    run(resize_and_sync(reactor(), file.get()));
    EXPECT_EQ(attributes("f").st_size, 5'000'004'096);
}

Task<void> make_names(Reactor& reactor, int dir) {
    EXPECT_TRUE((co_await reactor.mkdirat(dir, "d", 0750)).has_value());
    EXPECT_TRUE((co_await reactor.linkat(dir, "f", dir, "d/hard", 0)).has_value());
    EXPECT_TRUE((co_await reactor.symlinkat("target", dir, "soft")).has_value());
    EXPECT_TRUE((co_await reactor.renameat2(dir, "f", dir, "g", RENAME_NOREPLACE)).has_value());
    EXPECT_TRUE((co_await reactor.unlinkat(dir, "g", 0)).has_value());
    EXPECT_TRUE((co_await reactor.mkdirat(dir, "e", 0700)).has_value());
    EXPECT_TRUE((co_await reactor.unlinkat(dir, "e", AT_REMOVEDIR)).has_value());

    const auto missing = co_await reactor.unlinkat(dir, "g", 0);
    EXPECT_EQ(missing.error(), Errno::no_entry);
    const auto taken = co_await reactor.renameat2(dir, "soft", dir, "d", RENAME_NOREPLACE);
    EXPECT_EQ(taken.error(), Errno::exists);
}

TEST_P(FileOperations, names_are_made_moved_and_removed) {
    const UniqueFd file = make_file("f");
    const UniqueFd dir(::open(path("").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    run(make_names(reactor(), dir.get()));
    EXPECT_EQ(attributes("d").st_mode & 07777, 0750u);
    EXPECT_EQ(attributes("d/hard").st_nlink, 1u);
    EXPECT_TRUE(S_ISLNK(attributes("soft").st_mode));
    EXPECT_FALSE(exists("f"));
    EXPECT_FALSE(exists("g"));
    EXPECT_FALSE(exists("e"));
}

Task<void> set_and_get_attribute(Reactor& reactor, int fd) {
    const std::array value = {std::byte{1}, std::byte{0}, std::byte{3}};
    EXPECT_TRUE((co_await reactor.fsetxattr(fd, "user.dpfs", value, 0)).has_value());
    const auto taken = co_await reactor.fsetxattr(fd, "user.dpfs", value, XATTR_CREATE);
    EXPECT_EQ(taken.error(), Errno::exists);

    std::array<std::byte, 8> found = {};
    EXPECT_EQ(co_await reactor.fgetxattr(fd, "user.dpfs", found), 3u);
    EXPECT_EQ(std::memcmp(found.data(), value.data(), 3), 0);
    // No room at all asks for the size.
    EXPECT_EQ(co_await reactor.fgetxattr(fd, "user.dpfs", {}), 3u);
    const auto none = co_await reactor.fgetxattr(fd, "user.none", found);
    EXPECT_EQ(none.error(), Errno::no_data);
}

TEST_P(FileOperations, extended_attributes_are_set_and_read) {
    const UniqueFd file = make_file("f");
    run(set_and_get_attribute(reactor(), file.get()));
}

/// Many at the same time, on one file, in both directions.
Task<void> write_then_read_page(Reactor& reactor, int fd, std::uint32_t page) {
    std::string out(4096, static_cast<char>('a' + page % 26));
    const iovec from = buffer_of(out);
    const std::uint64_t offset = std::uint64_t{page} * 4096;
    EXPECT_EQ(co_await reactor.writev(fd, std::span(&from, 1), offset), 4096u);
    std::string in(4096, '?');
    const iovec to = buffer_of(in);
    EXPECT_EQ(co_await reactor.readv(fd, std::span(&to, 1), offset), 4096u);
    EXPECT_EQ(in, out);
}

Task<void> use_many_pages(Reactor& reactor, int fd) {
    Gate gate;
    for (std::uint32_t page = 0; page < 1000; ++page) {
        gate.spawn(write_then_read_page(reactor, fd, page));
    }
    co_await gate.close();
}

TEST_P(FileOperations, a_thousand_pages_are_written_and_read_at_the_same_time) {
    const UniqueFd file = make_file("f");
    run(use_many_pages(reactor(), file.get()));
    EXPECT_EQ(attributes("f").st_size, 1000 * 4096);
}

TEST_P(FileOperations, no_descriptor_is_left_over) {
    const std::size_t before = open_descriptor_count();
    {
        BlockingPool own_pool;
        const auto own = reactor_of(GetParam(), own_pool);
        run_to_completion(*own, open_stat_close(*own, path("new")));
    }
    EXPECT_EQ(open_descriptor_count(), before);
}

DPFS_ON_EACH_REACTOR(FileOperations);

}  // namespace
}  // namespace dpfs::reactor
