// SPDX-License-Identifier: Apache-2.0

// readv, writev, preadv2, pwritev2.

#include "cases.hpp"

#include <limits.h>
#include <sys/uio.h>
#include <vector>

namespace posix {
namespace {

iovec part(std::string& data) {
    return {data.data(), data.size()};
}

void add_contents(Suite& suite) {
    suite.add("writev.writes_the_parts_in_order", [] {
        std::string a = "one ", b, c = "two";
        const iovec parts[] = {part(a), part(b), part(c)};
        const int fd = make_open("f");
        CHECK_RETURNS(7, writev(fd, parts, 3));
        CHECK_SAME("one two", content_of("f"));
    });
    suite.add("readv.fills_the_parts_in_order", [] {
        std::string a(3, '-'), b(10, '-');
        const iovec parts[] = {part(a), part(b)};
        CHECK_RETURNS(6, readv(make_open("f", "abcdef"), parts, 2));
        CHECK_SAME("abc", a);
        CHECK_SAME("def-------", b);
    });
    suite.add("writev.of_1024_parts_works", [] {
        std::string data = pattern(1024);
        std::vector<iovec> parts;
        for (char& c : data) parts.push_back({&c, 1});
        CHECK_RETURNS(1024, writev(make_open("f"), parts.data(), 1024));
        CHECK(content_of("f") == pattern(1024));
    });
    suite.add("readv.of_1024_parts_works", [] {
        std::string data(1024, '\0');
        std::vector<iovec> parts;
        for (char& c : data) parts.push_back({&c, 1});
        CHECK_RETURNS(1024, readv(make_open("f", pattern(1024)), parts.data(), 1024));
        CHECK(data == pattern(1024));
    });
    suite.add("writev.of_odd_large_parts_works", [] {
        std::string a = pattern(100'001, 1), b = pattern(300'003, 2), c = pattern(7, 3);
        const iovec parts[] = {part(a), part(b), part(c)};
        CHECK_RETURNS(400'011, writev(make_open("f"), parts, 3));
        CHECK(content_of("f") == a + b + c);
    });
    suite.add("pwritev.leaves_the_offset", [] {
        std::string a = "XY";
        const iovec parts[] = {part(a)};
        const int fd = make_open("f", "abcdef");
        CHECK_RETURNS(2, pwritev(fd, parts, 1, 3));
        CHECK_SAME("abcXYf", content_of("f"));
        CHECK_RETURNS(0, lseek(fd, 0, SEEK_CUR));
    });
    suite.add("preadv.leaves_the_offset", [] {
        std::string a(2, '-');
        const iovec parts[] = {part(a)};
        const int fd = make_open("f", "abcdef");
        CHECK_RETURNS(2, preadv(fd, parts, 1, 3));
        CHECK_SAME("de", a);
        CHECK_RETURNS(0, lseek(fd, 0, SEEK_CUR));
    });
    suite.add("preadv2.at_minus_1_uses_the_offset", [] {
        std::string a(2, '-');
        const iovec parts[] = {part(a)};
        const int fd = make_open("f", "abcdef");
        CHECK_RETURNS(2, preadv2(fd, parts, 1, -1, 0));
        CHECK_RETURNS(2, preadv2(fd, parts, 1, -1, 0));
        CHECK_SAME("cd", a);
    });
}

void add_errors(Suite& suite) {
    suite.add("writev.of_0_parts_gives_0", [] {
        const iovec none = {};
        CHECK_RETURNS(0, writev(make_open("f"), &none, 0));
    });
    suite.add("writev.of_negative_count_gives_EINVAL", [] {
        const iovec none = {};
        volatile int count = -1;  // or the compiler refuses the call
        CHECK_FAILS(EINVAL, writev(make_open("f"), &none, count));
    });
    suite.add("writev.of_more_than_IOV_MAX_parts_gives_EINVAL", [] {
        char byte = 'x';
        const std::vector<iovec> parts(IOV_MAX + 1, iovec{&byte, 1});
        CHECK_FAILS(EINVAL, writev(make_open("f"), parts.data(), IOV_MAX + 1));
        CHECK_SAME(0, stat_of("f").st_size);
    });
    suite.add("readv.of_lengths_beyond_SSIZE_MAX_gives_EINVAL", [] {
        char byte = 0;
        const iovec parts[] = {{&byte, 1}, {&byte, static_cast<std::size_t>(SSIZE_MAX) + 1}};
        CHECK_FAILS(EINVAL, readv(make_open("f", "ab"), parts, 2));
    });
    suite.add("readv.of_bad_vector_address_gives_EFAULT", [] {
        const auto* parts = reinterpret_cast<const iovec*>(bad_address());
        CHECK_FAILS(EFAULT, readv(make_open("f", "ab"), parts, 1));
    });
    suite.add("writev.with_wrong_open_mode_gives_EBADF", [] {
        make_file("f", "x");
        char byte = 0;
        const iovec parts[] = {{&byte, 1}};
        CHECK_FAILS(EBADF, writev(open_file("f", O_RDONLY), parts, 1));
        CHECK_FAILS(EBADF, readv(open_file("f", O_WRONLY), parts, 1));
        CHECK_FAILS(EBADF, readv(bad_descriptor, parts, 1));
    });
    suite.add("preadv.at_negative_offset_gives_EINVAL", [] {
        char byte = 0;
        const iovec parts[] = {{&byte, 1}};
        CHECK_FAILS(EINVAL, preadv(make_open("f", "x"), parts, 1, -1));
        CHECK_FAILS(EINVAL, preadv2(open_file("f", O_RDONLY), parts, 1, -2, 0));
    });
    suite.add("preadv.of_pipe_gives_ESPIPE", [] {
        char byte = 0;
        const iovec parts[] = {{&byte, 1}};
        CHECK_FAILS(ESPIPE, preadv(make_pipe().read_end, parts, 1, 0));
    });
    suite.add("readv.of_directory_gives_EISDIR", [] {
        char byte = 0;
        const iovec parts[] = {{&byte, 1}};
        CHECK_FAILS(EISDIR, readv(open_file(".", O_RDONLY), parts, 1));
    });
}

void add_flags(Suite& suite) {
    suite.add("pwritev2.append_flag_writes_at_the_end", [] {
        std::string a = "XY";
        const iovec parts[] = {part(a)};
        const int fd = make_open("f", "abc");
        CHECK_NEEDS(EOPNOTSUPP, pwritev2(fd, parts, 1, 0, RWF_APPEND));
        CHECK_SAME("abcXY", content_of("f"));
    });
    suite.add("pwritev2.sync_flags_write_as_usual", [] {
        std::string a = "XY";
        const iovec parts[] = {part(a)};
        const int fd = make_open("f", "abcdef");
        CHECK_RETURNS(2, pwritev2(fd, parts, 1, 0, RWF_SYNC));
        CHECK_RETURNS(2, pwritev2(fd, parts, 1, 4, RWF_DSYNC));
        CHECK_SAME("XYcdXY", content_of("f"));
    });
    suite.add("preadv2.nowait_flag_reads_or_gives_EAGAIN", [] {
        std::string a(3, '-');
        const iovec parts[] = {part(a)};
        const int fd = make_open("f", "abc");
        const ssize_t size = preadv2(fd, parts, 1, 0, RWF_NOWAIT);
        if (size < 0) {
            CHECK(errno == EAGAIN || errno == EOPNOTSUPP);
        } else {
            CHECK_SAME("abc", a.substr(0, 3));
        }
    });
    suite.add("preadv2.unknown_flag_gives_EOPNOTSUPP", [] {
        char byte = 0;
        const iovec parts[] = {{&byte, 1}};
        const int fd = make_open("f", "x");
        CHECK_FAILS(EOPNOTSUPP, preadv2(fd, parts, 1, 0, 0x4000'0000));
        CHECK_FAILS(EOPNOTSUPP, pwritev2(fd, parts, 1, 0, 0x4000'0000));
    });
}

}  // namespace

void add_vector_io_cases(Suite& suite) {
    add_contents(suite);
    add_errors(suite);
    add_flags(suite);
}

}  // namespace posix
