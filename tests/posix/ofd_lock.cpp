// SPDX-License-Identifier: Apache-2.0

// Record locks of open file descriptions: fcntl(2) with F_OFD_SETLK and its relatives.

#include "cases.hpp"

namespace posix {
namespace {

struct flock region(short type, off_t start, off_t length) {
    struct flock lock = {};
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    lock.l_start = start;
    lock.l_len = length;
    return lock;
}

int try_lock(int fd, short type, off_t start, off_t length) {
    const struct flock lock = region(type, start, length);
    return fcntl(fd, F_OFD_SETLK, &lock);
}

int try_process_lock(int fd, short type, off_t start, off_t length) {
    const struct flock lock = region(type, start, length);
    return fcntl(fd, F_SETLK, &lock);
}

const Errors taken = either(EAGAIN, EACCES);

void add_ownership(Suite& suite) {
    suite.add("ofd.two_descriptions_of_one_process_conflict", [] {
        const int one = make_open("f");
        const int two = open_file("f", O_RDWR);
        CHECK_OK(try_lock(one, F_WRLCK, 0, 10));
        CHECK_FAILS(taken, try_lock(two, F_WRLCK, 5, 1));
        CHECK_FAILS(taken, try_lock(two, F_RDLCK, 5, 1));
        CHECK_OK(try_lock(two, F_WRLCK, 10, 1));
    });
    suite.add("ofd.read_locks_are_shared", [] {
        const int one = make_open("f");
        const int two = open_file("f", O_RDWR);
        CHECK_OK(try_lock(one, F_RDLCK, 0, 10));
        CHECK_OK(try_lock(two, F_RDLCK, 0, 10));
        CHECK_FAILS(taken, try_lock(two, F_WRLCK, 0, 10));
    });
    suite.add("ofd.duplicate_shares_the_lock", [] {
        const int one = make_open("f");
        const int twin = CHECK_OK(dup(one));
        CHECK_OK(try_lock(one, F_WRLCK, 0, 10));
        CHECK_OK(try_lock(twin, F_RDLCK, 0, 10));
        CHECK_OK(try_lock(open_file("f", O_RDWR), F_RDLCK, 0, 10));
    });
    suite.add("ofd.close_of_another_descriptor_keeps_the_lock", [] {
        const int one = make_open("f");
        CHECK_OK(try_lock(one, F_WRLCK, 0, 10));
        CHECK_OK(close(open_file("f", O_RDONLY)));
        CHECK_FAILS(taken, try_lock(open_file("f", O_RDWR), F_WRLCK, 0, 10));
    });
    suite.add("ofd.last_close_of_the_description_releases", [] {
        const int one = make_open("f");
        const int twin = CHECK_OK(dup(one));
        const int two = open_file("f", O_RDWR);
        CHECK_OK(try_lock(one, F_WRLCK, 0, 10));
        CHECK_OK(close(one));
        CHECK_FAILS(taken, try_lock(two, F_WRLCK, 0, 10));
        CHECK_OK(close(twin));
        CHECK_OK(try_lock(two, F_WRLCK, 0, 10));
    });
    suite.add("ofd.is_inherited_by_fork", [] {
        const int one = make_open("f");
        CHECK_OK(try_lock(one, F_WRLCK, 0, 10));
        in_child([one] { CHECK_OK(try_lock(one, F_RDLCK, 0, 10)); });
        CHECK_OK(try_lock(open_file("f", O_RDWR), F_RDLCK, 0, 10));
    });
    suite.add("ofd.child_holds_the_lock_after_the_parent_closes", [] {
        const int one = make_open("f");
        CHECK_OK(try_lock(one, F_WRLCK, 0, 10));
        const Gate end;
        const Child child([&] { end.wait(); });
        CHECK_OK(close(one));
        const int two = open_file("f", O_RDWR);
        CHECK_FAILS(taken, try_lock(two, F_WRLCK, 0, 10));
        end.pass();
        child.finish();
        CHECK_OK(try_lock(two, F_WRLCK, 0, 10));
    });
    suite.add("ofd.conflicts_with_process_locks_even_of_the_same_process", [] {
        const int one = make_open("f");
        const int two = open_file("f", O_RDWR);
        CHECK_OK(try_lock(one, F_WRLCK, 0, 10));
        CHECK_FAILS(taken, try_process_lock(two, F_WRLCK, 0, 10));
        CHECK_OK(try_process_lock(two, F_WRLCK, 20, 10));
        CHECK_FAILS(taken, try_lock(one, F_WRLCK, 20, 10));
    });
}

void add_others(Suite& suite) {
    suite.add("ofd.query_tells_the_lock_and_pid_minus_1", [] {
        const int one = make_open("f");
        CHECK_OK(try_lock(one, F_WRLCK, 10, 20));
        struct flock lock = region(F_RDLCK, 0, 0);
        CHECK_OK(fcntl(open_file("f", O_RDWR), F_OFD_GETLK, &lock));
        CHECK_SAME(F_WRLCK, lock.l_type);
        CHECK_SAME(10, lock.l_start);
        CHECK_SAME(20, lock.l_len);
        CHECK_SAME(-1, lock.l_pid);
    });
    suite.add("ofd.process_query_sees_the_lock_with_pid_minus_1", [] {
        const int one = make_open("f");
        CHECK_OK(try_lock(one, F_WRLCK, 10, 20));
        struct flock lock = region(F_RDLCK, 0, 0);
        CHECK_OK(fcntl(open_file("f", O_RDWR), F_GETLK, &lock));
        CHECK_SAME(F_WRLCK, lock.l_type);
        CHECK_SAME(-1, lock.l_pid);
    });
    suite.add("ofd.ranges_split_and_merge", [] {
        const int one = make_open("f");
        const int two = open_file("f", O_RDWR);
        CHECK_OK(try_lock(one, F_WRLCK, 0, 30));
        CHECK_OK(try_lock(one, F_UNLCK, 10, 10));
        CHECK_OK(try_lock(two, F_WRLCK, 10, 10));
        CHECK_FAILS(taken, try_lock(two, F_WRLCK, 9, 1));
        CHECK_FAILS(taken, try_lock(two, F_WRLCK, 20, 1));
        CHECK_OK(try_lock(two, F_UNLCK, 10, 10));
        CHECK_OK(try_lock(one, F_WRLCK, 10, 10));
        struct flock lock = region(F_RDLCK, 15, 1);
        CHECK_OK(fcntl(two, F_OFD_GETLK, &lock));
        CHECK_SAME(0, lock.l_start);
        CHECK_SAME(30, lock.l_len);
    });
    suite.add("ofd.waiting_lock_waits_for_release", [] {
        const int one = make_open("f");
        CHECK_OK(try_lock(one, F_WRLCK, 0, 10));
        const Gate locked;
        const Child waiter([&] {
            CHECK_OK(close(one));  // or the child would hold the lock as well
            const struct flock lock = region(F_WRLCK, 0, 10);
            CHECK_OK(fcntl(open_file("f", O_RDWR), F_OFD_SETLKW, &lock));
            locked.pass();
        });
        CHECK(!locked.passed_within(blocking_ms));
        CHECK_OK(try_lock(one, F_UNLCK, 0, 10));
        CHECK(locked.passed_within(release_ms));
        waiter.finish();
    });
    suite.add("ofd.pid_other_than_0_gives_EINVAL", [] {
        struct flock lock = region(F_WRLCK, 0, 10);
        lock.l_pid = 1;
        CHECK_FAILS(EINVAL, fcntl(make_open("f"), F_OFD_SETLK, &lock));
    });
    suite.add("ofd.wrong_open_mode_gives_EBADF", [] {
        make_file("f");
        CHECK_FAILS(EBADF, try_lock(open_file("f", O_RDONLY), F_WRLCK, 0, 1));
        CHECK_FAILS(EBADF, try_lock(open_file("f", O_WRONLY), F_RDLCK, 0, 1));
    });
}

}  // namespace

void add_ofd_lock_cases(Suite& suite) {
    add_ownership(suite);
    add_others(suite);
}

}  // namespace posix
