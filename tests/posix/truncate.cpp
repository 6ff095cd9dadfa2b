// SPDX-License-Identifier: Apache-2.0

// truncate(2) and ftruncate(2).

#include "cases.hpp"

#include <climits>

#include <sys/mman.h>
#include <sys/socket.h>

namespace posix {
namespace {

void add_sizes(Suite& suite) {
    suite.add("truncate.shortens_a_file", [] {
        make_file("f", "abcdef");
        CHECK_OK(truncate("f", 2));
        CHECK_SAME("ab", content_of("f"));
    });
    suite.add("truncate.extends_with_zeros", [] {
        make_file("f", "ab");
        CHECK_OK(truncate("f", 5));
        CHECK_SAME(std::string_view("ab\0\0\0", 5), content_of("f"));
    });
    suite.add("truncate.to_the_same_size_keeps_the_content", [] {
        make_file("f", "ab");
        CHECK_OK(truncate("f", 2));
        CHECK_SAME("ab", content_of("f"));
    });
    suite.add("truncate.follows_symlink", [] {
        make_file("f", "abc");
        make_symlink("f", "s");
        CHECK_OK(truncate("s", 1));
        CHECK_SAME("a", content_of("f"));
        CHECK_SAME(1, lstat_of("s").st_size);
    });
    suite.add("truncate.frees_blocks", [] {
        make_file("f", pattern(1 << 20));
        CHECK_OK(fsync(open_file("f", O_RDONLY)));
        const auto before = stat_of("f").st_blocks;
        CHECK_OK(truncate("f", 4096));
        CHECK(stat_of("f").st_blocks < before);
    });
    suite.add("ftruncate.leaves_the_offset", [] {
        const int fd = make_open("f", "abcdef");
        CHECK_OK(lseek(fd, 4, SEEK_SET));
        CHECK_OK(ftruncate(fd, 2));
        CHECK_RETURNS(4, lseek(fd, 0, SEEK_CUR));
        CHECK_RETURNS(1, write(fd, "x", 1));
        CHECK_SAME(std::string_view("ab\0\0x", 5), content_of("f"));
    });
    suite.add("ftruncate.is_seen_by_another_descriptor", [] {
        const int one = make_open("f", "abcdef");
        const int two = open_file("f", O_RDONLY);
        CHECK_OK(ftruncate(one, 3));
        CHECK_SAME("abc", content_of(two));
        CHECK_SAME(3, fstat_of(two).st_size);
    });
    suite.add("ftruncate.of_unlinked_file_works", [] {
        const int fd = make_open("f", "abcdef");
        CHECK_OK(unlink("f"));
        CHECK_OK(ftruncate(fd, 3));
        CHECK_SAME("abc", content_of(fd));
        CHECK_OK(ftruncate(fd, 100'000));
        CHECK_SAME(100'000, fstat_of(fd).st_size);
    });
    suite.add("ftruncate.cuts_an_append_descriptor_too", [] {
        make_file("f", "abcdef");
        const int fd = open_file("f", O_RDWR | O_APPEND);
        CHECK_OK(ftruncate(fd, 3));
        CHECK_RETURNS(1, write(fd, "x", 1));
        CHECK_SAME("abcx", content_of("f"));
    });
}

/// What was cut off must not come back when the file grows again.
void add_regrowth(Suite& suite) {
    for (const off_t cut : {0, 1, 511, 4095, 4096, 4097, 65'537, 131'072}) {
        suite.add_row("truncate.to_" + std::to_string(cut) + "_and_back_gives_zeros", [cut] {
            constexpr std::size_t size = 200'000;
            const std::string data = pattern(size);
            const int fd = make_open("f", data);
            CHECK_OK(ftruncate(fd, cut));
            CHECK_OK(ftruncate(fd, size));
            std::string expected = data.substr(0, static_cast<std::size_t>(cut));
            expected.resize(size);
            CHECK(content_of("f") == expected);
        });
        suite.add_row("truncate.to_" + std::to_string(cut) + "_and_write_behind_gives_zeros",
                      [cut] {
                          const std::string data = pattern(200'000);
                          const int fd = make_open("f", data);
                          CHECK_OK(truncate("f", cut));
                          write_at(fd, 199'999, "x");
                          std::string expected = data.substr(0, static_cast<std::size_t>(cut));
                          expected.resize(199'999);
                          CHECK(content_of("f") == expected + "x");
                      });
    }
    suite.add("truncate.map_sees_zeros_behind_the_cut", [] {
        const int fd = make_open("f", std::string(4096, 'x'));
        const char* map =
            static_cast<char*>(CHECK_OK(mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fd, 0)));
        CHECK_SAME('x', map[200]);
        CHECK_OK(ftruncate(fd, 100));
        CHECK_SAME('x', map[99]);
        CHECK_SAME(0, map[200]);
    });
}

void add_errors(Suite& suite) {
    suite.add("truncate.to_negative_size_gives_EINVAL", [] {
        const int fd = make_open("f", "abc");
        CHECK_FAILS(EINVAL, truncate("f", -1));
        CHECK_FAILS(EINVAL, ftruncate(fd, -1));
        CHECK_SAME("abc", content_of(fd));
    });
    suite.add("truncate.of_directory_gives_EISDIR", [] {
        make_dir("d");
        CHECK_FAILS(EISDIR, truncate("d", 0));
    });
    suite.add("truncate.of_fifo_gives_EINVAL", [] {
        CHECK_OK(mkfifo("p", 0600));
        CHECK_FAILS(EINVAL, truncate("p", 0));
    });
    suite.add("truncate.of_socket_gives_EINVAL", [] {
        CHECK_OK(mknod("s", S_IFSOCK | 0600, 0));
        CHECK_FAILS(EINVAL, truncate("s", 0));
    });
    suite.add("truncate.without_write_permission_gives_EACCES", [] {
        make_file("f", "abc", 0644);
        as(alice, [] { CHECK_FAILS(EACCES, truncate("f", 0)); });
        CHECK_SAME("abc", content_of("f"));
    });
    suite.add("truncate.with_write_but_no_read_permission_works", [] {
        make_file("f", "abc", 0622);
        as(alice, [] { CHECK_OK(truncate("f", 1)); });
        CHECK_SAME("a", content_of("f"));
    });
    suite.add("truncate.of_own_read_only_file_gives_EACCES", [] {
        make_file_of("f", alice_id, alice_id, 0444, "abc");
        as(alice, [] { CHECK_FAILS(EACCES, truncate("f", 0)); });
    });
    suite.add("truncate.to_the_last_offset_works_or_gives_EFBIG_or_EINVAL", [] {
        make_file("f", "abc");
        if (truncate("f", LLONG_MAX) == 0) {
            CHECK_SAME(LLONG_MAX, stat_of("f").st_size);
        } else {
            CHECK(errno == EFBIG || errno == EINVAL);
            CHECK_SAME("abc", content_of("f"));
        }
    });
}

void add_descriptor_errors(Suite& suite) {
    suite.add("ftruncate.of_read_only_descriptor_gives_EINVAL", [] {
        make_file("f", "abc");
        CHECK_FAILS(either(EINVAL, EBADF), ftruncate(open_file("f", O_RDONLY), 0));
    });
    suite.add("ftruncate.of_directory_gives_EINVAL", [] {
        CHECK_FAILS(either(EINVAL, EBADF), ftruncate(open_file(".", O_RDONLY), 0));
    });
    suite.add("ftruncate.of_pipe_or_socket_gives_EINVAL", [] {
        int ends[2];
        CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
        CHECK_FAILS(EINVAL, ftruncate(make_pipe().write_end, 0));
        CHECK_FAILS(EINVAL, ftruncate(ends[0], 0));
    });
    suite.add("ftruncate.of_closed_descriptor_gives_EBADF",
              [] { CHECK_FAILS(EBADF, ftruncate(bad_descriptor, 0)); });
    suite.add("ftruncate.needs_the_open_mode_only_not_the_permission", [] {
        make_file_of("f", alice_id, alice_id, 0600, "abc");
        as(alice, [] {
            const int fd = open_file("f", O_WRONLY);
            CHECK_OK(chmod("f", 0));
            CHECK_OK(ftruncate(fd, 1));
            CHECK_SAME(1, fstat_of(fd).st_size);
        });
    });
    suite.add("ftruncate.works_for_a_descriptor_received_by_another_user", [] {
        const int fd = make_open("f", "abc");
        CHECK_OK(fchmod(fd, 0600));
        as(bob, [fd] { CHECK_OK(ftruncate(fd, 1)); });
        CHECK_SAME("a", content_of("f"));
    });
}

}  // namespace

void add_truncate_cases(Suite& suite) {
    add_sizes(suite);
    add_regrowth(suite);
    add_errors(suite);
    add_descriptor_errors(suite);
}

}  // namespace posix
