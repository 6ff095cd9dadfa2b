// SPDX-License-Identifier: Apache-2.0

// mkdir(2), rmdir(2) and the link counts of directories.

#include "cases.hpp"

#include <dirent.h>

namespace posix {
namespace {

void add_making(Suite& suite) {
    suite.add("mkdir.makes_an_empty_directory", [] {
        CHECK_OK(mkdir("d", 0755));
        CHECK(S_ISDIR(stat_of("d").st_mode));
        CHECK_SAME(0, names_in("d").size());
    });
    suite.add("mkdir.mode_is_masked_by_umask", [] {
        umask(027);
        CHECK_OK(mkdir("d", 0777));
        CHECK_MODE(0750u, mode_of("d"));
    });
    suite.add("mkdir.keeps_the_sticky_bit", [] {
        umask(0);
        CHECK_OK(mkdir("d", 01777));
        CHECK_MODE(01777u, mode_of("d"));
    });
    suite.add("mkdir.belongs_to_the_caller", [] {
        make_dir("d", 0777);
        as(alice, [] { CHECK_OK(mkdir("d/e", 0700)); });
        CHECK_SAME(alice_id, stat_of("d/e").st_uid);
        CHECK_SAME(alice_id, stat_of("d/e").st_gid);
    });
    suite.add("mkdir.with_mode_0_works_for_its_owner_only_by_chmod", [] {
        make_dir("d", 0777);
        as(alice, [] {
            CHECK_OK(mkdir("d/e", 0));
            CHECK_FAILS(EACCES, open("d/e/f", O_CREAT | O_RDWR, 0600));
            CHECK_OK(chmod("d/e", 0700));
            make_file("d/e/f");
        });
    });
    suite.add("mkdir.over_anything_gives_EEXIST", [] {
        make_file("f");
        make_dir("d");
        make_symlink("missing", "s");
        make_symlink("d", "t");
        for (const char* path : {"f", "d", "s", "t", ".", "..", "d/."}) {
            CHECK_FAILS(EEXIST, mkdir(path, 0755));
        }
        CHECK(!exists("missing"));
    });
    suite.add("mkdir.in_unwritable_directory_gives_EACCES", [] {
        make_dir("d", 0755);
        as(alice, [] { CHECK_FAILS(EACCES, mkdir("d/e", 0755)); });
    });
    suite.add("mkdir.of_missing_dot_gives_ENOENT",
              [] { CHECK_FAILS(ENOENT, mkdir("missing/.", 0755)); });
    suite.add("mkdir.a_tree_of_100_levels_works", [] {
        for (int i = 0; i < 100; ++i) {
            CHECK_OK(mkdir("d", 0755));
            CHECK_OK(chdir("d"));
        }
        for (int i = 0; i < 100; ++i) CHECK_OK(chdir(".."));
        CHECK_SAME(1, names_in(".").size());
    });
}

void add_removing(Suite& suite) {
    suite.add("rmdir.removes_an_empty_directory", [] {
        make_dir("d");
        CHECK_OK(rmdir("d"));
        CHECK(!exists("d"));
    });
    suite.add("rmdir.of_full_directory_gives_ENOTEMPTY", [] {
        make_dir("d");
        make_file("d/f");
        CHECK_FAILS(either(ENOTEMPTY, EEXIST), rmdir("d"));
        CHECK_OK(unlink("d/f"));
        make_dir("d/e");
        CHECK_FAILS(either(ENOTEMPTY, EEXIST), rmdir("d"));
        CHECK_OK(rmdir("d/e"));
        make_symlink("x", "d/s");
        CHECK_FAILS(either(ENOTEMPTY, EEXIST), rmdir("d"));
    });
    suite.add("rmdir.of_dot_gives_EINVAL", [] {
        make_dir("d");
        CHECK_FAILS(EINVAL, rmdir("d/."));
        CHECK_FAILS(EINVAL, rmdir("."));
    });
    suite.add("rmdir.of_dot_dot_gives_ENOTEMPTY", [] {
        make_dir("d");
        CHECK_FAILS(either(ENOTEMPTY, EEXIST, EBUSY), rmdir("d/.."));
    });
    suite.add("rmdir.of_anything_else_gives_ENOTDIR", [] {
        make_file("f");
        make_dir("d");
        make_symlink("d", "s");
        CHECK_OK(mkfifo("p", 0600));
        for (const char* path : {"f", "s", "p"}) CHECK_FAILS(ENOTDIR, rmdir(path));
        CHECK(exists("d"));
    });
    suite.add("rmdir.of_symlink_with_slash_gives_ENOTDIR", [] {
        make_dir("d");
        make_symlink("d", "s");
        CHECK_FAILS(ENOTDIR, rmdir("s/"));
        CHECK(exists("d"));
    });
    suite.add("rmdir.in_unwritable_directory_gives_EACCES", [] {
        make_dir("d", 0755);
        make_dir_of("d/e", alice_id, alice_id, 0777);
        as(alice, [] { CHECK_FAILS(EACCES, rmdir("d/e")); });
    });
    suite.add("rmdir.needs_no_permission_on_the_directory", [] {
        make_dir("d", 0777);
        make_dir("d/e", 0);
        as(alice, [] { CHECK_OK(rmdir("d/e")); });
    });
    suite.add("rmdir.of_mount_point_gives_EBUSY", [] { CHECK_FAILS(EBUSY, rmdir("/proc")); });
    suite.add("rmdir.name_can_be_used_again", [] {
        for (int i = 0; i < 20; ++i) {
            make_dir("x");
            CHECK_OK(rmdir("x"));
            make_file("x");
            CHECK_OK(unlink("x"));
        }
    });
}

void add_open_removed(Suite& suite) {
    suite.add("rmdir.open_directory_takes_no_new_entries", [] {
        make_dir("d");
        const int dir = open_file("d", O_RDONLY | O_DIRECTORY);
        CHECK_OK(rmdir("d"));
        CHECK_FAILS(ENOENT, openat(dir, "f", O_CREAT | O_RDWR, 0600));
        CHECK_FAILS(ENOENT, mkdirat(dir, "e", 0755));
        CHECK_FAILS(ENOENT, symlinkat("x", dir, "s"));
        CHECK_FAILS(ENOENT, mknodat(dir, "p", S_IFIFO | 0600, 0));
        make_file("f");
        CHECK_FAILS(ENOENT, linkat(AT_FDCWD, "f", dir, "g", 0));
        CHECK_FAILS(ENOENT, renameat(AT_FDCWD, "f", dir, "g"));
    });
    suite.add("rmdir.open_directory_has_attributes_but_no_links", [] {
        make_dir("d", 0751);
        const int dir = open_file("d", O_RDONLY | O_DIRECTORY);
        CHECK_OK(rmdir("d"));
        CHECK_SAME(0, fstat_of(dir).st_nlink);
        CHECK_MODE(0751u, mode_of(dir));
        CHECK_OK(fchmod(dir, 0700));
    });
    suite.add("rmdir.open_directory_lists_nothing_or_ENOENT", [] {
        make_dir("d");
        const int dir = open_file("d", O_RDONLY | O_DIRECTORY);
        CHECK_OK(rmdir("d"));
        char buffer[1024];
        const ssize_t size = getdents64(dir, buffer, sizeof buffer);
        // Some give '.' and '..' still, or only one of them.
        if (size < 0) CHECK_SAME(ENOENT, errno);
    });
    suite.add("rmdir.new_directory_of_the_name_is_another", [] {
        make_dir("d");
        const int old = open_file("d", O_RDONLY | O_DIRECTORY);
        CHECK_OK(rmdir("d"));
        make_dir("d");
        make_file("d/f");
        CHECK_FAILS(ENOENT, openat(old, "f", O_RDONLY));
        CHECK(fstat_of(old).st_ino != stat_of("d").st_ino);
    });
}

void add_link_counts(Suite& suite) {
    suite.add("directory.link_count_is_1_or_counts_subdirectories", [] {
        make_dir("d");
        const auto empty = stat_of("d").st_nlink;
        if (empty == 1) return;
        CHECK_SAME(2, empty);
        make_dir("d/a");
        make_dir("d/b");
        make_file("d/f");
        CHECK_SAME(4, stat_of("d").st_nlink);
        CHECK_OK(rmdir("d/a"));
        CHECK_SAME(3, stat_of("d").st_nlink);
        CHECK_OK(rename("d/b", "b"));
        CHECK_SAME(2, stat_of("d").st_nlink);
        CHECK_OK(rename("b", "d/b"));
        CHECK_SAME(3, stat_of("d").st_nlink);
    });
    suite.add("directory.link_count_is_seen_by_an_open_descriptor", [] {
        make_dir("d");
        const int dir = open_file("d", O_RDONLY | O_DIRECTORY);
        const auto empty = fstat_of(dir).st_nlink;
        make_dir("d/e");
        if (empty != 1) CHECK_SAME(empty + 1, fstat_of(dir).st_nlink);
    });
    suite.add("directory.size_is_not_negative", [] {
        make_dir("d");
        CHECK(stat_of("d").st_size >= 0);
    });
}

}  // namespace

void add_directory_cases(Suite& suite) {
    add_making(suite);
    add_removing(suite);
    add_open_removed(suite);
    add_link_counts(suite);
}

}  // namespace posix
