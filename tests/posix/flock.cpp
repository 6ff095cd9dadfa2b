// SPDX-License-Identifier: Apache-2.0

// flock(2).

#include "cases.hpp"

#include <csignal>
#include <sys/file.h>
#include <sys/time.h>

namespace posix {
namespace {

int try_lock(int fd, int operation) {
    return flock(fd, operation | LOCK_NB);
}

void add_conflicts(Suite& suite) {
    suite.add("flock.exclusive_excludes_both_kinds", [] {
        const int one = make_open("f");
        const int two = open_file("f", O_RDWR);
        CHECK_OK(try_lock(one, LOCK_EX));
        CHECK_FAILS(EWOULDBLOCK, try_lock(two, LOCK_EX));
        CHECK_FAILS(EWOULDBLOCK, try_lock(two, LOCK_SH));
    });
    suite.add("flock.shared_locks_are_shared", [] {
        const int one = make_open("f");
        const int two = open_file("f", O_RDWR);
        CHECK_OK(try_lock(one, LOCK_SH));
        CHECK_OK(try_lock(two, LOCK_SH));
        CHECK_FAILS(EWOULDBLOCK, try_lock(two, LOCK_EX));
    });
    suite.add("flock.two_processes_conflict", [] {
        const int fd = make_open("f");
        CHECK_OK(try_lock(fd, LOCK_EX));
        in_child([] { CHECK_FAILS(EWOULDBLOCK, try_lock(open_file("f", O_RDWR), LOCK_SH)); });
    });
    suite.add("flock.unlock_frees", [] {
        const int one = make_open("f");
        const int two = open_file("f", O_RDWR);
        CHECK_OK(try_lock(one, LOCK_EX));
        CHECK_OK(try_lock(one, LOCK_UN));
        CHECK_OK(try_lock(two, LOCK_EX));
    });
    suite.add("flock.unlock_of_what_is_free_works",
              [] { CHECK_OK(flock(make_open("f"), LOCK_UN)); });
    suite.add("flock.can_be_upgraded_and_downgraded", [] {
        const int one = make_open("f");
        const int two = open_file("f", O_RDWR);
        CHECK_OK(try_lock(one, LOCK_SH));
        CHECK_OK(try_lock(one, LOCK_EX));
        CHECK_FAILS(EWOULDBLOCK, try_lock(two, LOCK_SH));
        CHECK_OK(try_lock(one, LOCK_SH));
        CHECK_OK(try_lock(two, LOCK_SH));
    });
    suite.add("flock.upgrade_fails_while_another_shares", [] {
        const int one = make_open("f");
        const int two = open_file("f", O_RDWR);
        CHECK_OK(try_lock(one, LOCK_SH));
        CHECK_OK(try_lock(two, LOCK_SH));
        CHECK_FAILS(EWOULDBLOCK, try_lock(one, LOCK_EX));
    });
}

void add_reach(Suite& suite) {
    suite.add("flock.works_with_any_open_mode", [] {
        make_file("f");
        CHECK_OK(try_lock(open_file("f", O_RDONLY), LOCK_EX));
        make_file("g");
        CHECK_OK(try_lock(open_file("g", O_WRONLY), LOCK_SH));
    });
    suite.add("flock.works_on_a_directory", [] {
        make_dir("d");
        const int one = open_file("d", O_RDONLY);
        const int two = open_file("d", O_RDONLY);
        CHECK_OK(try_lock(one, LOCK_EX));
        CHECK_FAILS(EWOULDBLOCK, try_lock(two, LOCK_SH));
    });
    suite.add("flock.is_independent_of_record_locks", [] {
        const int one = make_open("f");
        CHECK_OK(try_lock(one, LOCK_EX));
        in_child([] {
            const struct flock lock = {F_WRLCK, SEEK_SET, 0, 0, 0};
            CHECK_OK(fcntl(open_file("f", O_RDWR), F_SETLK, &lock));
        });
    });
    suite.add("flock.two_links_are_one_file", [] {
        const int one = make_open("f");
        CHECK_OK(link("f", "g"));
        CHECK_OK(try_lock(one, LOCK_EX));
        CHECK_FAILS(EWOULDBLOCK, try_lock(open_file("g", O_RDWR), LOCK_SH));
    });
}

void add_lifetime(Suite& suite) {
    suite.add("flock.duplicate_shares_the_lock", [] {
        const int one = make_open("f");
        const int twin = CHECK_OK(dup(one));
        const int two = open_file("f", O_RDWR);
        CHECK_OK(try_lock(one, LOCK_EX));
        CHECK_OK(try_lock(twin, LOCK_EX));
        CHECK_OK(close(one));
        CHECK_FAILS(EWOULDBLOCK, try_lock(two, LOCK_SH));
        CHECK_OK(flock(twin, LOCK_UN));
        CHECK_OK(try_lock(two, LOCK_EX));
    });
    suite.add("flock.last_close_releases", [] {
        const int one = make_open("f");
        const int two = open_file("f", O_RDWR);
        CHECK_OK(try_lock(one, LOCK_EX));
        CHECK_OK(close(one));
        CHECK_OK(try_lock(two, LOCK_EX));
    });
    suite.add("flock.close_of_another_descriptor_keeps_the_lock", [] {
        const int one = make_open("f");
        CHECK_OK(try_lock(one, LOCK_EX));
        CHECK_OK(close(open_file("f", O_RDWR)));
        CHECK_FAILS(EWOULDBLOCK, try_lock(open_file("f", O_RDWR), LOCK_SH));
    });
    suite.add("flock.is_inherited_by_fork", [] {
        const int one = make_open("f");
        CHECK_OK(try_lock(one, LOCK_EX));
        in_child([one] { CHECK_OK(flock(one, LOCK_UN)); });
        CHECK_OK(try_lock(open_file("f", O_RDWR), LOCK_EX));
    });
    suite.add("flock.end_of_a_child_keeps_the_lock_of_the_parent", [] {
        const int one = make_open("f");
        CHECK_OK(try_lock(one, LOCK_EX));
        in_child([] {});
        CHECK_FAILS(EWOULDBLOCK, try_lock(open_file("f", O_RDWR), LOCK_SH));
    });
    suite.add("flock.death_of_the_process_releases", [] {
        make_file("f");
        CHECK_SAME(SIGKILL, signal_from([] {
                       CHECK_OK(try_lock(open_file("f", O_RDWR), LOCK_EX));
                       kill(getpid(), SIGKILL);
                   }));
        CHECK_OK(try_lock(open_file("f", O_RDWR), LOCK_EX));
    });
    suite.add("flock.survives_unlink", [] {
        const int one = make_open("f");
        CHECK_OK(link("f", "g"));
        CHECK_OK(try_lock(one, LOCK_EX));
        CHECK_OK(unlink("f"));
        CHECK_FAILS(EWOULDBLOCK, try_lock(open_file("g", O_RDWR), LOCK_SH));
    });
}

void add_waiting(Suite& suite) {
    suite.add("flock.waits_for_release", [] {
        const int one = make_open("f");
        CHECK_OK(try_lock(one, LOCK_EX));
        const Gate locked;
        const Child waiter([&] {
            CHECK_OK(close(one));  // or the child would hold the lock as well
            CHECK_OK(flock(open_file("f", O_RDWR), LOCK_SH));
            locked.pass();
        });
        CHECK(!locked.passed_within(blocking_ms));
        CHECK_OK(flock(one, LOCK_UN));
        CHECK(locked.passed_within(release_ms));
        waiter.finish();
    });
    suite.add("flock.wait_is_interrupted_by_a_signal", [] {
        const int one = make_open("f");
        CHECK_OK(try_lock(one, LOCK_EX));
        const Gate failed;
        const Child waiter([&] {
            CHECK_OK(close(one));
            struct sigaction action = {};
            action.sa_handler = [](int) {};
            CHECK_OK(sigaction(SIGALRM, &action, nullptr));
            const itimerval soon = {{}, {0, 200'000}};
            CHECK_OK(setitimer(ITIMER_REAL, &soon, nullptr));
            CHECK_FAILS(EINTR, flock(open_file("f", O_RDWR), LOCK_EX));
            failed.pass();
        });
        CHECK(failed.passed_within(release_ms));
        waiter.finish();
    });
    suite.add("flock.waiter_does_not_hold_up_other_files", [] {
        const int one = make_open("f");
        CHECK_OK(try_lock(one, LOCK_EX));
        const Gate locked;
        const Child waiter([&] {
            CHECK_OK(close(one));
            CHECK_OK(flock(open_file("f", O_RDWR), LOCK_EX));
            locked.pass();
        });
        CHECK(!locked.passed_within(blocking_ms));
        make_file("g", "abc");
        CHECK_SAME("abc", content_of("g"));
        CHECK_OK(try_lock(open_file("g", O_RDWR), LOCK_EX));
        CHECK_OK(flock(one, LOCK_UN));
        waiter.finish();
    });
    suite.add("flock.eight_waiters_get_it_one_after_another", [] {
        make_file("f", "0");
        in_parallel(8, [](int) {
            const int fd = open_file("f", O_RDWR);
            for (int round = 0; round < 20; ++round) {
                CHECK_OK(flock(fd, LOCK_EX));
                const std::string next = std::to_string(std::stoi(content_of(fd)) + 1);
                write_at(fd, 0, next);
                CHECK_OK(flock(fd, LOCK_UN));
            }
        });
        CHECK_SAME("160", content_of("f"));
    });
}

void add_errors(Suite& suite) {
    suite.add("flock.unknown_operation_gives_EINVAL", [] {
        const int fd = make_open("f");
        CHECK_FAILS(EINVAL, flock(fd, 0));
        CHECK_FAILS(EINVAL, flock(fd, LOCK_SH | LOCK_EX));
    });
    suite.add("flock.of_closed_descriptor_gives_EBADF",
              [] { CHECK_FAILS(EBADF, flock(bad_descriptor, LOCK_SH)); });
}

}  // namespace

void add_flock_cases(Suite& suite) {
    add_conflicts(suite);
    add_reach(suite);
    add_lifetime(suite);
    add_waiting(suite);
    add_errors(suite);
}

}  // namespace posix
