// SPDX-License-Identifier: Apache-2.0

// unlink(2) and unlinkat(2), and what becomes of files that are still open.

#include "cases.hpp"

namespace posix {
namespace {

void add_names(Suite& suite) {
    suite.add("unlink.removes_each_type_of_node", [] {
        make_file("f");
        make_symlink("f", "s");
        CHECK_OK(mkfifo("p", 0600));
        CHECK_OK(mknod("k", S_IFSOCK | 0600, 0));
        CHECK_OK(mknod("c", S_IFCHR | 0600, 0x103));
        for (const char* path : {"s", "f", "p", "k", "c"}) CHECK_OK(unlink(path));
        CHECK_SAME(0, names_in(".").size());
    });
    suite.add("unlink.of_symlink_leaves_the_target", [] {
        make_file("f", "abc");
        make_symlink("f", "s");
        CHECK_OK(unlink("s"));
        CHECK_SAME("abc", content_of("f"));
    });
    suite.add("unlink.of_one_name_leaves_the_other", [] {
        make_file("f", "abc");
        CHECK_OK(link("f", "g"));
        CHECK_OK(unlink("f"));
        CHECK_SAME("abc", content_of("g"));
        CHECK_SAME(1, stat_of("g").st_nlink);
    });
    suite.add("unlink.name_is_gone_at_once", [] {
        make_file("f");
        CHECK_OK(unlink("f"));
        CHECK_FAILS(ENOENT, open("f", O_RDONLY));
        CHECK_FAILS(ENOENT, unlink("f"));
        CHECK(!exists("f"));
    });
    suite.add("unlink.name_can_be_used_again", [] {
        make_file("f", "old");
        CHECK_OK(unlink("f"));
        make_file("f", "new");
        CHECK_SAME("new", content_of("f"));
        CHECK_OK(unlink("f"));
        make_dir("f");
        CHECK(S_ISDIR(stat_of("f").st_mode));
    });
    suite.add("unlink.needs_no_permission_on_the_file", [] {
        make_dir("d", 0777);
        make_file("d/f", "", 0);
        as(alice, [] { CHECK_OK(unlink("d/f")); });
    });
    suite.add("unlink.of_read_only_file_works", [] {
        make_dir_of("d", alice_id, alice_id, 0755);
        make_file_of("d/f", alice_id, alice_id, 0444);
        as(alice, [] { CHECK_OK(unlink("d/f")); });
    });
}

void add_errors(Suite& suite) {
    suite.add("unlink.of_directory_gives_EISDIR", [] {
        make_dir("d");
        CHECK_FAILS(either(EISDIR, EPERM), unlink("d"));
        CHECK(exists("d"));
    });
    suite.add("unlink.of_dot_gives_an_error", [] {
        CHECK_FAILS(either(EISDIR, EPERM, EINVAL), unlink("."));
        CHECK_FAILS(either(EISDIR, EPERM, EINVAL), unlink(".."));
    });
    suite.add("unlink.in_unwritable_directory_gives_EACCES", [] {
        make_dir("d", 0755);
        make_file_of("d/f", alice_id, alice_id, 0666);
        as(alice, [] { CHECK_FAILS(EACCES, unlink("d/f")); });
        CHECK(exists("d/f"));
    });
    suite.add("unlinkat.with_AT_REMOVEDIR_removes_a_directory", [] {
        make_dir("d");
        CHECK_OK(unlinkat(AT_FDCWD, "d", AT_REMOVEDIR));
        CHECK(!exists("d"));
    });
    suite.add("unlinkat.with_AT_REMOVEDIR_on_file_gives_ENOTDIR", [] {
        make_file("f");
        CHECK_FAILS(ENOTDIR, unlinkat(AT_FDCWD, "f", AT_REMOVEDIR));
    });
    suite.add("unlinkat.without_the_flag_on_directory_gives_EISDIR", [] {
        make_dir("d");
        CHECK_FAILS(either(EISDIR, EPERM), unlinkat(AT_FDCWD, "d", 0));
    });
    suite.add("unlinkat.unknown_flag_gives_EINVAL", [] {
        make_file("f");
        CHECK_FAILS(EINVAL, unlinkat(AT_FDCWD, "f", 0x4000'0000));
        CHECK(exists("f"));
    });
}

void add_open_files(Suite& suite) {
    suite.add("unlink.open_file_can_still_be_read_and_written", [] {
        const int fd = make_open("f", "abc");
        CHECK_OK(unlink("f"));
        CHECK_SAME("abc", content_of(fd));
        write_at(fd, 3, "def");
        CHECK_SAME("abcdef", content_of(fd));
        CHECK_SAME(6, fstat_of(fd).st_size);
    });
    suite.add("unlink.open_file_leaves_no_name_behind", [] {
        make_open("f", "abc");
        CHECK_OK(unlink("f"));
        CHECK_SAME(0, names_in(".").size());
    });
    suite.add("unlink.directory_of_an_open_unlinked_file_can_be_removed", [] {
        make_dir("d");
        const int fd = make_open("d/f", "abc");
        CHECK_OK(unlink("d/f"));
        CHECK_OK(rmdir("d"));
        CHECK_SAME("abc", content_of(fd));
    });
    suite.add("unlink.open_file_and_its_successor_are_two", [] {
        const int fd = make_open("f", "old");
        CHECK_OK(unlink("f"));
        make_file("f", "new");
        CHECK_SAME("old", content_of(fd));
        CHECK_SAME("new", content_of("f"));
        CHECK(fstat_of(fd).st_ino != stat_of("f").st_ino);
    });
    suite.add("unlink.attributes_of_open_file_can_be_changed", [] {
        const int fd = make_open("f", "abc");
        CHECK_OK(unlink("f"));
        CHECK_OK(fchmod(fd, 0601));
        CHECK_OK(fchown(fd, alice_id, team_id));
        CHECK_OK(ftruncate(fd, 1));
        CHECK_MODE(0601u, mode_of(fd));
        CHECK_SAME(alice_id, fstat_of(fd).st_uid);
        CHECK_SAME(1, fstat_of(fd).st_size);
    });
    suite.add("unlink.open_file_can_be_reopened_through_proc", [] {
        const int fd = make_open("f", "abc");
        CHECK_OK(unlink("f"));
        const std::string path = "/proc/self/fd/" + std::to_string(fd);
        const int again = open_file(path.c_str(), O_RDWR);
        write_at(again, 0, "X");
        CHECK_SAME("Xbc", content_of(fd));
    });
    suite.add("unlink.by_another_process_leaves_the_open_file", [] {
        const int fd = make_open("f", "abc");
        in_child([] { CHECK_OK(unlink("f")); });
        CHECK_SAME("abc", content_of(fd));
        CHECK_SAME(0, fstat_of(fd).st_nlink);
        CHECK(!exists("f"));
    });
    suite.add("unlink.a_hundred_open_files_stay_apart", [] {
        std::vector<int> files;
        for (int i = 0; i < 100; ++i) {
            files.push_back(make_open("f", std::to_string(i)));
            CHECK_OK(unlink("f"));
        }
        for (std::size_t i = 0; i < files.size(); ++i) {
            CHECK_SAME(std::to_string(i), content_of(files[i]));
        }
    });
}

}  // namespace

void add_unlink_cases(Suite& suite) {
    add_names(suite);
    add_errors(suite);
    add_open_files(suite);
}

}  // namespace posix
