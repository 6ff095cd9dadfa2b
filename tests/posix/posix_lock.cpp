// SPDX-License-Identifier: Apache-2.0

// Record locks of processes: fcntl(2) with F_SETLK, F_SETLKW, F_GETLK.

#include "cases.hpp"

#include <csignal>
#include <sys/time.h>

namespace posix {
namespace {

struct flock region(short type, off_t start, off_t length, short whence = SEEK_SET) {
    struct flock lock = {};
    lock.l_type = type;
    lock.l_whence = whence;
    lock.l_start = start;
    lock.l_len = length;
    return lock;
}

int try_lock(int fd, short type, off_t start, off_t length) {
    const struct flock lock = region(type, start, length);
    return fcntl(fd, F_SETLK, &lock);
}

int wait_lock(int fd, short type, off_t start, off_t length) {
    const struct flock lock = region(type, start, length);
    return fcntl(fd, F_SETLKW, &lock);
}

const Errors taken = either(EAGAIN, EACCES);

/// What another process finds in the way of `type` there.
struct flock seen_by_other(short type, off_t start, off_t length) {
    const Pipe pipe = make_pipe();
    in_child([&] {
        struct flock lock = region(type, start, length);
        CHECK_OK(fcntl(open_file("f", O_RDWR), F_GETLK, &lock));
        CHECK_RETURNS(sizeof lock, write(pipe.write_end, &lock, sizeof lock));
    });
    struct flock found = {};
    CHECK_RETURNS(sizeof found, read(pipe.read_end, &found, sizeof found));
    CHECK_OK(close(pipe.read_end));
    CHECK_OK(close(pipe.write_end));
    return found;
}

bool free_for_other(short type, off_t start, off_t length) {
    return seen_by_other(type, start, length).l_type == F_UNLCK;
}

void add_conflicts(Suite& suite) {
    suite.add("lock.write_lock_excludes_both_kinds", [] {
        const int fd = make_open("f");
        CHECK_OK(try_lock(fd, F_WRLCK, 0, 10));
        in_child([] {
            const int other = open_file("f", O_RDWR);
            CHECK_FAILS(taken, try_lock(other, F_WRLCK, 0, 10));
            CHECK_FAILS(taken, try_lock(other, F_RDLCK, 0, 10));
        });
    });
    suite.add("lock.read_locks_are_shared", [] {
        const int fd = make_open("f");
        CHECK_OK(try_lock(fd, F_RDLCK, 0, 10));
        in_child([] {
            const int other = open_file("f", O_RDWR);
            CHECK_OK(try_lock(other, F_RDLCK, 0, 10));
            CHECK_FAILS(taken, try_lock(other, F_WRLCK, 0, 10));
        });
    });
    suite.add("lock.neighbours_do_not_conflict", [] {
        const int fd = make_open("f");
        CHECK_OK(try_lock(fd, F_WRLCK, 10, 10));
        in_child([] {
            const int other = open_file("f", O_RDWR);
            CHECK_OK(try_lock(other, F_WRLCK, 0, 10));
            CHECK_OK(try_lock(other, F_WRLCK, 20, 10));
            CHECK_FAILS(taken, try_lock(other, F_WRLCK, 9, 2));
            CHECK_FAILS(taken, try_lock(other, F_WRLCK, 19, 1));
        });
    });
}

void add_starts_and_ends(Suite& suite) {
    suite.add("lock.length_0_reaches_to_infinity", [] {
        const int fd = make_open("f");
        CHECK_OK(try_lock(fd, F_WRLCK, 100, 0));
        CHECK(free_for_other(F_WRLCK, 0, 100));
        CHECK(!free_for_other(F_WRLCK, 1LL << 40, 1));
        CHECK_SAME(0, seen_by_other(F_WRLCK, 0, 0).l_len);
    });
    suite.add("lock.negative_length_reaches_back", [] {
        const int fd = make_open("f");
        CHECK_OK(try_lock(fd, F_WRLCK, 100, -10));
        CHECK(free_for_other(F_WRLCK, 0, 90));
        CHECK(!free_for_other(F_WRLCK, 90, 1));
        CHECK(!free_for_other(F_WRLCK, 99, 1));
        CHECK(free_for_other(F_WRLCK, 100, 0));
    });
    suite.add("lock.start_may_be_relative_to_offset_and_end", [] {
        const int fd = make_open("f", std::string(100, 'x'));
        CHECK_OK(lseek(fd, 50, SEEK_SET));
        struct flock lock = region(F_WRLCK, 5, 1, SEEK_CUR);
        CHECK_OK(fcntl(fd, F_SETLK, &lock));
        lock = region(F_WRLCK, -5, 1, SEEK_END);
        CHECK_OK(fcntl(fd, F_SETLK, &lock));
        CHECK_SAME(55, seen_by_other(F_WRLCK, 0, 0).l_start);
        CHECK_SAME(95, seen_by_other(F_WRLCK, 60, 0).l_start);
    });
    suite.add("lock.own_lock_is_replaced_without_conflict", [] {
        const int fd = make_open("f");
        CHECK_OK(try_lock(fd, F_WRLCK, 0, 10));
        CHECK_OK(try_lock(open_file("f", O_RDWR), F_RDLCK, 0, 10));
        CHECK(free_for_other(F_RDLCK, 0, 10));
        CHECK(!free_for_other(F_WRLCK, 0, 10));
    });
    suite.add("lock.upgrade_fails_while_another_reads", [] {
        const int fd = make_open("f");
        CHECK_OK(try_lock(fd, F_RDLCK, 0, 10));
        const Gate locked;
        const Gate done;
        const Child other([&] {
            CHECK_OK(try_lock(open_file("f", O_RDWR), F_RDLCK, 5, 1));
            locked.pass();
            done.wait();
        });
        locked.wait();
        CHECK_FAILS(taken, try_lock(fd, F_WRLCK, 0, 10));
        done.pass();
        other.finish();
        CHECK_OK(try_lock(fd, F_WRLCK, 0, 10));
    });
    suite.add("lock.does_not_stop_reading_and_writing", [] {
        const int fd = make_open("f", "abc");
        CHECK_OK(try_lock(fd, F_WRLCK, 0, 0));
        in_child([] { write_at(open_file("f", O_RDWR), 0, "X"); });
        CHECK_SAME("Xbc", content_of(fd));
    });
}

void add_ranges(Suite& suite) {
    suite.add("lock.unlocking_the_middle_splits", [] {
        const int fd = make_open("f");
        CHECK_OK(try_lock(fd, F_WRLCK, 0, 30));
        CHECK_OK(try_lock(fd, F_UNLCK, 10, 10));
        CHECK(free_for_other(F_WRLCK, 10, 10));
        const auto first = seen_by_other(F_WRLCK, 0, 15);
        CHECK_SAME(0, first.l_start);
        CHECK_SAME(10, first.l_len);
        const auto second = seen_by_other(F_WRLCK, 15, 15);
        CHECK_SAME(20, second.l_start);
        CHECK_SAME(10, second.l_len);
    });
    suite.add("lock.adjacent_locks_merge", [] {
        const int fd = make_open("f");
        CHECK_OK(try_lock(fd, F_WRLCK, 0, 10));
        CHECK_OK(try_lock(fd, F_WRLCK, 20, 10));
        CHECK_OK(try_lock(fd, F_WRLCK, 10, 10));
        const auto found = seen_by_other(F_WRLCK, 15, 1);
        CHECK_SAME(0, found.l_start);
        CHECK_SAME(30, found.l_len);
    });
    suite.add("lock.change_of_the_middle_makes_three", [] {
        const int fd = make_open("f");
        CHECK_OK(try_lock(fd, F_WRLCK, 0, 30));
        CHECK_OK(try_lock(fd, F_RDLCK, 10, 10));
        CHECK(free_for_other(F_RDLCK, 10, 10));
        CHECK(!free_for_other(F_RDLCK, 9, 1));
        CHECK(!free_for_other(F_RDLCK, 20, 1));
        CHECK(!free_for_other(F_WRLCK, 10, 10));
    });
    suite.add("lock.unlocking_over_several_frees_all", [] {
        const int fd = make_open("f");
        for (off_t start = 0; start < 100; start += 10) {
            CHECK_OK(try_lock(fd, F_WRLCK, start, 5));
        }
        CHECK_OK(try_lock(fd, F_UNLCK, 12, 70));
        CHECK(free_for_other(F_WRLCK, 12, 70));
        CHECK_SAME(2, seen_by_other(F_WRLCK, 10, 10).l_len);
        CHECK_SAME(82, seen_by_other(F_WRLCK, 15, 70).l_start);
    });
    suite.add("lock.unlocking_what_is_free_works",
              [] { CHECK_OK(try_lock(make_open("f"), F_UNLCK, 5, 10)); });
    suite.add("lock.a_thousand_ranges_are_kept_apart", [] {
        const int fd = make_open("f");
        for (off_t start = 0; start < 2000; start += 2) {
            CHECK_OK(try_lock(fd, F_WRLCK, start, 1));
        }
        in_child([] {
            const int other = open_file("f", O_RDWR);
            for (off_t start = 0; start < 2000; start += 100) {
                CHECK_FAILS(taken, try_lock(other, F_WRLCK, start, 1));
                CHECK_OK(try_lock(other, F_WRLCK, start + 1, 1));
            }
        });
    });
}

void add_queries(Suite& suite) {
    suite.add("lock.F_GETLK_tells_type_range_and_owner", [] {
        const int fd = make_open("f");
        CHECK_OK(try_lock(fd, F_RDLCK, 10, 20));
        const auto found = seen_by_other(F_WRLCK, 0, 0);
        CHECK_SAME(F_RDLCK, found.l_type);
        CHECK_SAME(SEEK_SET, found.l_whence);
        CHECK_SAME(10, found.l_start);
        CHECK_SAME(20, found.l_len);
        CHECK(found.l_pid == getpid());
    });
    suite.add("lock.F_GETLK_of_free_range_leaves_the_rest", [] {
        make_file("f");
        const auto found = seen_by_other(F_WRLCK, 7, 8);
        CHECK_SAME(F_UNLCK, found.l_type);
        CHECK_SAME(7, found.l_start);
        CHECK_SAME(8, found.l_len);
    });
    suite.add("lock.F_GETLK_does_not_see_own_locks", [] {
        const int fd = make_open("f");
        CHECK_OK(try_lock(fd, F_WRLCK, 0, 10));
        struct flock lock = region(F_WRLCK, 0, 10);
        CHECK_OK(fcntl(fd, F_GETLK, &lock));
        CHECK_SAME(F_UNLCK, lock.l_type);
    });
    suite.add("lock.F_GETLK_does_not_lock", [] {
        make_file("f");
        seen_by_other(F_WRLCK, 0, 10);
        CHECK_OK(try_lock(open_file("f", O_RDWR), F_WRLCK, 0, 10));
    });
}

void add_lifetime(Suite& suite) {
    suite.add("lock.close_of_any_descriptor_releases", [] {
        const int fd = make_open("f");
        CHECK_OK(try_lock(fd, F_WRLCK, 0, 10));
        CHECK_OK(close(open_file("f", O_RDONLY)));
        CHECK(free_for_other(F_WRLCK, 0, 10));
    });
    suite.add("lock.close_of_a_duplicate_releases", [] {
        const int fd = make_open("f");
        CHECK_OK(try_lock(fd, F_WRLCK, 0, 10));
        CHECK_OK(close(CHECK_OK(dup(fd))));
        CHECK(free_for_other(F_WRLCK, 0, 10));
    });
    suite.add("lock.end_of_the_process_releases", [] {
        make_file("f");
        in_child([] { CHECK_OK(try_lock(open_file("f", O_RDWR), F_WRLCK, 0, 10)); });
        CHECK_OK(try_lock(open_file("f", O_RDWR), F_WRLCK, 0, 10));
    });
    suite.add("lock.death_of_the_process_releases", [] {
        make_file("f");
        CHECK_SAME(SIGKILL, signal_from([] {
                       CHECK_OK(try_lock(open_file("f", O_RDWR), F_WRLCK, 0, 10));
                       kill(getpid(), SIGKILL);
                   }));
        CHECK_OK(try_lock(open_file("f", O_RDWR), F_WRLCK, 0, 10));
    });
    suite.add("lock.is_not_inherited_by_fork", [] {
        const int fd = make_open("f");
        CHECK_OK(try_lock(fd, F_WRLCK, 0, 10));
        in_child([fd] { CHECK_FAILS(taken, try_lock(fd, F_WRLCK, 0, 10)); });
        // Nor does the end of the child, which had the descriptor, release it.
        CHECK(!free_for_other(F_WRLCK, 0, 10));
    });
    suite.add("lock.survives_rename_and_unlink", [] {
        const int fd = make_open("f");
        CHECK_OK(link("f", "g"));
        CHECK_OK(try_lock(fd, F_WRLCK, 0, 10));
        CHECK_OK(rename("f", "h"));
        CHECK_OK(unlink("h"));
        in_child([] { CHECK_FAILS(taken, try_lock(open_file("g", O_RDWR), F_WRLCK, 0, 10)); });
    });
    suite.add("lock.belongs_to_the_file_not_the_name", [] {
        const int fd = make_open("f");
        CHECK_OK(try_lock(fd, F_WRLCK, 0, 10));
        CHECK_OK(rename("f", "old"));
        make_file("f");
        CHECK(free_for_other(F_WRLCK, 0, 10));
    });
}

void add_waiting(Suite& suite) {
    suite.add("lock.F_SETLKW_waits_for_release", [] {
        const int fd = make_open("f");
        CHECK_OK(try_lock(fd, F_WRLCK, 0, 10));
        const Gate locked;
        const Child waiter([&] {
            CHECK_OK(wait_lock(open_file("f", O_RDWR), F_WRLCK, 5, 1));
            locked.pass();
        });
        CHECK(!locked.passed_within(blocking_ms));
        CHECK_OK(try_lock(fd, F_UNLCK, 0, 10));
        CHECK(locked.passed_within(release_ms));
        waiter.finish();
    });
    suite.add("lock.F_SETLKW_wakes_when_the_holder_dies", [] {
        make_file("f");
        const Gate held;
        const Child holder([&] {
            CHECK_OK(try_lock(open_file("f", O_RDWR), F_WRLCK, 0, 10));
            held.pass();
            pause();
        });
        held.wait();
        const Gate locked;
        const Child waiter([&] {
            CHECK_OK(wait_lock(open_file("f", O_RDWR), F_WRLCK, 0, 10));
            locked.pass();
        });
        CHECK(!locked.passed_within(blocking_ms));
        CHECK_OK(kill(holder.pid(), SIGKILL));
        CHECK(locked.passed_within(release_ms));
        CHECK_SAME(SIGKILL, holder.finish_by_signal());
        waiter.finish();
    });
    suite.add("lock.F_SETLKW_is_interrupted_by_a_signal", [] {
        const int fd = make_open("f");
        CHECK_OK(try_lock(fd, F_WRLCK, 0, 10));
        const Gate failed;
        const Child waiter([&] {
            struct sigaction action = {};
            action.sa_handler = [](int) {};
            CHECK_OK(sigaction(SIGALRM, &action, nullptr));
            const itimerval soon = {{}, {0, 200'000}};
            CHECK_OK(setitimer(ITIMER_REAL, &soon, nullptr));
            CHECK_FAILS(EINTR, wait_lock(open_file("f", O_RDWR), F_WRLCK, 0, 10));
            failed.pass();
        });
        CHECK(failed.passed_within(release_ms));
        waiter.finish();
    });
}

void add_many_waiters(Suite& suite) {
    suite.add("lock.waiter_does_not_hold_up_other_files", [] {
        const int fd = make_open("f");
        CHECK_OK(try_lock(fd, F_WRLCK, 0, 10));
        const Gate locked;
        const Child waiter([&] {
            CHECK_OK(wait_lock(open_file("f", O_RDWR), F_WRLCK, 0, 10));
            locked.pass();
        });
        CHECK(!locked.passed_within(blocking_ms));
        make_file("g", "abc");
        CHECK_SAME("abc", content_of("g"));
        CHECK_OK(try_lock(open_file("g", O_RDWR), F_WRLCK, 0, 10));
        write_at(fd, 0, "still writable");
        CHECK_OK(try_lock(fd, F_UNLCK, 0, 10));
        waiter.finish();
    });
    suite.add("lock.circle_of_waiters_gives_EDEADLK", [] {
        const int fd = make_open("f");
        CHECK_OK(try_lock(fd, F_WRLCK, 0, 1));
        const Gate held;
        const Child other([&] {
            const int twin = open_file("f", O_RDWR);
            CHECK_OK(try_lock(twin, F_WRLCK, 1, 1));
            held.pass();
            CHECK_OK(wait_lock(twin, F_WRLCK, 0, 1));
            held.pass();
        });
        held.wait();
        CHECK(!held.passed_within(blocking_ms));
        CHECK_FAILS(EDEADLK, wait_lock(fd, F_WRLCK, 1, 1));
        CHECK_OK(try_lock(fd, F_UNLCK, 0, 0));
        other.finish();
    });
    suite.add("lock.eight_waiters_get_it_one_after_another", [] {
        make_file("f", "0");
        in_parallel(8, [](int) {
            const int fd = open_file("f", O_RDWR);
            for (int round = 0; round < 20; ++round) {
                CHECK_OK(wait_lock(fd, F_WRLCK, 0, 0));
                const std::string next = std::to_string(std::stoi(content_of(fd)) + 1);
                write_at(fd, 0, next);
                CHECK_OK(try_lock(fd, F_UNLCK, 0, 0));
            }
        });
        CHECK_SAME("160", content_of("f"));
    });
}

void add_errors(Suite& suite) {
    suite.add("lock.write_lock_needs_a_writable_descriptor", [] {
        make_file("f");
        CHECK_FAILS(EBADF, try_lock(open_file("f", O_RDONLY), F_WRLCK, 0, 1));
        CHECK_FAILS(EBADF, try_lock(open_file("f", O_WRONLY), F_RDLCK, 0, 1));
        CHECK_FAILS(EBADF, try_lock(bad_descriptor, F_RDLCK, 0, 1));
    });
    suite.add("lock.range_before_the_start_gives_EINVAL", [] {
        const int fd = make_open("f");
        CHECK_FAILS(EINVAL, try_lock(fd, F_WRLCK, -1, 1));
        CHECK_FAILS(EINVAL, try_lock(fd, F_WRLCK, 5, -10));
    });
    suite.add("lock.unknown_type_or_whence_gives_EINVAL", [] {
        const int fd = make_open("f");
        CHECK_FAILS(EINVAL, try_lock(fd, short{99}, 0, 1));
        const struct flock lock = region(F_WRLCK, 0, 1, 99);
        CHECK_FAILS(EINVAL, fcntl(fd, F_SETLK, &lock));
    });
    suite.add("lock.at_bad_address_gives_EFAULT", [] {
        const int fd = make_open("f");
        CHECK_FAILS(EFAULT, fcntl(fd, F_SETLK, bad_address()));
        CHECK_FAILS(EFAULT, fcntl(fd, F_GETLK, bad_address()));
    });
    suite.add("lock.lockf_is_a_write_lock_from_the_offset", [] {
        const int fd = make_open("f");
        CHECK_OK(lseek(fd, 10, SEEK_SET));
        CHECK_OK(lockf(fd, F_TLOCK, 5));
        const auto found = seen_by_other(F_RDLCK, 0, 0);
        CHECK_SAME(F_WRLCK, found.l_type);
        CHECK_SAME(10, found.l_start);
        CHECK_SAME(5, found.l_len);
        in_child([] {
            const int other = open_file("f", O_RDWR);
            CHECK_OK(lseek(other, 12, SEEK_SET));
            CHECK_FAILS(taken, lockf(other, F_TEST, 1));
            CHECK_FAILS(taken, lockf(other, F_TLOCK, 1));
        });
    });
}

}  // namespace

void add_posix_lock_cases(Suite& suite) {
    add_conflicts(suite);
    add_starts_and_ends(suite);
    add_ranges(suite);
    add_queries(suite);
    add_lifetime(suite);
    add_waiting(suite);
    add_many_waiters(suite);
    add_errors(suite);
}

}  // namespace posix
