// SPDX-License-Identifier: Apache-2.0

// Which call marks which of a file's times, as one table; then the rules of atime.

#include "cases.hpp"

#include <linux/falloc.h>
#include <span>
#include <sys/mman.h>
#include <sys/xattr.h>

namespace posix {
namespace {

enum Marks { none = 0, ctime_only = 1, mtime_and_ctime = 2 };

struct Rule {
    const char* name;
    void (*scene)();  // beside "f" (content "abc") and the directory "d" with "d/f"
    void (*act)();
    const char* subject;  // whose times are looked at, when the act is done
    Marks marks;
    const char* subject_before = nullptr;  // where it had another name before
};

constexpr auto nothing = [] {};

constexpr Rule content_rules[] = {
    {"write_marks_the_file",
     nothing,
     [] { write_at(open_file("f", O_WRONLY), 0, "x"); },
     "f",
     mtime_and_ctime},
    {"write_does_not_mark_the_directory",
     nothing,
     [] { write_at(open_file("d/f", O_WRONLY), 0, "x"); },
     "d",
     none},
    {"write_of_0_bytes_marks_nothing",
     nothing,
     [] { CHECK_RETURNS(0, write(open_file("f", O_WRONLY), "", 0)); },
     "f",
     none},
    {"read_marks_neither_mtime_nor_ctime", nothing, [] { content_of("f"); }, "f", none},
    {"opening_for_writing_marks_nothing", nothing, [] { open_file("f", O_RDWR); }, "f", none},
    {"open_with_truncate_marks_the_file",
     nothing,
     [] { open_file("f", O_WRONLY | O_TRUNC); },
     "f",
     mtime_and_ctime},
    {"open_with_truncate_of_empty_file_marks_it",
     [] { CHECK_OK(truncate("f", 0)); },
     [] { open_file("f", O_WRONLY | O_TRUNC); },
     "f",
     mtime_and_ctime},
    {"truncate_marks_the_file",
     nothing,
     [] { CHECK_OK(truncate("f", 1)); },
     "f",
     mtime_and_ctime},
    {"truncate_up_marks_the_file",
     nothing,
     [] { CHECK_OK(truncate("f", 100)); },
     "f",
     mtime_and_ctime},
    {"ftruncate_marks_the_file",
     nothing,
     [] { CHECK_OK(ftruncate(open_file("f", O_WRONLY), 1)); },
     "f",
     mtime_and_ctime},
    {"fallocate_marks_the_file",
     nothing,
     [] {
         CHECK_NEEDS(either(EOPNOTSUPP, ENOSYS),
                     fallocate(open_file("f", O_WRONLY), 0, 0, 10'000));
     },
     "f",
     mtime_and_ctime},
    {"punch_hole_marks_the_file",
     nothing,
     [] {
         CHECK_NEEDS(
             either(EOPNOTSUPP, ENOSYS),
             fallocate(
                 open_file("f", O_WRONLY), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 3));
     },
     "f",
     mtime_and_ctime},
    {"copy_file_range_marks_the_target",
     [] { make_file("source", "xyz"); },
     [] {
         const int in = open_file("source", O_RDONLY);
         CHECK_OK(copy_file_range(in, nullptr, open_file("f", O_WRONLY), nullptr, 3, 0));
     },
     "f",
     mtime_and_ctime},
    {"store_into_shared_map_marks_the_file",
     nothing,
     [] {
         char* map = static_cast<char*>(CHECK_OK(
             mmap(nullptr, 3, PROT_READ | PROT_WRITE, MAP_SHARED, open_file("f", O_RDWR), 0)));
         map[0] = 'X';
         CHECK_OK(msync(map, 3, MS_SYNC));
     },
     "f",
     mtime_and_ctime},
    {"failed_write_marks_nothing",
     nothing,
     [] { CHECK_FAILS(EFAULT, write(open_file("f", O_WRONLY), bad_address(), 1)); },
     "f",
     none},
    {"fsync_marks_nothing",
     nothing,
     [] { CHECK_OK(fsync(open_file("f", O_RDWR))); },
     "f",
     none},
};

constexpr Rule attribute_rules[] = {
    {"chmod_marks_ctime", nothing, [] { CHECK_OK(chmod("f", 0611)); }, "f", ctime_only},
    {"chown_marks_ctime", nothing, [] { CHECK_OK(chown("f", 1, 1)); }, "f", ctime_only},
    {"chmod_does_not_mark_the_directory",
     nothing,
     [] { CHECK_OK(chmod("d/f", 0611)); },
     "d",
     none},
    {"setxattr_marks_ctime",
     nothing,
     [] { CHECK_NEEDS(EOPNOTSUPP, setxattr("f", "user.x", "v", 1, 0)); },
     "f",
     ctime_only},
    {"removexattr_marks_ctime",
     [] { CHECK_NEEDS(EOPNOTSUPP, setxattr("f", "user.x", "v", 1, 0)); },
     [] { CHECK_OK(removexattr("f", "user.x")); },
     "f",
     ctime_only},
    {"utimensat_marks_ctime",
     nothing,
     [] {
         const timespec times[2] = {{5, 5}, {0, UTIME_OMIT}};
         CHECK_OK(utimensat(AT_FDCWD, "f", times, 0));
     },
     "f",
     ctime_only},
    {"link_marks_ctime_of_the_file",
     nothing,
     [] { CHECK_OK(link("f", "g")); },
     "f",
     ctime_only},
    {"unlink_marks_ctime_of_a_linked_file",
     [] { CHECK_OK(link("f", "g")); },
     [] { CHECK_OK(unlink("g")); },
     "f",
     ctime_only},
    {"rename_over_marks_ctime_of_the_lost_file",
     [] {
         CHECK_OK(link("f", "kept"));
         make_file("g");
     },
     [] { CHECK_OK(rename("g", "f")); },
     "kept",
     ctime_only,
     "f"},
    {"stat_marks_nothing", nothing, [] { stat_of("f"); }, "f", none},
    {"access_marks_nothing", nothing, [] { CHECK_OK(access("f", R_OK)); }, "f", none},
};

constexpr Rule directory_rules[] = {
    {"creation_marks_the_directory", nothing, [] { make_file("d/new"); }, "d", mtime_and_ctime},
    {"open_of_existing_with_create_marks_nothing",
     nothing,
     [] { CHECK_OK(open("d/f", O_CREAT | O_RDWR, 0600)); },
     "d",
     none},
    {"failed_exclusive_creation_marks_nothing",
     nothing,
     [] { CHECK_FAILS(EEXIST, open("d/f", O_CREAT | O_EXCL | O_RDWR, 0600)); },
     "d",
     none},
    {"mkdir_marks_the_parent", nothing, [] { make_dir("d/new"); }, "d", mtime_and_ctime},
    {"rmdir_marks_the_parent",
     [] { make_dir("d/old"); },
     [] { CHECK_OK(rmdir("d/old")); },
     "d",
     mtime_and_ctime},
    {"symlink_marks_the_directory",
     nothing,
     [] { make_symlink("f", "d/s"); },
     "d",
     mtime_and_ctime},
    {"mknod_marks_the_directory",
     nothing,
     [] { CHECK_OK(mkfifo("d/p", 0600)); },
     "d",
     mtime_and_ctime},
    {"link_marks_the_new_directory",
     nothing,
     [] { CHECK_OK(link("f", "d/g")); },
     "d",
     mtime_and_ctime},
    {"link_does_not_mark_the_old_directory",
     nothing,
     [] { CHECK_OK(link("d/f", "g")); },
     "d",
     none},
    {"unlink_marks_the_directory",
     nothing,
     [] { CHECK_OK(unlink("d/f")); },
     "d",
     mtime_and_ctime},
    {"failed_unlink_marks_nothing",
     nothing,
     [] { CHECK_FAILS(ENOENT, unlink("d/missing")); },
     "d",
     none},
    {"rename_marks_the_old_directory",
     nothing,
     [] { CHECK_OK(rename("d/f", "g")); },
     "d",
     mtime_and_ctime},
    {"rename_marks_the_new_directory",
     nothing,
     [] { CHECK_OK(rename("f", "d/g")); },
     "d",
     mtime_and_ctime},
    {"rename_within_marks_the_directory",
     nothing,
     [] { CHECK_OK(rename("d/f", "d/g")); },
     "d",
     mtime_and_ctime},
    {"rename_of_a_link_to_itself_marks_nothing",
     [] { CHECK_OK(link("d/f", "d/g")); },
     [] { CHECK_OK(rename("d/f", "d/g")); },
     "d",
     none},
    {"failed_rename_marks_nothing",
     [] { make_dir("d/e"); },
     [] { CHECK_FAILS(EISDIR, rename("f", "d/e")); },
     "d",
     none},
    {"rename_does_not_mark_mtime_of_the_file",
     nothing,
     [] { CHECK_OK(rename("f", "g")); },
     "g",
     ctime_only,
     "f"},
    {"listing_marks_neither_mtime_nor_ctime", nothing, [] { names_in("d"); }, "d", none},
    {"lookup_marks_nothing", nothing, [] { stat_of("d/f"); }, "d", none},
};

void run_rule(const Rule& rule) {
    make_file("f", "abc");
    make_dir("d");
    make_file("d/f", "abc");
    rule.scene();
    const char* before_name =
        rule.subject_before != nullptr ? rule.subject_before : rule.subject;
    make_old(before_name);
    const auto before = lstat_of(before_name);
    let_clock_tick();
    rule.act();
    const auto after = lstat_of(rule.subject);

    const bool mtime_marked = before.st_mtim < after.st_mtim;
    const bool ctime_marked = before.st_ctim < after.st_ctim;
    CHECK_SAME(rule.marks == mtime_and_ctime, mtime_marked);
    if (rule.marks == none) CHECK(before.st_mtim == after.st_mtim);
    CHECK_SAME(rule.marks != none, ctime_marked);
}

void add_rules(Suite& suite, std::span<const Rule> rules) {
    for (const Rule& rule : rules) {
        suite.add_row("times." + std::string(rule.name), [&rule] { run_rule(rule); });
    }
}

void add_atime(Suite& suite) {
    suite.add("times.read_moves_atime_forward_or_not_at_all", [] {
        make_file("f", "abc");
        make_old("f");
        content_of("f");
        const auto atime = stat_of("f").st_atim;  // noatime mounts keep it
        CHECK(atime == long_ago || long_ago < atime);
    });
    suite.add("times.listing_moves_atime_forward_or_not_at_all", [] {
        make_dir("d");
        make_old("d");
        names_in("d");
        const auto atime = stat_of("d").st_atim;
        CHECK(atime == long_ago || long_ago < atime);
    });
    suite.add("times.write_does_not_move_atime", [] {
        make_file("f", "abc");
        make_old("f");
        write_at(open_file("f", O_WRONLY), 0, "x");
        CHECK(stat_of("f").st_atim == long_ago);
    });
    suite.add("times.new_file_has_three_equal_times", [] {
        make_file("f");
        const auto st = stat_of("f");
        CHECK(st.st_atim == st.st_mtim);
        CHECK(!(st.st_ctim < st.st_mtim));
    });
    suite.add("times.later_file_is_not_older", [] {
        make_file("f");
        let_clock_tick();
        make_file("g");
        CHECK(stat_of("f").st_mtim < stat_of("g").st_mtim);
    });
    suite.add("times.two_writes_within_a_second_are_told_apart", [] {
        const int fd = make_open("f", "x");
        const auto first = fstat_of(fd).st_mtim;
        let_clock_tick();
        write_at(fd, 0, "y");
        CHECK(first < fstat_of(fd).st_mtim);
    });
    suite.add("times.mtime_through_descriptor_and_path_agree_after_write", [] {
        const int fd = make_open("f", "x");
        make_old("f");
        write_at(fd, 0, "y");
        CHECK(fstat_of(fd).st_mtim == stat_of("f").st_mtim);
        CHECK(fstat_of(fd).st_ctim == stat_of("f").st_ctim);
    });
}

}  // namespace

void add_time_rule_cases(Suite& suite) {
    add_rules(suite, content_rules);
    add_rules(suite, attribute_rules);
    add_rules(suite, directory_rules);
    add_atime(suite);
}

}  // namespace posix
