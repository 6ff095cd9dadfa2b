// SPDX-License-Identifier: Apache-2.0

// Far offsets, the largest file, and RLIMIT_FSIZE.

#include "cases.hpp"

#include <climits>

#include <csignal>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/resource.h>

namespace posix {
namespace {

constexpr off_t GiB = 1LL << 30;

void add_far_offsets(Suite& suite) {
    struct Row {
        const char* name;
        off_t offset;
    };
    static constexpr Row rows[] = {
        {"2_GiB_less_1", 2 * GiB - 1},
        {"2_GiB", 2 * GiB},
        {"4_GiB_less_1", 4 * GiB - 1},
        {"4_GiB", 4 * GiB},
        {"4_GiB_and_4097", 4 * GiB + 4097},
        {"1_TiB", 1024 * GiB},
        {"8_TiB", 8192 * GiB},
    };
    for (const Row& row : rows) {
        const off_t offset = row.offset;
        suite.add_row("large.write_and_read_at_" + std::string(row.name), [offset] {
            const int fd = make_open("f", "front");
            write_at(fd, offset, "far away");
            CHECK_SAME(offset + 8, fstat_of(fd).st_size);
            CHECK_SAME("far away", read_at(open_file("f", O_RDONLY), offset, 20));
            CHECK_SAME("front", read_at(fd, 0, 5));
            CHECK_SAME(std::string(100, '\0'), read_at(fd, offset / 2, 100));
        });
        suite.add_row("large.truncate_to_" + std::string(row.name), [offset] {
            const int fd = make_open("f", "front");
            CHECK_OK(truncate("f", offset));
            CHECK_SAME(offset, stat_of("f").st_size);
            CHECK_RETURNS(offset, lseek(fd, 0, SEEK_END));
            CHECK_RETURNS(2, write(fd, "xx", 2));
            CHECK_SAME("xx", read_at(fd, offset, 10));
        });
    }
}

void add_far_calls(Suite& suite) {
    suite.add("large.map_beyond_4_GiB", [] {
        const int fd = make_open("f");
        write_at(fd, 5 * GiB, "far away");
        char* map = static_cast<char*>(
            CHECK_OK(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 5 * GiB)));
        CHECK_SAME("far away", std::string_view(map, 8));
        map[0] = 'F';
        CHECK_OK(msync(map, 4096, MS_SYNC));
        CHECK_SAME("Far away", read_at(fd, 5 * GiB, 8));
    });
    suite.add("large.copy_file_range_beyond_4_GiB", [] {
        const int in = make_open("f");
        const int out = make_open("g");
        write_at(in, 5 * GiB, "far away");
        off_t from = 5 * GiB;
        off_t to = 6 * GiB;
        CHECK_RETURNS(8, copy_file_range(in, &from, out, &to, 8, 0));
        CHECK_SAME("far away", read_at(out, 6 * GiB, 8));
    });
    suite.add("large.punch_hole_beyond_4_GiB", [] {
        const int fd = make_open("f");
        write_at(fd, 5 * GiB, std::string(8192, 'x'));
        CHECK_NEEDS(either(EOPNOTSUPP, ENOSYS),
                    fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 5 * GiB, 4096));
        CHECK_SAME(std::string(4096, '\0') + std::string(4096, 'x'),
                   read_at(fd, 5 * GiB, 8192));
    });
    suite.add("large.lock_beyond_4_GiB_is_a_range_of_its_own", [] {
        const int fd = make_open("f");
        struct flock lock = {F_WRLCK, SEEK_SET, 5 * GiB, 10, 0};
        CHECK_OK(fcntl(fd, F_SETLK, &lock));
        in_child([] {
            const int other = open_file("f", O_RDWR);
            // The same range modulo 2^32 is free.
            struct flock low = {F_WRLCK, SEEK_SET, 1 * GiB, 10, 0};
            CHECK_OK(fcntl(other, F_SETLK, &low));
            struct flock high = {F_WRLCK, SEEK_SET, 5 * GiB + 9, 1, 0};
            CHECK_FAILS(either(EAGAIN, EACCES), fcntl(other, F_SETLK, &high));
        });
    });
    suite.add("large.write_at_the_last_offset_works_or_gives_EFBIG", [] {
        const int fd = make_open("f", "x");
        const ssize_t size = pwrite(fd, "x", 1, LLONG_MAX - 1);
        if (size < 0) CHECK_SAME(EFBIG, errno);
        CHECK_SAME(size < 0 ? 1 : LLONG_MAX, fstat_of(fd).st_size);
    });
    suite.add("large.write_at_what_off_t_cannot_hold_gives_EINVAL_or_EFBIG", [] {
        const int fd = make_open("f", "x");
        CHECK_FAILS(either(EINVAL, EFBIG, EOVERFLOW), pwrite(fd, "x", 1, LLONG_MAX));
        CHECK_SAME(1, fstat_of(fd).st_size);
    });
    suite.add("large.read_at_the_last_offset_gives_0_or_EINVAL", [] {
        char byte = 0;
        const ssize_t size = pread(make_open("f", "x"), &byte, 1, LLONG_MAX - 1);
        if (size != 0) CHECK_SAME(EINVAL, errno);
    });
}

