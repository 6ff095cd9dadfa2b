// SPDX-License-Identifier: Apache-2.0

// fsync and its relatives, synchronous and direct I/O. What survives a power failure cannot be
// tried from here; that the calls succeed, refuse and keep the data can.

#include "cases.hpp"

#include <cstdlib>
#include <cstring>

namespace posix {
namespace {

constexpr std::size_t page = 4096;

void add_syncs(Suite& suite) {
    suite.add("fsync.of_file_works", [] {
        const int fd = make_open("f", pattern(100'000));
        CHECK_OK(fsync(fd));
        CHECK_OK(fdatasync(fd));
        CHECK(content_of(fd) == pattern(100'000));
    });
    suite.add("fsync.of_read_only_descriptor_works", [] {
        make_file("f", "x");
        const int fd = open_file("f", O_RDONLY);
        CHECK_OK(fsync(fd));
        CHECK_OK(fdatasync(fd));
    });
    suite.add("fsync.of_directory_works", [] {
        make_dir("d");
        make_file("d/f");
        const int fd = open_file("d", O_RDONLY | O_DIRECTORY);
        CHECK_OK(fsync(fd));
        CHECK_OK(fdatasync(fd));
    });
    suite.add("fsync.of_unlinked_file_works", [] {
        const int fd = make_open("f", "x");
        CHECK_OK(unlink("f"));
        CHECK_OK(fsync(fd));
    });
    suite.add("fsync.of_removed_directory_works", [] {
        make_dir("d");
        const int fd = open_file("d", O_RDONLY | O_DIRECTORY);
        CHECK_OK(rmdir("d"));
        CHECK_OK(fsync(fd));
    });
    suite.add("fsync.of_closed_descriptor_gives_EBADF", [] {
        CHECK_FAILS(EBADF, fsync(bad_descriptor));
        CHECK_FAILS(EBADF, fdatasync(bad_descriptor));
        CHECK_FAILS(EBADF, syncfs(bad_descriptor));
    });
    suite.add("fsync.of_pipe_or_fifo_gives_EINVAL", [] {
        CHECK_OK(mkfifo("p", 0600));
        CHECK_FAILS(EINVAL, fsync(make_pipe().read_end));
        CHECK_FAILS(EINVAL, fsync(open_file("p", O_RDWR)));
        CHECK_FAILS(EINVAL, fdatasync(open_file("p", O_RDWR)));
    });
    suite.add("fsync.by_another_user_with_a_descriptor_works", [] {
        const int fd = make_open("f", "x");
        as(alice, [fd] { CHECK_OK(fsync(fd)); });
    });
    suite.add("syncfs.of_file_and_directory_works", [] {
        CHECK_OK(syncfs(make_open("f", "x")));
        CHECK_OK(syncfs(open_file(".", O_RDONLY)));
    });
}

void add_ranges(Suite& suite) {
    suite.add("sync_file_range.works_with_each_flag", [] {
        const int fd = make_open("f", pattern(10'000));
        CHECK_OK(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE));
        CHECK_OK(sync_file_range(fd, 0, 4096, SYNC_FILE_RANGE_WAIT_BEFORE));
        CHECK_OK(sync_file_range(fd, 4096, 0, SYNC_FILE_RANGE_WAIT_AFTER));
        CHECK_OK(sync_file_range(fd, 0, 0, 0));
    });
    suite.add("sync_file_range.with_unknown_flag_gives_EINVAL",
              [] { CHECK_FAILS(EINVAL, sync_file_range(make_open("f"), 0, 0, 0x100)); });
    suite.add("sync_file_range.of_negative_range_gives_EINVAL", [] {
        const int fd = make_open("f");
        CHECK_FAILS(EINVAL, sync_file_range(fd, -1, 1, SYNC_FILE_RANGE_WRITE));
        CHECK_FAILS(EINVAL, sync_file_range(fd, 1, -5, SYNC_FILE_RANGE_WRITE));
    });
    suite.add("sync_file_range.of_pipe_gives_ESPIPE", [] {
        CHECK_FAILS(ESPIPE, sync_file_range(make_pipe().read_end, 0, 0, SYNC_FILE_RANGE_WRITE));
    });
}

void add_synchronous(Suite& suite) {
    suite.add("sync.O_SYNC_and_O_DSYNC_write_as_usual", [] {
        const int sync = CHECK_OK(open("f", O_CREAT | O_RDWR | O_SYNC, 0600));
        write_at(sync, 0, pattern(10'000));
        CHECK(content_of("f") == pattern(10'000));
        const int dsync = open_file("f", O_WRONLY | O_DSYNC);
        write_at(dsync, 5, "xyz");
        CHECK_SAME("xyz", read_at(sync, 5, 3));
    });
    suite.add("sync.O_SYNC_is_given_back_by_fcntl", [] {
        make_file("f");
        CHECK_SAME(O_SYNC, fcntl(open_file("f", O_RDWR | O_SYNC), F_GETFL) & O_SYNC);
        CHECK_SAME(O_DSYNC, fcntl(open_file("f", O_RDWR | O_DSYNC), F_GETFL) & O_SYNC);
    });
    suite.add("sync.O_SYNC_cannot_be_set_by_fcntl", [] {
        const int fd = make_open("f");
        CHECK_OK(fcntl(fd, F_SETFL, O_SYNC));
        CHECK_SAME(0, fcntl(fd, F_GETFL) & O_SYNC);
    });
}

struct Pages {
    explicit Pages(std::size_t count) : size(count * page) {
        bytes = static_cast<char*>(std::aligned_alloc(page, size));
        const std::string data = pattern(size);
        std::memcpy(bytes, data.data(), size);
    }
    std::string_view view() const { return {bytes, size}; }

    char* bytes = nullptr;
    std::size_t size;
};

int open_direct(int flags) {
    return CHECK_NEEDS(EINVAL, open("f", O_DIRECT | O_CREAT | flags, 0600));
}

void add_direct(Suite& suite) {
    suite.add("direct.aligned_write_and_read_keep_the_data", [] {
        const Pages pages(64);
        const int fd = open_direct(O_RDWR);
        CHECK_RETURNS(64 * page, pwrite(fd, pages.bytes, pages.size, 0));
        CHECK(content_of("f") == pages.view());
        const Pages back(64);
        std::memset(back.bytes, 0, back.size);
        CHECK_RETURNS(64 * page, pread(fd, back.bytes, back.size, 0));
        CHECK(back.view() == pages.view());
    });
    suite.add("direct.write_is_seen_by_cached_reader", [] {
        make_file("f", std::string(4 * page, 'o'));
        const int cached = open_file("f", O_RDONLY);
        CHECK_SAME(std::string(4 * page, 'o'), content_of(cached));
        const Pages pages(4);
        CHECK_RETURNS(4 * page, pwrite(open_direct(O_WRONLY), pages.bytes, pages.size, 0));
        CHECK(content_of(cached) == pages.view());
    });
    suite.add("direct.read_sees_cached_write", [] {
        const int cached = make_open("f", std::string(4 * page, 'o'));
        const int direct = open_direct(O_RDONLY);
        write_at(cached, 0, std::string(4 * page, 'n'));
        const Pages pages(4);
        CHECK_RETURNS(4 * page, pread(direct, pages.bytes, pages.size, 0));
        CHECK_SAME(std::string(4 * page, 'n'), pages.view());
    });
    suite.add("direct.read_is_short_at_the_end", [] {
        make_file("f", pattern(page + 100));
        const int fd = open_direct(O_RDONLY);
        const Pages pages(4);
        CHECK_RETURNS(page + 100, pread(fd, pages.bytes, pages.size, 0));
        CHECK(pages.view().substr(0, page + 100) == pattern(page + 100));
        CHECK_RETURNS(0, pread(fd, pages.bytes, pages.size, 2 * page));
    });
}

void add_direct_alignment(Suite& suite) {
    suite.add("direct.odd_length_works_or_gives_EINVAL", [] {
        const Pages pages(1);
        const int fd = open_direct(O_RDWR);
        const ssize_t size = pwrite(fd, pages.bytes, 100, 0);
        if (size < 0) CHECK_SAME(EINVAL, errno);
        CHECK_SAME(size < 0 ? 0 : 100, fstat_of(fd).st_size);
    });
    suite.add("direct.odd_offset_works_or_gives_EINVAL", [] {
        const Pages pages(2);
        make_file("f", pattern(2 * page));
        const ssize_t size = pread(open_direct(O_RDWR), pages.bytes, page, 100);
        if (size < 0) {
            CHECK_SAME(EINVAL, errno);
        } else {
            CHECK(pages.view().substr(0, page) == pattern(2 * page).substr(100, page));
        }
    });
    suite.add("direct.odd_buffer_works_or_gives_EINVAL", [] {
        const Pages pages(2);
        make_file("f", pattern(page));
        const ssize_t size = pread(open_direct(O_RDWR), pages.bytes + 1, page, 0);
        if (size < 0) {
            CHECK_SAME(EINVAL, errno);
        } else {
            CHECK(pages.view().substr(1, page) == pattern(page));
        }
    });
    suite.add("direct.append_writes_at_the_end", [] {
        make_file("f", pattern(page));
        const Pages pages(2);
        CHECK_RETURNS(2 * page,
                      write(open_direct(O_WRONLY | O_APPEND), pages.bytes, pages.size));
        CHECK_SAME(3 * page, stat_of("f").st_size);
    });
    suite.add("direct.flag_can_be_set_by_fcntl", [] {
        const int fd = make_open("f", pattern(page));
        CHECK_NEEDS(EINVAL, fcntl(fd, F_SETFL, O_DIRECT));
        CHECK_SAME(O_DIRECT, fcntl(fd, F_GETFL) & O_DIRECT);
        const Pages pages(1);
        CHECK_RETURNS(page, pread(fd, pages.bytes, page, 0));
    });
}

}  // namespace

void add_sync_cases(Suite& suite) {
    add_syncs(suite);
    add_ranges(suite);
    add_synchronous(suite);
    add_direct(suite);
    add_direct_alignment(suite);
}

}  // namespace posix
