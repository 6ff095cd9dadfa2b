// SPDX-License-Identifier: Apache-2.0

// link(2) and linkat(2).

#include "cases.hpp"

#include <fstream>
#include <sys/mman.h>

namespace posix {
namespace {

void add_links(Suite& suite) {
    suite.add("link.gives_a_file_a_second_name", [] {
        make_file("f", "abc");
        CHECK_OK(link("f", "g"));
        CHECK_SAME("abc", content_of("g"));
        CHECK_SAME(2, stat_of("f").st_nlink);
        CHECK(stat_of("f").st_ino == stat_of("g").st_ino);
    });
    suite.add("link.works_across_directories", [] {
        make_dir("d");
        make_file("f", "abc");
        CHECK_OK(link("f", "d/g"));
        CHECK_OK(unlink("f"));
        CHECK_SAME("abc", content_of("d/g"));
        CHECK_SAME(1, stat_of("d/g").st_nlink);
    });
    suite.add("link.attributes_are_shared", [] {
        make_file("f");
        CHECK_OK(link("f", "g"));
        CHECK_OK(chown("g", alice_id, team_id));
        CHECK_OK(chmod("g", 0601));
        CHECK_SAME(alice_id, stat_of("f").st_uid);
        CHECK_MODE(0601u, mode_of("f"));
    });
    suite.add("link.works_on_a_fifo_and_a_device", [] {
        CHECK_OK(mkfifo("p", 0600));
        CHECK_OK(mknod("c", S_IFCHR | 0600, 0x103));
        CHECK_OK(link("p", "p2"));
        CHECK_OK(link("c", "c2"));
        CHECK(S_ISFIFO(stat_of("p2").st_mode));
        CHECK_SAME(0x103, stat_of("c2").st_rdev);
    });
    suite.add("link.of_symlink_links_the_symlink", [] {
        make_file("f");
        make_symlink("f", "s");
        CHECK_OK(link("s", "t"));
        CHECK(S_ISLNK(lstat_of("t").st_mode));
        CHECK_SAME(2, lstat_of("s").st_nlink);
        CHECK_SAME(1, stat_of("f").st_nlink);
    });
    suite.add("link.of_dangling_symlink_works", [] {
        make_symlink("missing", "s");
        CHECK_OK(link("s", "t"));
        CHECK_SAME(2, lstat_of("t").st_nlink);
    });
    suite.add("link.count_is_seen_by_an_open_descriptor", [] {
        const int fd = make_open("f");
        CHECK_OK(link("f", "g"));
        CHECK_SAME(2, fstat_of(fd).st_nlink);
        CHECK_OK(unlink("f"));
        CHECK_SAME(1, fstat_of(fd).st_nlink);
        CHECK_OK(unlink("g"));
        CHECK_SAME(0, fstat_of(fd).st_nlink);
    });
    suite.add("link.a_thousand_names_work", [] {
        make_file("f");
        for (int i = 0; i < 1000; ++i) CHECK_OK(link("f", std::to_string(i).c_str()));
        CHECK_SAME(1001, stat_of("f").st_nlink);
        for (int i = 0; i < 1000; ++i) CHECK_OK(unlink(std::to_string(i).c_str()));
        CHECK_SAME(1, stat_of("f").st_nlink);
    });
}

void add_errors(Suite& suite) {
    suite.add("link.over_anything_gives_EEXIST", [] {
        make_file("f", "abc");
        make_file("g", "old");
        make_dir("d");
        make_symlink("missing", "s");
        for (const char* path : {"g", "d", "s", "f"}) CHECK_FAILS(EEXIST, link("f", path));
        CHECK_SAME("old", content_of("g"));
        CHECK_SAME(1, stat_of("f").st_nlink);
    });
    suite.add("link.of_directory_gives_EPERM", [] {
        make_dir("d");
        CHECK_FAILS(EPERM, link("d", "e"));
        CHECK(!exists("e"));
    });
    suite.add("link.to_another_file_system_gives_EXDEV", [] {
        const int elsewhere = CHECK_OK(memfd_create("elsewhere", 0));
        CHECK_FAILS(EXDEV, linkat(elsewhere, "", AT_FDCWD, "g", AT_EMPTY_PATH));
    });
    suite.add("link.into_unwritable_directory_gives_EACCES", [] {
        make_dir("d", 0755);
        make_file_of("f", alice_id, alice_id, 0644);
        as(alice, [] { CHECK_FAILS(EACCES, link("f", "d/g")); });
    });
    suite.add("link.out_of_unwritable_directory_works", [] {
        make_dir("closed", 0755);
        make_dir("open", 0777);
        make_file_of("closed/f", alice_id, alice_id, 0644);
        as(alice, [] { CHECK_OK(link("closed/f", "open/f")); });
    });
    suite.add("link.of_unlinked_file_gives_ENOENT", [] {
        const int fd = make_open("f");
        CHECK_OK(unlink("f"));
        const std::string path = "/proc/self/fd/" + std::to_string(fd);
        CHECK_FAILS(ENOENT, linkat(AT_FDCWD, path.c_str(), AT_FDCWD, "g", AT_SYMLINK_FOLLOW));
        CHECK_FAILS(ENOENT, linkat(fd, "", AT_FDCWD, "g", AT_EMPTY_PATH));
    });
    suite.add("link.of_a_file_of_others_obeys_protected_hardlinks", [] {
        int is_protected = 0;
        std::ifstream("/proc/sys/fs/protected_hardlinks") >> is_protected;
        CHECK_OK(chmod(".", 0777));
        make_file("f", "", 0600);
        as(alice, [&] {
            if (is_protected != 0) {
                CHECK_FAILS(EPERM, link("f", "g"));
            } else {
                CHECK_OK(link("f", "g"));
            }
        });
    });
    suite.add_long("link.beyond_the_limit_gives_EMLINK", 6, [] {
        constexpr int tries = 70'000;  // ext4 allows 65,000
        make_file("f");
        for (int i = 0; i < tries; ++i) {
            if (link("f", std::to_string(i).c_str()) == 0) continue;
            CHECK_SAME(EMLINK, errno);
            CHECK_SAME(i + 1, stat_of("f").st_nlink);
            return;
        }
        skip("no EMLINK within 70000 links");
    });
}

void add_linkat(Suite& suite) {
    suite.add("linkat.follow_links_the_target_of_a_symlink", [] {
        make_file("f", "abc");
        make_symlink("f", "s");
        CHECK_OK(linkat(AT_FDCWD, "s", AT_FDCWD, "g", AT_SYMLINK_FOLLOW));
        CHECK(S_ISREG(lstat_of("g").st_mode));
        CHECK_SAME(2, stat_of("f").st_nlink);
    });
    suite.add("linkat.follow_of_dangling_symlink_gives_ENOENT", [] {
        make_symlink("missing", "s");
        CHECK_FAILS(ENOENT, linkat(AT_FDCWD, "s", AT_FDCWD, "g", AT_SYMLINK_FOLLOW));
    });
    suite.add("linkat.empty_path_links_the_descriptor", [] {
        const int fd = make_open("f", "abc");
        CHECK_OK(linkat(fd, "", AT_FDCWD, "g", AT_EMPTY_PATH));
        CHECK_SAME(2, fstat_of(fd).st_nlink);
        CHECK_SAME("abc", content_of("g"));
    });
    suite.add("linkat.empty_path_without_the_flag_gives_ENOENT",
              [] { CHECK_FAILS(ENOENT, linkat(make_open("f"), "", AT_FDCWD, "g", 0)); });
    suite.add("linkat.through_proc_links_the_descriptor", [] {
        const int fd = make_open("f", "abc");
        const std::string path = "/proc/self/fd/" + std::to_string(fd);
        CHECK_OK(linkat(AT_FDCWD, path.c_str(), AT_FDCWD, "g", AT_SYMLINK_FOLLOW));
        CHECK_SAME("abc", content_of("g"));
    });
    suite.add("linkat.unknown_flag_gives_EINVAL", [] {
        make_file("f");
        CHECK_FAILS(EINVAL, linkat(AT_FDCWD, "f", AT_FDCWD, "g", 0x4000'0000));
    });
}

}  // namespace

void add_link_cases(Suite& suite) {
    add_links(suite);
    add_errors(suite);
    add_linkat(suite);
}

}  // namespace posix