void set_size_limit(rlim_t bytes) {
    rlimit limit = {};
    CHECK_OK(getrlimit(RLIMIT_FSIZE, &limit));
    limit.rlim_cur = bytes;
    CHECK_OK(setrlimit(RLIMIT_FSIZE, &limit));
}

void add_size_limit(Suite& suite) {
    suite.add("large.write_beyond_RLIMIT_FSIZE_raises_SIGXFSZ", [] {
        const int fd = make_open("f");
        CHECK_SAME(SIGXFSZ, signal_from([fd] {
                       set_size_limit(1000);
                       const ssize_t size = pwrite(fd, "x", 1, 1000);
                       fail("pwrite: expected SIGXFSZ, came " + std::to_string(size));
                   }));
        CHECK_SAME(0, fstat_of(fd).st_size);
    });
    suite.add("large.write_beyond_RLIMIT_FSIZE_gives_EFBIG", [] {
        const int fd = make_open("f");
        set_size_limit(1000);
        signal(SIGXFSZ, SIG_IGN);
        CHECK_FAILS(EFBIG, pwrite(fd, "x", 1, 1000));
        CHECK_RETURNS(1, pwrite(fd, "x", 1, 999));
    });
    suite.add("large.write_across_RLIMIT_FSIZE_is_short", [] {
        const int fd = make_open("f");
        set_size_limit(1000);
        signal(SIGXFSZ, SIG_IGN);
        const std::string data(100, 'x');
        CHECK_RETURNS(50, pwrite(fd, data.data(), data.size(), 950));
        CHECK_SAME(1000, fstat_of(fd).st_size);
    });
    suite.add("large.append_beyond_RLIMIT_FSIZE_gives_EFBIG", [] {
        make_file("f", std::string(1000, 'x'));
        const int fd = open_file("f", O_WRONLY | O_APPEND);
        set_size_limit(1000);
        signal(SIGXFSZ, SIG_IGN);
        CHECK_FAILS(EFBIG, write(fd, "x", 1));
    });
    suite.add("large.truncate_beyond_RLIMIT_FSIZE_gives_EFBIG", [] {
        const int fd = make_open("f", "x");
        set_size_limit(1000);
        signal(SIGXFSZ, SIG_IGN);
        CHECK_FAILS(EFBIG, ftruncate(fd, 1001));
        CHECK_FAILS(EFBIG, truncate("f", 1001));
        CHECK_OK(ftruncate(fd, 1000));
    });
    suite.add("large.fallocate_beyond_RLIMIT_FSIZE_gives_EFBIG", [] {
        const int fd = make_open("f", "x");
        set_size_limit(1000);
        signal(SIGXFSZ, SIG_IGN);
        CHECK_NEEDS(either(EOPNOTSUPP, ENOSYS), fallocate(fd, 0, 0, 1000));
        CHECK_FAILS(EFBIG, fallocate(fd, 0, 0, 1001));
    });
}

}  // namespace

void add_large_offset_cases(Suite& suite) {
    add_far_offsets(suite);
    add_far_calls(suite);
    add_size_limit(suite);
}

}  // namespace posix
