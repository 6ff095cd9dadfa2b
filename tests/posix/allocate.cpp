// SPDX-License-Identifier: Apache-2.0

// fallocate(2) in all its modes, and posix_fallocate(3).

#include "cases.hpp"

#include <climits>

#include <linux/falloc.h>
#include <sys/socket.h>

namespace posix {
namespace {

constexpr off_t block = 65'536;  // a multiple of any usual block size

std::string block_of(char c) {
    return std::string(block, c);
}

/// Skips where the file system does not have the mode.
void allocate(int fd, int mode, off_t offset, off_t length) {
    CHECK_NEEDS(either(EOPNOTSUPP, ENOSYS), fallocate(fd, mode, offset, length));
}

/// Four blocks: a, b, c, d.
int make_four_blocks() {
    return make_open("f", block_of('a') + block_of('b') + block_of('c') + block_of('d'));
}

void add_plain(Suite& suite) {
    suite.add("fallocate.extends_the_file_with_zeros", [] {
        const int fd = make_open("f", "abc");
        allocate(fd, 0, 0, 10'000);
        std::string expected = "abc";
        expected.resize(10'000);
        CHECK_SAME(expected, content_of("f"));
    });
    suite.add("fallocate.within_the_file_keeps_the_content", [] {
        const int fd = make_open("f", pattern(10'000));
        allocate(fd, 0, 100, 5000);
        CHECK(content_of("f") == pattern(10'000));
    });
    suite.add("fallocate.reserves_blocks", [] {
        const int fd = make_open("f");
        allocate(fd, 0, 0, 1 << 20);
        CHECK(fstat_of(fd).st_blocks >= (1 << 20) / 512);
    });
    suite.add("fallocate.keep_size_reserves_behind_the_end", [] {
        const int fd = make_open("f", "abc");
        allocate(fd, FALLOC_FL_KEEP_SIZE, 0, 1 << 20);
        CHECK_SAME(3, fstat_of(fd).st_size);
        CHECK(fstat_of(fd).st_blocks >= (1 << 20) / 512);
        CHECK_SAME("abc", content_of("f"));
    });
    suite.add("fallocate.needs_no_offset_within_the_file", [] {
        const int fd = make_open("f", "abc");
        allocate(fd, 0, 100'000, 1000);
        CHECK_SAME(101'000, fstat_of(fd).st_size);
        CHECK_SAME(std::string(10, '\0'), read_at(fd, 50'000, 10));
    });
    suite.add("posix_fallocate.extends_the_file", [] {
        const int fd = make_open("f", "abc");
        CHECK_SAME(0, posix_fallocate(fd, 0, 10'000));
        CHECK_SAME(10'000, fstat_of(fd).st_size);
    });
    suite.add("posix_fallocate.gives_errors_by_its_result", [] {
        make_file("f");
        CHECK_SAME(EINVAL, posix_fallocate(open_file("f", O_RDWR), 0, 0));
        CHECK_SAME(EBADF, posix_fallocate(open_file("f", O_RDONLY), 0, 1));
        CHECK_SAME(ESPIPE, posix_fallocate(make_pipe().write_end, 0, 1));
    });
}

void add_ranges(Suite& suite) {
    suite.add("fallocate.punched_hole_reads_as_zeros", [] {
        const int fd = make_four_blocks();
        allocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, block, 2 * block);
        CHECK(content_of("f") == block_of('a') + std::string(2 * block, '\0') + block_of('d'));
    });
    suite.add("fallocate.punched_hole_frees_blocks", [] {
        const int fd = make_four_blocks();
        CHECK_OK(fsync(fd));
        const auto before = fstat_of(fd).st_blocks;
        allocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, block, 2 * block);
        CHECK_SAME(before - 2 * block / 512, fstat_of(fd).st_blocks);
    });
    suite.add("fallocate.hole_of_odd_size_zeros_exactly_its_bytes", [] {
        const int fd = make_four_blocks();
        allocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100, 2 * block + 7);
        std::string expected = block_of('a') + block_of('b') + block_of('c') + block_of('d');
        expected.replace(100, 2 * block + 7, 2 * block + 7, '\0');
        CHECK(content_of("f") == expected);
    });
    suite.add("fallocate.hole_beyond_the_end_keeps_the_size", [] {
        const int fd = make_open("f", "abcdef");
        allocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 3, 1 << 20);
        CHECK_SAME(std::string_view("abc\0\0\0", 6), content_of("f"));
    });
    suite.add("fallocate.punch_hole_without_keep_size_gives_EOPNOTSUPP", [] {
        CHECK_FAILS(either(EOPNOTSUPP, EINVAL),
                    fallocate(make_four_blocks(), FALLOC_FL_PUNCH_HOLE, 0, block));
    });
    suite.add("fallocate.zero_range_zeros_exactly_its_bytes", [] {
        const int fd = make_four_blocks();
        allocate(fd, FALLOC_FL_ZERO_RANGE, 100, 2 * block);
        std::string expected = block_of('a') + block_of('b') + block_of('c') + block_of('d');
        expected.replace(100, 2 * block, 2 * block, '\0');
        CHECK(content_of("f") == expected);
    });
    suite.add("fallocate.zero_range_beyond_the_end_extends", [] {
        const int fd = make_open("f", "abcdef");
        allocate(fd, FALLOC_FL_ZERO_RANGE, 3, 10'000);
        CHECK_SAME(10'003, fstat_of(fd).st_size);
        CHECK_SAME(std::string_view("abc\0\0\0\0", 7), read_at(fd, 0, 7));
    });
    suite.add("fallocate.zero_range_with_keep_size_keeps_it", [] {
        const int fd = make_open("f", "abcdef");
        allocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 3, 10'000);
        CHECK_SAME(std::string_view("abc\0\0\0", 6), content_of("f"));
    });
    suite.add("fallocate.collapse_range_takes_bytes_out", [] {
        const int fd = make_four_blocks();
        allocate(fd, FALLOC_FL_COLLAPSE_RANGE, block, block);
        CHECK(content_of("f") == block_of('a') + block_of('c') + block_of('d'));
    });
    suite.add("fallocate.insert_range_puts_zeros_in", [] {
        const int fd = make_four_blocks();
        allocate(fd, FALLOC_FL_INSERT_RANGE, block, block);
        CHECK(content_of("f") ==
              block_of('a') + block_of('\0') + block_of('b') + block_of('c') + block_of('d'));
    });
}

void add_range_errors(Suite& suite) {
    suite.add("fallocate.collapse_of_odd_range_gives_EINVAL", [] {
        const int fd = make_four_blocks();
        allocate(fd, FALLOC_FL_COLLAPSE_RANGE, block, block);
        CHECK_FAILS(EINVAL, fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 1, block));
        CHECK_FAILS(EINVAL, fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, block - 1));
    });
    suite.add("fallocate.collapse_up_to_the_end_gives_EINVAL", [] {
        const int fd = make_four_blocks();
        allocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, block);
        CHECK_FAILS(EINVAL, fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, block, 2 * block));
        CHECK_FAILS(EINVAL, fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, block, 4 * block));
    });
    suite.add("fallocate.insert_at_or_behind_the_end_gives_EINVAL", [] {
        const int fd = make_four_blocks();
        allocate(fd, FALLOC_FL_INSERT_RANGE, 0, block);
        CHECK_FAILS(EINVAL, fallocate(fd, FALLOC_FL_INSERT_RANGE, 5 * block, block));
        CHECK_FAILS(EINVAL, fallocate(fd, FALLOC_FL_INSERT_RANGE, 9 * block, block));
    });
    suite.add("fallocate.collapse_with_other_flags_gives_EINVAL", [] {
        const int fd = make_four_blocks();
        CHECK_FAILS(either(EINVAL, EOPNOTSUPP),
                    fallocate(fd, FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_KEEP_SIZE, 0, block));
        CHECK_FAILS(either(EINVAL, EOPNOTSUPP),
                    fallocate(fd, FALLOC_FL_INSERT_RANGE | FALLOC_FL_ZERO_RANGE, 0, block));
    });
    suite.add("fallocate.unknown_mode_gives_EOPNOTSUPP", [] {
        CHECK_FAILS(EOPNOTSUPP, fallocate(make_four_blocks(), 0x4000'0000, 0, block));
    });
}

void add_errors(Suite& suite) {
    suite.add("fallocate.of_0_or_fewer_bytes_gives_EINVAL", [] {
        const int fd = make_open("f", "abc");
        CHECK_FAILS(EINVAL, fallocate(fd, 0, 0, 0));
        CHECK_FAILS(EINVAL, fallocate(fd, 0, 0, -1));
        CHECK_FAILS(EINVAL, fallocate(fd, 0, -1, 1));
        CHECK_SAME(3, fstat_of(fd).st_size);
    });
    suite.add("fallocate.beyond_the_largest_file_gives_EFBIG", [] {
        const int fd = make_open("f", "abc");
        allocate(fd, 0, 0, 3);
        CHECK_FAILS(EFBIG, fallocate(fd, 0, LLONG_MAX - 10, 11));
        CHECK_SAME(3, fstat_of(fd).st_size);
    });
    suite.add("fallocate.of_read_only_descriptor_gives_EBADF", [] {
        make_file("f", "abc");
        CHECK_FAILS(EBADF, fallocate(open_file("f", O_RDONLY), 0, 0, 10));
        CHECK_FAILS(EBADF, fallocate(bad_descriptor, 0, 0, 10));
    });
    suite.add("fallocate.of_pipe_or_fifo_gives_ESPIPE", [] {
        CHECK_OK(mkfifo("p", 0600));
        CHECK_FAILS(ESPIPE, fallocate(open_file("p", O_RDWR), 0, 0, 10));
        CHECK_FAILS(ESPIPE, fallocate(make_pipe().write_end, 0, 0, 10));
    });
    suite.add("fallocate.of_socket_gives_ENODEV", [] {
        int ends[2];
        CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
        CHECK_FAILS(ENODEV, fallocate(ends[0], 0, 0, 10));
    });
    suite.add("fallocate.of_directory_gives_EBADF",
              [] { CHECK_FAILS(EBADF, fallocate(open_file(".", O_RDONLY), 0, 0, 10)); });
    suite.add("fallocate.more_than_there_is_gives_ENOSPC_or_EFBIG", [] {
        const int fd = make_open("f", "abc");
        allocate(fd, 0, 0, 3);
        // 2^62 bytes: no device has them.
        CHECK_FAILS(either(ENOSPC, EFBIG), fallocate(fd, 0, 0, 1LL << 62));
        CHECK_SAME("abc", read_at(fd, 0, 3));
    });
}

}  // namespace

void add_allocate_cases(Suite& suite) {
    add_plain(suite);
    add_ranges(suite);
    add_range_errors(suite);
    add_errors(suite);
}

}  // namespace posix
