// SPDX-License-Identifier: Apache-2.0

// Leases: fcntl(2) with F_SETLEASE. A file system may lack them.

#include "cases.hpp"

#include <csignal>

namespace posix {
namespace {

void take(int fd, int type) {
    // fcntl(2) names no errno for a file system without leases; these are in use.
    CHECK_NEEDS(either(EINVAL, EOPNOTSUPP, ENOLCK), fcntl(fd, F_SETLEASE, type));
}

}  // namespace

void add_lease_cases(Suite& suite) {
    suite.add("lease.read_lease_can_be_taken_and_left", [] {
        make_file("f");
        const int fd = open_file("f", O_RDONLY);
        take(fd, F_RDLCK);
        CHECK_SAME(F_RDLCK, fcntl(fd, F_GETLEASE));
        CHECK_OK(fcntl(fd, F_SETLEASE, F_UNLCK));
        CHECK_SAME(F_UNLCK, fcntl(fd, F_GETLEASE));
    });
    suite.add("lease.write_lease_can_be_taken", [] {
        const int fd = make_open("f");
        take(fd, F_WRLCK);
        CHECK_SAME(F_WRLCK, fcntl(fd, F_GETLEASE));
    });
    suite.add("lease.of_unknown_type_gives_EINVAL",
              [] { CHECK_FAILS(EINVAL, fcntl(make_open("f"), F_SETLEASE, 99)); });
    suite.add("lease.write_lease_of_file_opened_twice_gives_EAGAIN", [] {
        const int fd = make_open("f");
        take(fd, F_WRLCK);
        CHECK_OK(fcntl(fd, F_SETLEASE, F_UNLCK));
        open_file("f", O_RDONLY);
        CHECK_FAILS(EAGAIN, fcntl(fd, F_SETLEASE, F_WRLCK));
    });
    suite.add("lease.read_lease_of_writable_descriptor_gives_EAGAIN", [] {
        make_file("f");
        take(open_file("f", O_RDONLY), F_RDLCK);
        make_file("g");
        CHECK_FAILS(EAGAIN, fcntl(open_file("g", O_RDWR), F_SETLEASE, F_RDLCK));
    });
    suite.add("lease.of_a_file_of_others_gives_EACCES", [] {
        make_file("f", "", 0666);
        take(open_file("f", O_RDONLY), F_RDLCK);
        as(alice,
           [] { CHECK_FAILS(EACCES, fcntl(open_file("f", O_RDONLY), F_SETLEASE, F_RDLCK)); });
    });
    suite.add("lease.open_by_another_raises_SIGIO_and_waits", [] {
        make_file("f");
        const int probe = open_file("f", O_RDONLY);
        take(probe, F_RDLCK);
        CHECK_OK(fcntl(probe, F_SETLEASE, F_UNLCK));
        const Gate leased;
        const Child holder([&] {
            sigset_t signals;
            sigemptyset(&signals);
            sigaddset(&signals, SIGIO);
            sigprocmask(SIG_BLOCK, &signals, nullptr);
            const int fd = open_file("f", O_RDONLY);
            take(fd, F_RDLCK);
            leased.pass();
            const timespec limit = {10, 0};
            CHECK_RETURNS(SIGIO, sigtimedwait(&signals, nullptr, &limit));
            CHECK_OK(fcntl(fd, F_SETLEASE, F_UNLCK));
        });
        leased.wait();
        CHECK_FAILS(EWOULDBLOCK, open("f", O_WRONLY | O_NONBLOCK));
        CHECK_OK(open("f", O_WRONLY));
        holder.finish();
    });
    suite.add("lease.of_closed_descriptor_gives_EBADF",
              [] { CHECK_FAILS(EBADF, fcntl(bad_descriptor, F_SETLEASE, F_RDLCK)); });
}

}  // namespace posix
