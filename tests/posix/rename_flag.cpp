// SPDX-License-Identifier: Apache-2.0

// renameat2(2) with RENAME_NOREPLACE, RENAME_EXCHANGE and RENAME_WHITEOUT.

#include "cases.hpp"

#include <cstdio>

namespace posix {
namespace {

int rename_with(const char* from, const char* to, unsigned flags) {
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, flags);
}

/// EINVAL is what renameat2(2) gives where the file system does not have the flag.
void exchange(const char* one, const char* two) {
    CHECK_NEEDS(EINVAL, rename_with(one, two, RENAME_EXCHANGE));
}

void add_noreplace(Suite& suite) {
    suite.add("renameat2.noreplace_to_a_free_name_works", [] {
        make_file("f", "abc");
        make_dir("d");
        CHECK_NEEDS(EINVAL, rename_with("f", "g", RENAME_NOREPLACE));
        CHECK_OK(rename_with("d", "e", RENAME_NOREPLACE));
        CHECK_SAME("abc", content_of("g"));
        CHECK(exists("e"));
    });
    suite.add("renameat2.noreplace_over_anything_gives_EEXIST", [] {
        make_file("f", "abc");
        make_file("g", "old");
        make_dir("d");
        make_dir("e");
        make_symlink("missing", "s");
        CHECK_FAILS(EEXIST, rename_with("f", "g", RENAME_NOREPLACE));
        CHECK_FAILS(EEXIST, rename_with("f", "d", RENAME_NOREPLACE));
        CHECK_FAILS(EEXIST, rename_with("f", "s", RENAME_NOREPLACE));
        CHECK_FAILS(EEXIST, rename_with("d", "e", RENAME_NOREPLACE));
        CHECK_FAILS(EEXIST, rename_with("d", "f", RENAME_NOREPLACE));
        CHECK_SAME("old", content_of("g"));
    });
    suite.add("renameat2.noreplace_over_itself_gives_EEXIST", [] {
        make_file("f");
        CHECK_OK(link("f", "g"));
        CHECK_FAILS(EEXIST, rename_with("f", "f", RENAME_NOREPLACE));
        CHECK_FAILS(EEXIST, rename_with("f", "g", RENAME_NOREPLACE));
    });
    suite.add("renameat2.noreplace_of_missing_gives_ENOENT", [] {
        make_file("g");
        CHECK_FAILS(ENOENT, rename_with("missing", "new", RENAME_NOREPLACE));
        CHECK_FAILS(ENOENT, rename_with("missing", "g", RENAME_NOREPLACE));
    });
}

void add_exchange(Suite& suite) {
    suite.add("renameat2.exchange_swaps_two_files", [] {
        make_file("f", "was f");
        make_file("g", "was g");
        exchange("f", "g");
        CHECK_SAME("was g", content_of("f"));
        CHECK_SAME("was f", content_of("g"));
    });
    suite.add("renameat2.exchange_swaps_file_and_directory", [] {
        make_file("f", "abc");
        make_dir("d");
        make_file("d/inside", "x");
        exchange("f", "d");
        CHECK_SAME("abc", content_of("d"));
        CHECK_SAME("x", content_of("f/inside"));
    });
    suite.add("renameat2.exchange_swaps_symlinks_themselves", [] {
        make_file("f", "abc");
        make_symlink("missing", "s");
        exchange("f", "s");
        CHECK_SAME("abc", content_of("s"));
        CHECK(S_ISLNK(lstat_of("f").st_mode));
    });
    suite.add("renameat2.exchange_swaps_full_directories", [] {
        make_dir("d");
        make_dir("e");
        make_file("d/was_d");
        make_file("e/was_e");
        exchange("d", "e");
        CHECK(exists("d/was_e"));
        CHECK(exists("e/was_d"));
    });
    suite.add("renameat2.exchange_across_directories_corrects_parents", [] {
        make_dir("a");
        make_dir("b");
        make_dir("a/d");
        make_file("b/f", "abc");
        const auto a_links = stat_of("a").st_nlink;
        exchange("a/d", "b/f");
        CHECK_SAME("abc", content_of("a/d"));
        if (a_links != 1) CHECK_SAME(a_links - 1, stat_of("a").st_nlink);
        CHECK(stat_of("b/f/..").st_ino == stat_of("b").st_ino);
    });
    suite.add("renameat2.exchange_with_missing_gives_ENOENT", [] {
        make_file("f");
        CHECK_FAILS(ENOENT, rename_with("f", "missing", RENAME_EXCHANGE));
        CHECK_FAILS(ENOENT, rename_with("missing", "f", RENAME_EXCHANGE));
        CHECK(exists("f"));
    });
    suite.add("renameat2.exchange_with_an_ancestor_gives_EINVAL", [] {
        make_dir("d");
        make_dir("d/e");
        CHECK_FAILS(EINVAL, rename_with("d", "d/e", RENAME_EXCHANGE));
        CHECK_FAILS(EINVAL, rename_with("d/e", "d", RENAME_EXCHANGE));
    });
    suite.add("renameat2.exchange_with_itself_does_nothing", [] {
        make_file("f", "abc");
        exchange("f", "f");
        CHECK_SAME("abc", content_of("f"));
    });
    suite.add("renameat2.exchange_needs_permission_in_both_directories", [] {
        make_dir("closed", 0755);
        make_dir("open", 0777);
        make_file("closed/f", "", 0666);
        make_file("open/f", "", 0666);
        as(alice,
           [] { CHECK_FAILS(EACCES, rename_with("open/f", "closed/f", RENAME_EXCHANGE)); });
    });
}

void add_arguments(Suite& suite) {
    suite.add("renameat2.without_flags_is_rename", [] {
        make_file("f", "abc");
        make_file("g");
        CHECK_OK(rename_with("f", "g", 0));
        CHECK_SAME("abc", content_of("g"));
    });
    suite.add("renameat2.noreplace_and_exchange_give_EINVAL", [] {
        make_file("f");
        make_file("g");
        CHECK_FAILS(EINVAL, rename_with("f", "g", RENAME_NOREPLACE | RENAME_EXCHANGE));
    });
    suite.add("renameat2.whiteout_and_exchange_give_EINVAL", [] {
        make_file("f");
        make_file("g");
        CHECK_FAILS(EINVAL, rename_with("f", "g", RENAME_WHITEOUT | RENAME_EXCHANGE));
    });
    suite.add("renameat2.unknown_flag_gives_EINVAL", [] {
        make_file("f");
        CHECK_FAILS(EINVAL, rename_with("f", "g", 0x4000'0000));
        CHECK(exists("f"));
    });
    suite.add("renameat2.whiteout_leaves_a_whiteout_device", [] {
        make_file("f", "abc");
        CHECK_NEEDS(EINVAL, rename_with("f", "g", RENAME_WHITEOUT));
        CHECK_SAME("abc", content_of("g"));
        CHECK(S_ISCHR(lstat_of("f").st_mode));
        CHECK_SAME(0, lstat_of("f").st_rdev);
    });
}

}  // namespace

void add_rename_flag_cases(Suite& suite) {
    add_noreplace(suite);
    add_exchange(suite);
    add_arguments(suite);
}

}  // namespace posix
