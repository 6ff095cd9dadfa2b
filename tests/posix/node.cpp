// SPDX-License-Identifier: Apache-2.0

// mknod(2): FIFOs, devices and plain files, and what the nodes do.

#include "cases.hpp"

#include <csignal>
#include <poll.h>
#include <sys/sysmacros.h>

namespace posix {
namespace {

void add_making(Suite& suite) {
    suite.add("mknod.makes_a_plain_file", [] {
        CHECK_OK(mknod("f", S_IFREG | 0640, 0));
        CHECK_OK(mknod("g", 0640, 0));
        CHECK(S_ISREG(stat_of("f").st_mode));
        CHECK(S_ISREG(stat_of("g").st_mode));
        CHECK_MODE(0640u, mode_of("f"));
        CHECK_SAME(0, stat_of("f").st_size);
    });
    struct Row {
        const char* name;
        unsigned major_number, minor_number;
    };
    static constexpr Row rows[] = {{"1_3", 1, 3},
                                   {"255_255", 255, 255},
                                   {"256_256", 256, 256},
                                   {"4095_1048575", 4095, 0xfffff}};
    for (const Row& row : rows) {
        suite.add_row("mknod.device_number_" + std::string(row.name) + "_is_kept", [row] {
            const dev_t device = makedev(row.major_number, row.minor_number);
            CHECK_OK(mknod("c", S_IFCHR | 0600, device));
            CHECK_OK(mknod("b", S_IFBLK | 0600, device));
            CHECK(S_ISCHR(stat_of("c").st_mode));
            CHECK(S_ISBLK(stat_of("b").st_mode));
            for (const char* path : {"c", "b"}) {
                CHECK_SAME(row.major_number, major(stat_of(path).st_rdev));
                CHECK_SAME(row.minor_number, minor(stat_of(path).st_rdev));
            }
        });
    }
    suite.add("mknod.over_anything_gives_EEXIST", [] {
        make_file("f");
        make_dir("d");
        make_symlink("missing", "s");
        for (const char* path : {"f", "d", "s"}) {
            CHECK_FAILS(EEXIST, mknod(path, S_IFREG | 0600, 0));
            CHECK_FAILS(EEXIST, mkfifo(path, 0600));
        }
    });
    suite.add("mknod.of_directory_gives_EPERM",
              [] { CHECK_FAILS(either(EPERM, EINVAL), mknod("d", S_IFDIR | 0700, 0)); });
    suite.add("mknod.of_symlink_or_unknown_type_gives_EINVAL", [] {
        CHECK_FAILS(either(EINVAL, EPERM), mknod("s", S_IFLNK | 0700, 0));
        CHECK_FAILS(EINVAL, mknod("x", 0030000 | 0700, 0));
    });
    suite.add("mknod.of_device_by_user_gives_EPERM", [] {
        make_dir("d", 0777);
        as(alice, [] {
            CHECK_FAILS(EPERM, mknod("d/c", S_IFCHR | 0600, makedev(1, 3)));
            CHECK_FAILS(EPERM, mknod("d/b", S_IFBLK | 0600, makedev(7, 0)));
        });
    });
    suite.add("mknod.of_other_nodes_by_user_works", [] {
        make_dir("d", 0777);
        as(alice, [] {
            CHECK_OK(mknod("d/p", S_IFIFO | 0600, 0));
            CHECK_OK(mknod("d/s", S_IFSOCK | 0600, 0));
            CHECK_OK(mknod("d/f", S_IFREG | 0600, 0));
            CHECK_SAME(alice_id, stat_of("d/p").st_uid);
        });
    });
    suite.add("mknod.in_unwritable_directory_gives_EACCES", [] {
        make_dir("d", 0755);
        as(alice, [] { CHECK_FAILS(EACCES, mkfifo("d/p", 0600)); });
    });
}

void add_devices(Suite& suite) {
    suite.add("node.null_device_swallows_and_is_empty", [] {
        CHECK_OK(mknod("null", S_IFCHR | 0600, makedev(1, 3)));
        const int fd = open_file("null", O_RDWR);
        char byte = 0;
        CHECK_RETURNS(1, write(fd, "x", 1));
        CHECK_RETURNS(0, read(fd, &byte, 1));
    });
    suite.add("node.zero_device_gives_zeros", [] {
        CHECK_OK(mknod("zero", S_IFCHR | 0600, makedev(1, 5)));
        char bytes[4] = {1, 2, 3, 4};
        CHECK_RETURNS(4, read(open_file("zero", O_RDWR), bytes, 4));
        CHECK_SAME(std::string(4, '\0'), std::string_view(bytes, 4));
    });
    suite.add("node.full_device_gives_ENOSPC", [] {
        CHECK_OK(mknod("full", S_IFCHR | 0600, makedev(1, 7)));
        CHECK_FAILS(ENOSPC, write(open_file("full", O_RDWR), "x", 1));
    });
    suite.add("node.permission_of_a_device_is_that_of_the_node", [] {
        CHECK_OK(mknod("null", S_IFCHR | 0600, makedev(1, 3)));
        as(alice, [] { CHECK_FAILS(EACCES, open("null", O_RDONLY)); });
        CHECK_OK(chmod("null", 0644));
        as(alice, [] {
            CHECK_OK(open("null", O_RDONLY));
            CHECK_FAILS(EACCES, open("null", O_WRONLY));
        });
    });
}

void add_fifos(Suite& suite) {
    suite.add("fifo.carries_data_between_processes", [] {
        CHECK_OK(mkfifo("p", 0600));
        const Child writer(
            [] { CHECK_RETURNS(5, write(open_file("p", O_WRONLY), "hello", 5)); });
        char buffer[10];
        const int fd = open_file("p", O_RDONLY);
        CHECK_RETURNS(5, read(fd, buffer, sizeof buffer));
        writer.finish();
        CHECK_RETURNS(0, read(fd, buffer, sizeof buffer));
        CHECK_SAME("hello", std::string_view(buffer, 5));
    });
    suite.add("fifo.open_waits_for_the_other_side", [] {
        CHECK_OK(mkfifo("p", 0600));
        const Gate opened;
        const Child reader([&] {
            open_file("p", O_RDONLY);
            opened.pass();
        });
        CHECK(!opened.passed_within(blocking_ms));
        open_file("p", O_WRONLY);
        CHECK(opened.passed_within(release_ms));
        reader.finish();
    });
    suite.add("fifo.write_without_reader_raises_SIGPIPE", [] {
        CHECK_OK(mkfifo("p", 0600));
        CHECK_SAME(SIGPIPE, signal_from([] {
                       const int reader = open_file("p", O_RDONLY | O_NONBLOCK);
                       const int writer = open_file("p", O_WRONLY);
                       CHECK_OK(close(reader));
                       CHECK_FAILS(EPIPE, write(writer, "x", 1));
                   }));
    });
    suite.add("fifo.write_without_reader_gives_EPIPE", [] {
        signal(SIGPIPE, SIG_IGN);
        CHECK_OK(mkfifo("p", 0600));
        const int reader = open_file("p", O_RDONLY | O_NONBLOCK);
        const int writer = open_file("p", O_WRONLY);
        CHECK_OK(close(reader));
        CHECK_FAILS(EPIPE, write(writer, "x", 1));
    });
}

void add_fifo_nodes(Suite& suite) {
    suite.add("fifo.empty_nonblocking_read_gives_EAGAIN", [] {
        CHECK_OK(mkfifo("p", 0600));
        char byte = 0;
        CHECK_FAILS(EAGAIN, read(open_file("p", O_RDWR | O_NONBLOCK), &byte, 1));
    });
    suite.add("fifo.two_names_are_one_fifo", [] {
        CHECK_OK(mkfifo("p", 0600));
        CHECK_OK(link("p", "q"));
        const int reader = open_file("p", O_RDONLY | O_NONBLOCK);
        CHECK_RETURNS(3, write(open_file("q", O_WRONLY), "abc", 3));
        char buffer[10];
        CHECK_RETURNS(3, read(reader, buffer, sizeof buffer));
    });
    suite.add("fifo.outlives_its_name", [] {
        CHECK_OK(mkfifo("p", 0600));
        const int fd = open_file("p", O_RDWR);
        CHECK_OK(unlink("p"));
        CHECK_RETURNS(3, write(fd, "abc", 3));
        char buffer[10];
        CHECK_RETURNS(3, read(fd, buffer, sizeof buffer));
    });
    suite.add("fifo.poll_tells_of_data", [] {
        CHECK_OK(mkfifo("p", 0600));
        const int fd = open_file("p", O_RDWR);
        pollfd entry = {fd, POLLIN, 0};
        CHECK_RETURNS(0, poll(&entry, 1, 0));
        CHECK_RETURNS(1, write(fd, "x", 1));
        CHECK_RETURNS(1, poll(&entry, 1, 0));
    });
    suite.add("fifo.size_stays_0", [] {
        CHECK_OK(mkfifo("p", 0600));
        const int fd = open_file("p", O_RDWR);
        CHECK_RETURNS(3, write(fd, "abc", 3));
        CHECK_SAME(0, stat_of("p").st_size);
    });
    suite.add("fifo.permission_is_that_of_the_node", [] {
        CHECK_OK(mkfifo("p", 0600));
        as(alice, [] { CHECK_FAILS(EACCES, open("p", O_RDONLY | O_NONBLOCK)); });
    });
}

void add_poll(Suite& suite) {
    suite.add("poll.regular_file_is_always_ready", [] {
        pollfd entry = {make_open("f"), POLLIN | POLLOUT, 0};
        CHECK_RETURNS(1, poll(&entry, 1, 0));
        CHECK_SAME(POLLIN | POLLOUT, entry.revents);
    });
}

}  // namespace

void add_node_cases(Suite& suite) {
    add_making(suite);
    add_devices(suite);
    add_fifos(suite);
    add_fifo_nodes(suite);
    add_poll(suite);
}

}  // namespace posix
