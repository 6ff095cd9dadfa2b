// SPDX-License-Identifier: Apache-2.0

// lseek(2), with data and holes.

#include "cases.hpp"

#include <climits>

namespace posix {
namespace {

constexpr off_t block = 65'536;  // a multiple of any usual block size

/// Data in blocks 0 and 4, a hole between them, and one behind up to block 8.
int make_sparse() {
    const int fd = make_open("f", pattern(block));
    write_at(fd, 4 * block, pattern(block));
    CHECK_OK(ftruncate(fd, 8 * block));
    CHECK_OK(fsync(fd));
    return fd;
}

void add_positions(Suite& suite) {
    suite.add("lseek.set_cur_and_end_add_up", [] {
        const int fd = make_open("f", "abcdef");
        CHECK_RETURNS(2, lseek(fd, 2, SEEK_SET));
        CHECK_RETURNS(3, lseek(fd, 1, SEEK_CUR));
        CHECK_RETURNS(2, lseek(fd, -1, SEEK_CUR));
        CHECK_RETURNS(6, lseek(fd, 0, SEEK_END));
        CHECK_RETURNS(4, lseek(fd, -2, SEEK_END));
        CHECK_RETURNS(16, lseek(fd, 10, SEEK_END));
    });
    suite.add("lseek.beyond_the_end_does_not_grow_the_file", [] {
        const int fd = make_open("f", "abc");
        CHECK_RETURNS(1000, lseek(fd, 1000, SEEK_SET));
        CHECK_SAME(3, fstat_of(fd).st_size);
    });
    suite.add("lseek.to_negative_offset_gives_EINVAL", [] {
        const int fd = make_open("f", "abc");
        CHECK_OK(lseek(fd, 1, SEEK_SET));
        CHECK_FAILS(EINVAL, lseek(fd, -1, SEEK_SET));
        CHECK_FAILS(EINVAL, lseek(fd, -2, SEEK_CUR));
        CHECK_FAILS(EINVAL, lseek(fd, -4, SEEK_END));
        CHECK_RETURNS(1, lseek(fd, 0, SEEK_CUR));
    });
    suite.add("lseek.beyond_what_off_t_holds_gives_EOVERFLOW_or_EINVAL", [] {
        const int fd = make_open("f", "abc");
        CHECK_FAILS(either(EOVERFLOW, EINVAL), lseek(fd, LLONG_MAX, SEEK_END));
    });
    suite.add("lseek.with_unknown_whence_gives_EINVAL",
              [] { CHECK_FAILS(EINVAL, lseek(make_open("f"), 0, 99)); });
    suite.add("lseek.of_pipe_gives_ESPIPE",
              [] { CHECK_FAILS(ESPIPE, lseek(make_pipe().read_end, 0, SEEK_CUR)); });
    suite.add("lseek.of_fifo_in_the_directory_gives_ESPIPE", [] {
        CHECK_OK(mkfifo("p", 0600));
        CHECK_FAILS(ESPIPE, lseek(open_file("p", O_RDWR), 0, SEEK_CUR));
    });
    suite.add("lseek.of_closed_descriptor_gives_EBADF",
              [] { CHECK_FAILS(EBADF, lseek(bad_descriptor, 0, SEEK_CUR)); });
    suite.add("lseek.end_follows_growth_by_another_process", [] {
        const int fd = make_open("f", "abc");
        CHECK_RETURNS(3, lseek(fd, 0, SEEK_END));
        in_child([] { write_at(open_file("f", O_WRONLY), 0, "abcdef"); });
        CHECK_RETURNS(6, lseek(fd, 0, SEEK_END));
    });
}

void add_data_and_holes(Suite& suite) {
    suite.add("lseek.file_without_holes_ends_in_one", [] {
        const int fd = make_open("f", pattern(block));
        CHECK_RETURNS(0, lseek(fd, 0, SEEK_DATA));
        CHECK_RETURNS(100, lseek(fd, 100, SEEK_DATA));
        CHECK_RETURNS(block, lseek(fd, 0, SEEK_HOLE));
        CHECK_RETURNS(block, lseek(fd, 100, SEEK_HOLE));
    });
    suite.add("lseek.at_or_beyond_the_end_gives_ENXIO", [] {
        const int fd = make_open("f", "abc");
        CHECK_FAILS(ENXIO, lseek(fd, 3, SEEK_DATA));
        CHECK_FAILS(ENXIO, lseek(fd, 3, SEEK_HOLE));
        CHECK_FAILS(ENXIO, lseek(fd, 1000, SEEK_DATA));
        CHECK_FAILS(ENXIO, lseek(fd, 1000, SEEK_HOLE));
    });
    suite.add("lseek.empty_file_has_neither_data_nor_hole", [] {
        const int fd = make_open("f");
        CHECK_FAILS(ENXIO, lseek(fd, 0, SEEK_DATA));
        CHECK_FAILS(ENXIO, lseek(fd, 0, SEEK_HOLE));
    });
    suite.add("lseek.negative_offset_for_data_or_hole_gives_ENXIO", [] {
        const int fd = make_open("f", "abc");
        CHECK_FAILS(ENXIO, lseek(fd, -1, SEEK_DATA));
        CHECK_FAILS(ENXIO, lseek(fd, -1, SEEK_HOLE));
    });
    suite.add("lseek.data_skips_a_hole", [] {
        const int fd = make_sparse();
        CHECK_RETURNS(4 * block, lseek(fd, block, SEEK_DATA));
        CHECK_RETURNS(4 * block, lseek(fd, 3 * block + 17, SEEK_DATA));
        CHECK_RETURNS(4 * block + 17, lseek(fd, 4 * block + 17, SEEK_DATA));
    });
    suite.add("lseek.hole_skips_data", [] {
        const int fd = make_sparse();
        CHECK_RETURNS(block, lseek(fd, 0, SEEK_HOLE));
        CHECK_RETURNS(block + 17, lseek(fd, block + 17, SEEK_HOLE));
        CHECK_RETURNS(5 * block, lseek(fd, 4 * block, SEEK_HOLE));
    });
    suite.add("lseek.no_data_in_the_last_hole_gives_ENXIO",
              [] { CHECK_FAILS(ENXIO, lseek(make_sparse(), 5 * block, SEEK_DATA)); });
    suite.add("lseek.data_and_hole_set_the_offset", [] {
        const int fd = make_sparse();
        CHECK_OK(lseek(fd, 2 * block, SEEK_DATA));
        CHECK_RETURNS(4 * block, lseek(fd, 0, SEEK_CUR));
        CHECK_FAILS(ENXIO, lseek(fd, 6 * block, SEEK_DATA));
        CHECK_RETURNS(4 * block, lseek(fd, 0, SEEK_CUR));
    });
    suite.add("lseek.sees_data_that_is_not_yet_written_back", [] {
        const int fd = make_open("f");
        CHECK_OK(ftruncate(fd, 8 * block));
        write_at(fd, 2 * block, pattern(block));
        CHECK_RETURNS(2 * block, lseek(fd, 0, SEEK_DATA));
        CHECK_RETURNS(3 * block, lseek(fd, 2 * block, SEEK_HOLE));
    });
    suite.add("lseek.file_of_one_hole_has_no_data", [] {
        const int fd = make_open("f");
        CHECK_OK(ftruncate(fd, 8 * block));
        CHECK_FAILS(ENXIO, lseek(fd, 0, SEEK_DATA));
        CHECK_RETURNS(0, lseek(fd, 0, SEEK_HOLE));
    });
}

}  // namespace

void add_seek_cases(Suite& suite) {
    add_positions(suite);
    add_data_and_holes(suite);
}

}  // namespace posix
