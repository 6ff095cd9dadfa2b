// SPDX-License-Identifier: Apache-2.0

// copy_file_range(2), sendfile(2), splice(2): the kernel moves the bytes.

#include "cases.hpp"

#include <climits>

#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

namespace posix {
namespace {

ssize_t copy(int in, off_t in_offset, int out, off_t out_offset, std::size_t size) {
    return copy_file_range(in, &in_offset, out, &out_offset, size, 0);
}

/// A copy may be short; this goes on until the end.
void copy_all(int in, off_t in_offset, int out, off_t out_offset, std::size_t size) {
    while (size > 0) {
        const ssize_t count =
            CHECK_OK(copy_file_range(in, &in_offset, out, &out_offset, size, 0));
        if (count == 0) return;
        size -= static_cast<std::size_t>(count);
    }
}

void add_copies(Suite& suite) {
    suite.add("copy_file_range.copies_a_file", [] {
        const int in = make_open("f", pattern(3'000'001));
        const int out = make_open("g");
        copy_all(in, 0, out, 0, 3'000'001);
        CHECK(content_of("g") == pattern(3'000'001));
    });
    suite.add("copy_file_range.copies_odd_ranges", [] {
        const int in = make_open("f", pattern(300'000));
        const int out = make_open("g", std::string(300'000, 'x'));
        copy_all(in, 4097, out, 77'777, 99'999);
        std::string expected(300'000, 'x');
        expected.replace(77'777, 99'999, pattern(300'000).substr(4097, 99'999));
        CHECK(content_of("g") == expected);
    });
    suite.add("copy_file_range.with_offsets_leaves_both_descriptors", [] {
        const int in = make_open("f", "abcdef");
        const int out = make_open("g");
        off_t from = 2;
        off_t to = 1;
        CHECK_RETURNS(3, copy_file_range(in, &from, out, &to, 3, 0));
        CHECK_SAME(5, from);
        CHECK_SAME(4, to);
        CHECK_RETURNS(0, lseek(in, 0, SEEK_CUR));
        CHECK_RETURNS(0, lseek(out, 0, SEEK_CUR));
        CHECK_SAME(std::string_view("\0cde", 4), content_of("g"));
    });
    suite.add("copy_file_range.without_offsets_moves_both_descriptors", [] {
        const int in = make_open("f", "abcdef");
        const int out = make_open("g");
        CHECK_OK(lseek(in, 1, SEEK_SET));
        CHECK_RETURNS(2, copy_file_range(in, nullptr, out, nullptr, 2, 0));
        CHECK_RETURNS(3, lseek(in, 0, SEEK_CUR));
        CHECK_RETURNS(2, lseek(out, 0, SEEK_CUR));
    });
    suite.add("copy_file_range.ends_at_the_end_of_the_source", [] {
        const int in = make_open("f", "abc");
        const int out = make_open("g");
        CHECK_RETURNS(2, copy(in, 1, out, 0, 100));
        CHECK_RETURNS(0, copy(in, 3, out, 0, 100));
        CHECK_RETURNS(0, copy(in, 1000, out, 0, 100));
        CHECK_SAME("bc", content_of("g"));
    });
    suite.add("copy_file_range.of_0_bytes_gives_0",
              [] { CHECK_RETURNS(0, copy(make_open("f", "abc"), 0, make_open("g"), 0, 0)); });
    suite.add("copy_file_range.within_a_file_works_without_overlap", [] {
        const int fd = make_open("f", "abcdef");
        CHECK_RETURNS(3, copy(fd, 0, fd, 3, 3));
        CHECK_SAME("abcabc", content_of("f"));
    });
    suite.add("copy_file_range.sees_what_was_just_written", [] {
        const int in = make_open("f", std::string(10'000, 'o'));
        const int out = make_open("g");
        write_at(in, 0, std::string(10'000, 'n'));
        copy_all(in, 0, out, 0, 10'000);
        CHECK_SAME(std::string(10'000, 'n'), content_of("g"));
    });
    suite.add("copy_file_range.replaces_what_was_cached_of_the_target", [] {
        const int in = make_open("f", std::string(10'000, 'n'));
        const int out = make_open("g", std::string(10'000, 'o'));
        CHECK_SAME(std::string(10'000, 'o'), content_of("g"));
        copy_all(in, 0, out, 0, 10'000);
        CHECK_SAME(std::string(10'000, 'n'), content_of("g"));
    });
}

void add_copy_errors(Suite& suite) {
    suite.add("copy_file_range.overlap_within_a_file_gives_EINVAL", [] {
        const int fd = make_open("f", "abcdef");
        CHECK_FAILS(EINVAL, copy(fd, 0, fd, 1, 3));
        CHECK_SAME("abcdef", content_of("f"));
    });
    suite.add("copy_file_range.with_flags_gives_EINVAL", [] {
        const int in = make_open("f", "abc");
        CHECK_FAILS(EINVAL, copy_file_range(in, nullptr, make_open("g"), nullptr, 1, 1));
    });
    suite.add("copy_file_range.wrong_open_modes_give_EBADF", [] {
        make_file("f", "abc");
        make_file("g");
        const int both = open_file("g", O_RDWR);
        CHECK_FAILS(EBADF, copy(open_file("f", O_WRONLY), 0, both, 0, 1));
        CHECK_FAILS(EBADF, copy(open_file("f", O_RDONLY), 0, open_file("g", O_RDONLY), 0, 1));
        CHECK_FAILS(EBADF, copy(bad_descriptor, 0, both, 0, 1));
    });
    suite.add("copy_file_range.to_append_descriptor_gives_EBADF", [] {
        make_file("g");
        const int out = open_file("g", O_WRONLY | O_APPEND);
        CHECK_FAILS(EBADF, copy(make_open("f", "abc"), 0, out, 0, 1));
    });
    suite.add("copy_file_range.of_directory_gives_EISDIR", [] {
        CHECK_FAILS(EISDIR, copy(open_file(".", O_RDONLY), 0, make_open("g"), 0, 1));
    });
    suite.add("copy_file_range.of_pipe_gives_EINVAL", [] {
        const int fd = make_open("f", "abc");
        CHECK_FAILS(EINVAL, copy_file_range(make_pipe().read_end, nullptr, fd, nullptr, 1, 0));
        CHECK_FAILS(EINVAL, copy_file_range(fd, nullptr, make_pipe().write_end, nullptr, 1, 0));
    });
    suite.add("copy_file_range.to_the_last_offset_gives_EFBIG_or_EOVERFLOW", [] {
        const int in = make_open("f", "abc");
        CHECK_FAILS(either(EFBIG, EOVERFLOW), copy(in, 0, make_open("g"), LLONG_MAX, 3));
    });
    suite.add("copy_file_range.to_another_file_system_works_or_gives_EXDEV", [] {
        const int in = make_open("f", "abc");
        const int out = CHECK_OK(memfd_create("elsewhere", 0));
        const ssize_t size = copy(in, 0, out, 0, 3);
        if (size < 0) CHECK_SAME(EXDEV, errno);
    });
}

void add_sendfile(Suite& suite) {
    suite.add("sendfile.copies_file_to_file", [] {
        const int in = make_open("f", pattern(500'000));
        const int out = make_open("g");
        CHECK_RETURNS(500'000, sendfile(out, in, nullptr, 500'000));
        CHECK(content_of("g") == pattern(500'000));
        CHECK_RETURNS(500'000, lseek(in, 0, SEEK_CUR));
    });
    suite.add("sendfile.with_offset_leaves_the_source", [] {
        const int in = make_open("f", "abcdef");
        const int out = make_open("g");
        off_t offset = 2;
        CHECK_RETURNS(3, sendfile(out, in, &offset, 3));
        CHECK_SAME(5, offset);
        CHECK_RETURNS(0, lseek(in, 0, SEEK_CUR));
        CHECK_SAME("cde", content_of("g"));
    });
    suite.add("sendfile.to_a_socket_gives_the_content", [] {
        int ends[2];
        CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
        CHECK_RETURNS(6, sendfile(ends[0], make_open("f", "abcdef"), nullptr, 6));
        char buffer[10];
        CHECK_RETURNS(6, read(ends[1], buffer, sizeof buffer));
        CHECK_SAME("abcdef", std::string_view(buffer, 6));
    });
    suite.add("sendfile.beyond_the_end_gives_0", [] {
        off_t offset = 1000;
        CHECK_RETURNS(0, sendfile(make_open("g"), make_open("f", "abc"), &offset, 3));
    });
    suite.add("sendfile.wrong_open_modes_give_EBADF", [] {
        make_file("f", "abc");
        make_file("g");
        CHECK_FAILS(EBADF,
                    sendfile(open_file("g", O_RDONLY), open_file("f", O_RDONLY), nullptr, 3));
        CHECK_FAILS(EBADF,
                    sendfile(open_file("g", O_WRONLY), open_file("f", O_WRONLY), nullptr, 3));
    });
    suite.add("sendfile.to_append_descriptor_gives_EINVAL", [] {
        make_file("g");
        const int out = open_file("g", O_WRONLY | O_APPEND);
        CHECK_FAILS(EINVAL, sendfile(out, make_open("f", "abc"), nullptr, 3));
    });
    suite.add("sendfile.with_negative_offset_gives_EINVAL", [] {
        off_t offset = -1;
        CHECK_FAILS(EINVAL, sendfile(make_open("g"), make_open("f", "abc"), &offset, 3));
    });
}

void add_splice(Suite& suite) {
    suite.add("splice.moves_file_through_pipe_to_file", [] {
        const Pipe pipe = make_pipe();
        const int in = make_open("f", pattern(200'000));
        const int out = make_open("g");
        for (;;) {
            const ssize_t size =
                CHECK_OK(splice(in, nullptr, pipe.write_end, nullptr, 50'001, 0));
            if (size == 0) break;
            for (ssize_t left = size; left > 0;) {
                left -= CHECK_OK(splice(pipe.read_end,
                                        nullptr,
                                        out,
                                        nullptr,
                                        static_cast<std::size_t>(left),
                                        SPLICE_F_MOVE));
            }
        }
        CHECK(content_of("g") == pattern(200'000));
    });
    suite.add("splice.with_offset_leaves_the_descriptor", [] {
        const Pipe pipe = make_pipe();
        const int fd = make_open("f", "abcdef");
        off_t offset = 2;
        CHECK_RETURNS(3, splice(fd, &offset, pipe.write_end, nullptr, 3, 0));
        CHECK_SAME(5, offset);
        CHECK_RETURNS(0, lseek(fd, 0, SEEK_CUR));
        offset = 0;
        CHECK_RETURNS(3, splice(pipe.read_end, nullptr, fd, &offset, 3, 0));
        CHECK_SAME("cdedef", content_of("f"));
    });
    suite.add("splice.at_the_end_of_a_file_gives_0", [] {
        const Pipe pipe = make_pipe();
        CHECK_RETURNS(0, splice(make_open("f"), nullptr, pipe.write_end, nullptr, 10, 0));
    });
    suite.add("splice.without_a_pipe_gives_EINVAL", [] {
        const int in = make_open("f", "abc");
        CHECK_FAILS(EINVAL, splice(in, nullptr, make_open("g"), nullptr, 3, 0));
    });
    suite.add("splice.with_offset_of_a_pipe_gives_ESPIPE", [] {
        const Pipe pipe = make_pipe();
        off_t offset = 0;
        CHECK_FAILS(ESPIPE,
                    splice(make_open("f", "abc"), nullptr, pipe.write_end, &offset, 3, 0));
    });
    suite.add("splice.to_append_descriptor_gives_EINVAL", [] {
        const Pipe pipe = make_pipe();
        CHECK_RETURNS(1, write(pipe.write_end, "x", 1));
        make_file("f");
        const int out = open_file("f", O_WRONLY | O_APPEND);
        CHECK_FAILS(EINVAL, splice(pipe.read_end, nullptr, out, nullptr, 1, 0));
    });
    suite.add("splice.wrong_open_modes_give_EBADF", [] {
        make_file("f", "abc");
        const Pipe pipe = make_pipe();
        CHECK_FAILS(EBADF,
                    splice(open_file("f", O_WRONLY), nullptr, pipe.write_end, nullptr, 1, 0));
        CHECK_RETURNS(1, write(pipe.write_end, "x", 1));
        CHECK_FAILS(EBADF,
                    splice(pipe.read_end, nullptr, open_file("f", O_RDONLY), nullptr, 1, 0));
    });
    suite.add("splice.from_empty_pipe_nonblocking_gives_EAGAIN", [] {
        const Pipe pipe = make_pipe();
        CHECK_FAILS(
            EAGAIN,
            splice(pipe.read_end, nullptr, make_open("f"), nullptr, 1, SPLICE_F_NONBLOCK));
    });
}

}  // namespace

void add_copy_cases(Suite& suite) {
    add_copies(suite);
    add_copy_errors(suite);
    add_sendfile(suite);
    add_splice(suite);
}

}  // namespace posix
