// SPDX-License-Identifier: Apache-2.0

// symlink(2) and readlink(2).

#include "cases.hpp"

#include <linux/limits.h>

namespace posix {
namespace {

std::string target_of(const char* path) {
    char buffer[PATH_MAX + 1];
    const ssize_t size = CHECK_OK(readlink(path, buffer, sizeof buffer));
    return std::string(buffer, static_cast<std::size_t>(size));
}

void add_targets(Suite& suite) {
    suite.add("symlink.keeps_its_target_as_it_is_written", [] {
        for (const char* target :
             {"f", "/", "../x/./y//z", "no such thing", "\xff\xfe", "a/"}) {
            make_symlink(target, "s");
            CHECK_SAME(target, target_of("s"));
            CHECK_SAME(std::string_view(target).size(), lstat_of("s").st_size);
            CHECK_OK(unlink("s"));
        }
    });
    for (const int size : {1, 59, 60, 61, 255, 256, 1023, 1024, 4000, 4094, 4095}) {
        // 60 is where ext4 stops to keep a target in the inode; 4095 is the most.
        suite.add_row("symlink.target_of_" + std::to_string(size) + "_bytes", [size] {
            const std::string target(static_cast<std::size_t>(size), 't');
            CHECK_OK(symlink(target.c_str(), "s"));
            CHECK_SAME(target, target_of("s"));
            CHECK_SAME(size, lstat_of("s").st_size);
        });
    }
    suite.add("symlink.target_of_4096_bytes_gives_ENAMETOOLONG", [] {
        CHECK_FAILS(ENAMETOOLONG, symlink(std::string(4096, 't').c_str(), "s"));
        CHECK(!exists("s"));
    });
    suite.add("symlink.empty_target_gives_ENOENT",
              [] { CHECK_FAILS(ENOENT, symlink("", "s")); });
    suite.add("symlink.target_at_bad_address_gives_EFAULT",
              [] { CHECK_FAILS(EFAULT, symlink(bad_address(), "s")); });
    suite.add("symlink.belongs_to_the_caller", [] {
        make_dir("d", 0777);
        as(alice, [] { CHECK_OK(symlink("x", "d/s")); });
        CHECK_SAME(alice_id, lstat_of("d/s").st_uid);
        CHECK_SAME(alice_id, lstat_of("d/s").st_gid);
    });
    suite.add("symlink.over_anything_gives_EEXIST", [] {
        make_file("f");
        make_dir("d");
        make_symlink("missing", "s");
        for (const char* path : {"f", "d", "s"}) CHECK_FAILS(EEXIST, symlink("x", path));
    });
    suite.add("symlink.in_unwritable_directory_gives_EACCES", [] {
        make_dir("d", 0755);
        as(alice, [] { CHECK_FAILS(EACCES, symlink("x", "d/s")); });
    });
    suite.add("symlink.replaced_by_rename_leads_elsewhere_at_once", [] {
        make_file("f", "f");
        make_file("g", "g");
        make_symlink("f", "s");
        CHECK_SAME("f", content_of("s"));
        make_symlink("g", "t");
        CHECK_OK(rename("t", "s"));
        CHECK_SAME("g", content_of("s"));
        CHECK_SAME("g", target_of("s"));
    });
    suite.add("symlink.made_again_by_another_process_is_seen", [] {
        make_symlink("one", "s");
        CHECK_SAME("one", target_of("s"));
        in_child([] {
            CHECK_OK(unlink("s"));
            make_symlink("two", "s");
        });
        CHECK_SAME("two", target_of("s"));
    });
}

void add_readlink(Suite& suite) {
    suite.add("readlink.into_small_buffer_truncates_silently", [] {
        make_symlink("abcdef", "s");
        char buffer[4] = {'-', '-', '-', '-'};
        CHECK_RETURNS(3, readlink("s", buffer, 3));
        CHECK_SAME("abc-", std::string_view(buffer, 4));
    });
    suite.add("readlink.writes_no_NUL", [] {
        make_symlink("abc", "s");
        char buffer[5] = {'-', '-', '-', '-', '-'};
        CHECK_RETURNS(3, readlink("s", buffer, 5));
        CHECK_SAME("abc--", std::string_view(buffer, 5));
    });
    suite.add("readlink.of_anything_else_gives_EINVAL", [] {
        make_file("f");
        make_dir("d");
        CHECK_OK(mkfifo("p", 0600));
        char buffer[10];
        for (const char* path : {"f", "d", "p"}) {
            CHECK_FAILS(EINVAL, readlink(path, buffer, sizeof buffer));
        }
    });
    suite.add("readlink.with_empty_buffer_gives_EINVAL", [] {
        make_symlink("abc", "s");
        char buffer[1];
        CHECK_FAILS(EINVAL, readlink("s", buffer, 0));
    });
    suite.add("readlink.into_bad_address_gives_EFAULT", [] {
        make_symlink("abc", "s");
        CHECK_FAILS(EFAULT, readlink("s", bad_address(), 3));
    });
    suite.add("readlink.does_not_follow_a_chain", [] {
        make_symlink("two", "one");
        make_symlink("three", "two");
        CHECK_SAME("two", target_of("one"));
    });
    suite.add("readlinkat.reads_relative_to_the_descriptor", [] {
        make_dir("d");
        make_symlink("abc", "d/s");
        char buffer[10];
        CHECK_RETURNS(3, readlinkat(open_file("d", O_RDONLY), "s", buffer, sizeof buffer));
        CHECK_FAILS(EBADF, readlinkat(bad_descriptor, "s", buffer, sizeof buffer));
        CHECK_FAILS(ENOTDIR, readlinkat(make_open("f"), "s", buffer, sizeof buffer));
    });
    suite.add("readlinkat.empty_path_of_a_file_gives_ENOENT", [] {
        make_file("f");
        char buffer[10];
        CHECK_FAILS(either(ENOENT, EINVAL),
                    readlinkat(open_file("f", O_PATH), "", buffer, sizeof buffer));
    });
    suite.add("readlink.needs_no_permission_on_the_link", [] {
        make_symlink("abc", "s");
        as(alice, [] { CHECK_SAME("abc", target_of("s")); });
    });
}

}  // namespace

void add_symlink_cases(Suite& suite) {
    add_targets(suite);
    add_readlink(suite);
}

}  // namespace posix
