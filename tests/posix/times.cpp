// SPDX-License-Identifier: Apache-2.0

// utimensat(2): values, UTIME_NOW and UTIME_OMIT, and who may set what.

#include "cases.hpp"

#include <sys/time.h>
#include <utime.h>

namespace posix {
namespace {

constexpr timespec now = {0, UTIME_NOW};
constexpr timespec omit = {0, UTIME_OMIT};
constexpr timespec one = {1'100'000'000, 111'111'111};
constexpr timespec two = {1'200'000'000, 222'222'222};

int set_times(const char* path, timespec atime, timespec mtime, int flags = 0) {
    const timespec times[2] = {atime, mtime};
    return utimensat(AT_FDCWD, path, times, flags);
}

void check_time(timespec expected, timespec actual, const char* what) {
    if (expected == actual) return;
    const auto text = [](timespec t) {
        return std::to_string(t.tv_sec) + " s " + std::to_string(t.tv_nsec) + " ns";
    };
    fail(std::string(what) + ": expected " + text(expected) + ", came " + text(actual));
}

void add_values(Suite& suite) {
    suite.add("utimensat.sets_both_to_the_nanosecond", [] {
        make_file("f");
        CHECK_OK(set_times("f", one, two));
        check_time(one, stat_of("f").st_atim, "atime");
        check_time(two, stat_of("f").st_mtim, "mtime");
    });
    suite.add("utimensat.works_on_a_directory", [] {
        make_dir("d");
        CHECK_OK(set_times("d", one, two));
        check_time(one, stat_of("d").st_atim, "atime");
        check_time(two, stat_of("d").st_mtim, "mtime");
    });
    suite.add("utimensat.works_on_a_fifo", [] {
        CHECK_OK(mkfifo("p", 0600));
        CHECK_OK(set_times("p", one, two));
        check_time(two, stat_of("p").st_mtim, "mtime");
    });
    suite.add("utimensat.follows_symlinks", [] {
        make_file("f");
        make_symlink("f", "s");
        CHECK_OK(set_times("s", one, two));
        check_time(two, stat_of("f").st_mtim, "mtime of the file");
        CHECK(two < lstat_of("s").st_mtim);
    });
    suite.add("utimensat.nofollow_sets_the_link_itself", [] {
        make_file("f");
        make_symlink("f", "s");
        CHECK_OK(set_times("s", one, two, AT_SYMLINK_NOFOLLOW));
        check_time(two, lstat_of("s").st_mtim, "mtime of the link");
        CHECK(two < stat_of("f").st_mtim);
    });
    struct Row {
        const char* name;
        timespec time;
    };
    static constexpr Row rows[] = {
        {"0", {0, 0}},
        {"1_nanosecond", {0, 1}},
        {"the_last_nanosecond_of_a_second", {1'000'000'000, 999'999'999}},
        {"before_1970", {-1'000'000, 5}},
        {"after_2038", {0x9000'0000, 5}},
        {"after_2106", {0x1'1000'0000, 5}},
    };
    for (const Row& row : rows) {
        suite.add_row("utimensat.sets_" + std::string(row.name), [row] {
            make_file("f");
            CHECK_OK(set_times("f", row.time, row.time));
            check_time(row.time, stat_of("f").st_mtim, "mtime");
            check_time(row.time, stat_of("f").st_atim, "atime");
        });
    }
}

void add_special_values(Suite& suite) {
    suite.add("utimensat.null_sets_both_to_now", [] {
        make_file("f");
        make_old("f");
        CHECK_OK(utimensat(AT_FDCWD, "f", nullptr, 0));
        CHECK(long_ago < stat_of("f").st_atim);
        CHECK(long_ago < stat_of("f").st_mtim);
    });
    suite.add("utimensat.now_sets_to_now_and_ignores_seconds", [] {
        make_file("f");
        make_old("f");
        CHECK_OK(set_times("f", {-5, UTIME_NOW}, {77, UTIME_NOW}));
        CHECK(long_ago < stat_of("f").st_atim);
        CHECK(long_ago < stat_of("f").st_mtim);
    });
    suite.add("utimensat.omit_leaves_one", [] {
        make_file("f");
        make_old("f");
        CHECK_OK(set_times("f", one, omit));
        check_time(one, stat_of("f").st_atim, "atime");
        check_time(long_ago, stat_of("f").st_mtim, "mtime");
        CHECK_OK(set_times("f", omit, two));
        check_time(one, stat_of("f").st_atim, "atime");
        check_time(two, stat_of("f").st_mtim, "mtime");
    });
    suite.add("utimensat.now_and_value_can_be_mixed", [] {
        make_file("f");
        make_old("f");
        CHECK_OK(set_times("f", now, two));
        CHECK(long_ago < stat_of("f").st_atim);
        check_time(two, stat_of("f").st_mtim, "mtime");
    });
    suite.add("utimensat.both_omitted_changes_nothing", [] {
        make_file("f");
        make_old("f");
        const auto before = stat_of("f");
        let_clock_tick();
        CHECK_OK(set_times("f", omit, omit));
        CHECK(before.st_ctim == stat_of("f").st_ctim);
        check_time(long_ago, stat_of("f").st_mtim, "mtime");
    });
}

void add_refusals(Suite& suite) {
    suite.add("utimensat.bad_nanoseconds_give_EINVAL", [] {
        make_file("f");
        CHECK_FAILS(EINVAL, set_times("f", {1, 1'000'000'000}, one));
        CHECK_FAILS(EINVAL, set_times("f", one, {1, -1}));
    });
    suite.add("utimensat.unknown_flag_gives_EINVAL", [] {
        make_file("f");
        CHECK_FAILS(EINVAL, set_times("f", one, two, 0x4000'0000));
    });
    suite.add("utimensat.bad_address_gives_EFAULT", [] {
        make_file("f");
        const auto* times = reinterpret_cast<const timespec*>(bad_address());
        CHECK_FAILS(EFAULT, utimensat(AT_FDCWD, "f", times, 0));
    });
    suite.add("utimensat.survives_reopening_and_reading", [] {
        make_file("f", "abc");
        CHECK_OK(set_times("f", omit, two));
        CHECK_SAME("abc", content_of("f"));
        check_time(two, stat_of("f").st_mtim, "mtime");
    });
    suite.add("utimensat.after_write_is_not_undone_by_close", [] {
        // Data still in a cache must not bring a newer mtime when it is written back.
        const int fd = make_open("f", pattern(100'000));
        const timespec times[2] = {one, two};
        CHECK_OK(futimens(fd, times));
        CHECK_OK(fsync(fd));
        CHECK_OK(close(fd));
        check_time(two, stat_of("f").st_mtim, "mtime");
    });
}

void add_other_forms(Suite& suite) {
    suite.add("futimens.works_on_a_read_only_descriptor", [] {
        make_file("f");
        const timespec times[2] = {one, two};
        CHECK_OK(futimens(open_file("f", O_RDONLY), times));
        check_time(two, stat_of("f").st_mtim, "mtime");
    });
    suite.add("futimens.works_on_an_unlinked_file", [] {
        const int fd = make_open("f");
        CHECK_OK(unlink("f"));
        const timespec times[2] = {one, two};
        CHECK_OK(futimens(fd, times));
        check_time(two, fstat_of(fd).st_mtim, "mtime");
    });
    suite.add("futimens.of_closed_descriptor_gives_EBADF",
              [] { CHECK_FAILS(EBADF, futimens(bad_descriptor, nullptr)); });
    suite.add("utime.sets_whole_seconds", [] {
        make_file("f");
        const utimbuf times = {1'100'000'000, 1'200'000'000};
        CHECK_OK(utime("f", &times));
        check_time({1'200'000'000, 0}, stat_of("f").st_mtim, "mtime");
    });
    suite.add("utimes.sets_microseconds", [] {
        make_file("f");
        const timeval times[2] = {{1'100'000'000, 111'111}, {1'200'000'000, 222'222}};
        CHECK_OK(utimes("f", times));
        check_time({1'100'000'000, 111'111'000}, stat_of("f").st_atim, "atime");
        check_time({1'200'000'000, 222'222'000}, stat_of("f").st_mtim, "mtime");
    });
    suite.add("lutimes.sets_the_link_itself", [] {
        make_symlink("missing", "s");
        const timeval times[2] = {{1'100'000'000, 0}, {1'200'000'000, 0}};
        CHECK_OK(lutimes("s", times));
        check_time({1'200'000'000, 0}, lstat_of("s").st_mtim, "mtime");
    });
    suite.add("utimensat.empty_path_sets_the_descriptor", [] {
        const int fd = make_open("f");
        const timespec times[2] = {one, two};
        // Linux 5.8 and later.
        CHECK_NEEDS(EINVAL, utimensat(fd, "", times, AT_EMPTY_PATH));
        check_time(two, stat_of("f").st_mtim, "mtime");
    });
}

/// Who asks for what: 0 is success.
void add_permission(Suite& suite) {
    struct Row {
        const char* name;
        timespec atime, mtime;
        int writer, stranger;  // errno for a writer that is not the owner, and for others
    };
    static constexpr Row rows[] = {
        {"both_now", now, now, 0, EACCES},
        {"both_values", one, two, EPERM, EPERM},
        {"now_and_value", now, two, EPERM, EPERM},
        {"value_and_now", one, now, EPERM, EPERM},
        {"now_and_omit", now, omit, EPERM, EPERM},
        {"omit_and_now", omit, now, EPERM, EPERM},
        {"value_and_omit", one, omit, EPERM, EPERM},
        {"omit_and_value", omit, two, EPERM, EPERM},
        {"both_omit", omit, omit, 0, 0},
    };
    const auto check = [](int error, const Row& row) {
        if (error == 0) {
            CHECK_OK(set_times("f", row.atime, row.mtime));
        } else {
            CHECK_FAILS(error, set_times("f", row.atime, row.mtime));
        }
    };
    for (const Row& row : rows) {
        const std::string name = "utimensat." + std::string(row.name);
        suite.add_row(name + "_by_the_owner_without_write_permission", [=] {
            make_file_of("f", alice_id, alice_id, 0444);
            as(alice, [&] { check(0, row); });
        });
        suite.add_row(name + "_by_a_writer", [=] {
            make_file("f", "", 0666);
            as(alice, [&] { check(row.writer, row); });
        });
        suite.add_row(name + "_by_a_stranger", [=] {
            make_file("f", "", 0644);
            as(alice, [&] { check(row.stranger, row); });
        });
    }
    suite.add("utimensat.null_by_a_writer_works", [] {
        make_file("f", "", 0666);
        as(alice, [] { CHECK_OK(utimensat(AT_FDCWD, "f", nullptr, 0)); });
    });
    suite.add("utimensat.null_by_a_stranger_gives_EACCES", [] {
        make_file("f", "", 0644);
        as(alice, [] { CHECK_FAILS(EACCES, utimensat(AT_FDCWD, "f", nullptr, 0)); });
    });
}

}  // namespace

void add_times_cases(Suite& suite) {
    add_values(suite);
    add_special_values(suite);
    add_refusals(suite);
    add_other_forms(suite);
    add_permission(suite);
}

}  // namespace posix
