// SPDX-License-Identifier: Apache-2.0

// read, write, pread, pwrite: contents, offsets, errors.

#include "cases.hpp"

#include <fcntl.h>

namespace posix {
namespace {

void add_reading(Suite& suite) {
    suite.add("read.advances_the_offset", [] {
        const int fd = make_open("f", "abcdef");
        char buffer[4] = {};
        CHECK_RETURNS(4, read(fd, buffer, 4));
        CHECK_SAME("abcd", std::string_view(buffer, 4));
        CHECK_RETURNS(4, lseek(fd, 0, SEEK_CUR));
    });
    suite.add("read.is_short_at_end_of_file_and_then_0", [] {
        const int fd = make_open("f", "abc");
        char buffer[10] = {};
        CHECK_RETURNS(3, read(fd, buffer, sizeof buffer));
        CHECK_RETURNS(0, read(fd, buffer, sizeof buffer));
    });
    suite.add("read.beyond_end_of_file_gives_0", [] {
        const int fd = make_open("f", "abc");
        char byte = 0;
        CHECK_RETURNS(0, pread(fd, &byte, 1, 1'000'000));
        CHECK_OK(lseek(fd, 1'000'000, SEEK_SET));
        CHECK_RETURNS(0, read(fd, &byte, 1));
    });
    suite.add("read.of_0_bytes_gives_0", [] {
        const int fd = make_open("f", "abc");
        char byte = 0;
        CHECK_RETURNS(0, read(fd, &byte, 0));
    });
    suite.add("read.into_bad_address_gives_EFAULT",
              [] { CHECK_FAILS(EFAULT, read(make_open("f", "abc"), bad_address(), 3)); });
    suite.add("read.of_empty_file_gives_0", [] {
        char byte = 0;
        CHECK_RETURNS(0, read(make_open("f"), &byte, 1));
    });
    suite.add("read.of_closed_descriptor_gives_EBADF", [] {
        char byte = 0;
        CHECK_FAILS(EBADF, read(bad_descriptor, &byte, 1));
        CHECK_FAILS(EBADF, pread(bad_descriptor, &byte, 1, 0));
    });
    suite.add("read.of_a_hole_gives_zeros", [] {
        const int fd = make_open("f");
        write_at(fd, 100'000, "x");
        CHECK_SAME(std::string(100'000, '\0') + "x", content_of(fd));
    });
    suite.add("pread.leaves_the_offset", [] {
        const int fd = make_open("f", "abcdef");
        CHECK_SAME("cd", read_at(fd, 2, 2));
        CHECK_RETURNS(0, lseek(fd, 0, SEEK_CUR));
    });
    suite.add("pread.at_negative_offset_gives_EINVAL", [] {
        char byte = 0;
        CHECK_FAILS(EINVAL, pread(make_open("f", "x"), &byte, 1, -1));
    });
    suite.add("pread.of_pipe_gives_ESPIPE", [] {
        char byte = 0;
        CHECK_FAILS(ESPIPE, pread(make_pipe().read_end, &byte, 1, 0));
    });
    suite.add("pread.of_fifo_in_the_directory_gives_ESPIPE", [] {
        CHECK_OK(mkfifo("p", 0600));
        char byte = 0;
        CHECK_FAILS(ESPIPE, pread(open_file("p", O_RDWR), &byte, 1, 0));
    });
}

void add_writing(Suite& suite) {
    suite.add("write.extends_the_file_and_advances", [] {
        const int fd = make_open("f", "ab");
        CHECK_OK(lseek(fd, 1, SEEK_SET));
        CHECK_RETURNS(3, write(fd, "XYZ", 3));
        CHECK_SAME("aXYZ", content_of("f"));
        CHECK_SAME(4, fstat_of(fd).st_size);
        CHECK_RETURNS(4, lseek(fd, 0, SEEK_CUR));
    });
    suite.add("write.in_the_middle_leaves_the_rest", [] {
        const int fd = make_open("f", "abcdef");
        CHECK_RETURNS(2, pwrite(fd, "XY", 2, 2));
        CHECK_SAME("abXYef", content_of("f"));
    });
    suite.add("write.beyond_the_end_makes_a_hole", [] {
        const int fd = make_open("f", "ab");
        CHECK_RETURNS(1, pwrite(fd, "c", 1, 5));
        CHECK_SAME(std::string_view("ab\0\0\0c", 6), content_of("f"));
    });
    suite.add("write.of_0_bytes_changes_nothing", [] {
        const int fd = make_open("f", "ab");
        CHECK_RETURNS(0, write(fd, "", 0));
        CHECK_RETURNS(0, pwrite(fd, "", 0, 100));
        CHECK_SAME(2, fstat_of(fd).st_size);
    });
    suite.add("write.from_bad_address_gives_EFAULT", [] {
        const int fd = make_open("f");
        CHECK_FAILS(EFAULT, write(fd, bad_address(), 3));
        CHECK_SAME(0, fstat_of(fd).st_size);
    });
    suite.add("write.to_closed_descriptor_gives_EBADF", [] {
        CHECK_FAILS(EBADF, write(bad_descriptor, "x", 1));
        CHECK_FAILS(EBADF, pwrite(bad_descriptor, "x", 1, 0));
    });
    suite.add("pwrite.leaves_the_offset", [] {
        const int fd = make_open("f", "abcdef");
        CHECK_RETURNS(2, pwrite(fd, "XY", 2, 4));
        CHECK_RETURNS(0, lseek(fd, 0, SEEK_CUR));
    });
    suite.add("pwrite.at_negative_offset_gives_EINVAL",
              [] { CHECK_FAILS(EINVAL, pwrite(make_open("f"), "x", 1, -1)); });
    suite.add("pwrite.to_pipe_gives_ESPIPE",
              [] { CHECK_FAILS(ESPIPE, pwrite(make_pipe().write_end, "x", 1, 0)); });
    suite.add("write.is_seen_by_another_descriptor_at_once", [] {
        const int one = make_open("f", "old");
        const int two = open_file("f", O_RDONLY);
        CHECK_SAME("old", content_of(two));
        write_at(one, 0, "newer");
        CHECK_SAME("newer", content_of(two));
        CHECK_SAME(5, fstat_of(two).st_size);
    });
    suite.add("write.is_seen_by_another_process_at_once", [] {
        const int fd = make_open("f", "old");
        in_child([] { write_at(open_file("f", O_WRONLY), 0, "newer"); });
        CHECK_SAME("newer", content_of(fd));
    });
    suite.add("write.survives_close_and_reopen", [] {
        make_file("f", pattern(50'000));
        CHECK_SAME(pattern(50'000), content_of("f"));
    });
    suite.add("write.by_a_hard_link_is_seen_by_the_other", [] {
        const int fd = make_open("f", "old");
        CHECK_OK(link("f", "g"));
        write_at(open_file("g", O_WRONLY), 0, "new");
        CHECK_SAME("new", content_of(fd));
    });
}

/// Lengths and offsets around the sizes that page cache, FUSE requests and blocks have.
void add_sizes(Suite& suite) {
    for (const off_t offset : {0, 1, 4095, 4096, 131'071, 1'048'577}) {
        for (const std::size_t length : {1, 4095, 4096, 4097, 131'073, 1'500'001}) {
            const std::string name =
                "write." + std::to_string(length) + "_bytes_at_" + std::to_string(offset);
            suite.add_row(name, [=] {
                const int fd = make_open("f", "front");
                const std::string data = pattern(length);
                write_at(fd, offset, data);
                // Asks for what is stored, not for what is still in memory.
                CHECK_OK(fsync(fd));
                CHECK_SAME(0, posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
                const auto start = static_cast<std::size_t>(offset);
                std::string model = "front";
                if (model.size() < start + length) model.resize(start + length);
                model.replace(start, length, data);
                CHECK(content_of("f") == model);
            });
        }
    }
}

void add_models(Suite& suite) {
    suite.add("write.random_pieces_add_up_to_the_same_file", [] {
        constexpr std::size_t size_max = 400'000;
        std::string model;
        const int fd = make_open("f");
        unsigned state = 12345;
        const auto next = [&state](std::size_t limit) {
            state = state * 1664525U + 1013904223U;
            return static_cast<std::size_t>(state >> 8) % limit;
        };
        for (unsigned round = 0; round < 300; ++round) {
            const std::size_t offset = next(size_max);
            const std::string piece = pattern(1 + next(9000), round);
            write_at(fd, static_cast<off_t>(offset), piece);
            if (model.size() < offset + piece.size()) model.resize(offset + piece.size());
            model.replace(offset, piece.size(), piece);
            const std::size_t at = next(size_max);
            const std::string expected = at < model.size() ? model.substr(at, 5000) : "";
            CHECK(read_at(fd, static_cast<off_t>(at), 5000) == expected);
        }
        CHECK(content_of("f") == model);
    });
    suite.add("write.of_8_MiB_in_one_call_is_complete", [] {
        const std::string data = pattern(8 << 20);
        const int fd = make_open("f");
        CHECK_RETURNS(8 << 20, write(fd, data.data(), data.size()));
        CHECK(content_of(fd) == data);
    });
    suite.add("read.of_8_MiB_in_one_call_is_complete", [] {
        std::string data(8 << 20, '\0');
        const int fd = make_open("f", pattern(8 << 20));
        CHECK_RETURNS(8 << 20, read(fd, data.data(), data.size()));
        CHECK(data == pattern(8 << 20));
    });
    suite.add("write.byte_by_byte_adds_up", [] {
        const std::string data = pattern(5000);
        const int fd = make_open("f");
        for (const char& c : data) CHECK_RETURNS(1, write(fd, &c, 1));
        CHECK(content_of("f") == data);
    });
    suite.add("write.backwards_adds_up", [] {
        const std::string data = pattern(100'000);
        const int fd = make_open("f");
        for (std::size_t end = data.size(); end > 0; end -= 1000) {
            write_at(fd, static_cast<off_t>(end - 1000), data.substr(end - 1000, 1000));
        }
        CHECK(content_of("f") == data);
    });
}

void add_advice(Suite& suite) {
    suite.add("fadvise.accepts_each_advice", [] {
        const int fd = make_open("f", pattern(10'000));
        for (const int advice : {POSIX_FADV_NORMAL,
                                 POSIX_FADV_SEQUENTIAL,
                                 POSIX_FADV_RANDOM,
                                 POSIX_FADV_NOREUSE,
                                 POSIX_FADV_WILLNEED,
                                 POSIX_FADV_DONTNEED}) {
            CHECK_SAME(0, posix_fadvise(fd, 0, 0, advice));
        }
        CHECK(content_of(fd) == pattern(10'000));
    });
    suite.add("fadvise.unknown_advice_gives_EINVAL",
              [] { CHECK_SAME(EINVAL, posix_fadvise(make_open("f"), 0, 0, 99)); });
    suite.add("fadvise.on_pipe_gives_ESPIPE", [] {
        CHECK_SAME(ESPIPE, posix_fadvise(make_pipe().read_end, 0, 0, POSIX_FADV_NORMAL));
    });
    suite.add("fadvise.on_closed_descriptor_gives_EBADF", [] {
        CHECK_SAME(EBADF, posix_fadvise(bad_descriptor, 0, 0, POSIX_FADV_NORMAL));
    });
    suite.add("readahead.works_on_a_file",
              [] { CHECK_RETURNS(0, readahead(make_open("f", pattern(10'000)), 0, 10'000)); });
    suite.add("readahead.on_write_only_descriptor_gives_EBADF", [] {
        make_file("f");
        CHECK_FAILS(EBADF, readahead(open_file("f", O_WRONLY), 0, 1));
    });
    suite.add("readahead.on_pipe_gives_EINVAL",
              [] { CHECK_FAILS(EINVAL, readahead(make_pipe().read_end, 0, 1)); });
}

}  // namespace

void add_read_write_cases(Suite& suite) {
    add_reading(suite);
    add_writing(suite);
    add_sizes(suite);
    add_models(suite);
    add_advice(suite);
}

}  // namespace posix
