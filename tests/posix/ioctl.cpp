// SPDX-License-Identifier: Apache-2.0

// ioctl(2) on files: what is refused, and the inode flags that make a file immutable.

#include "cases.hpp"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <termios.h>

namespace posix {
namespace {

int flags_of(int fd) {
    int flags = 0;
    CHECK_NEEDS(either(ENOTTY, EOPNOTSUPP, ENOSYS), ioctl(fd, FS_IOC_GETFLAGS, &flags));
    return flags;
}

/// The runner clears the flags again, where a case does not come that far.
void set_flag(const char* path, int flag) {
    const int fd = open_file(path, O_RDONLY);
    const int flags = flags_of(fd) | flag;
    CHECK_NEEDS(either(ENOTTY, EOPNOTSUPP, ENOSYS), ioctl(fd, FS_IOC_SETFLAGS, &flags));
    CHECK_OK(close(fd));
}

void clear_flag(const char* path, int flag) {
    const int fd = open_file(path, O_RDONLY);
    const int flags = flags_of(fd) & ~flag;
    CHECK_OK(ioctl(fd, FS_IOC_SETFLAGS, &flags));
    CHECK_OK(close(fd));
}

void add_refusals(Suite& suite) {
    suite.add("ioctl.of_terminals_on_a_file_gives_ENOTTY", [] {
        termios terminal = {};
        winsize window = {};
        const int fd = make_open("f");
        CHECK_FAILS(ENOTTY, ioctl(fd, TCGETS, &terminal));
        CHECK_FAILS(ENOTTY, ioctl(fd, TIOCGWINSZ, &window));
        CHECK(isatty(fd) == 0);
    });
    suite.add("ioctl.of_terminals_on_a_directory_gives_ENOTTY", [] {
        termios terminal = {};
        CHECK_FAILS(ENOTTY, ioctl(open_file(".", O_RDONLY), TCGETS, &terminal));
    });
    suite.add("ioctl.unknown_request_gives_ENOTTY",
              [] { CHECK_FAILS(ENOTTY, ioctl(make_open("f"), _IO('~', 0x77), 0)); });
    suite.add("ioctl.on_closed_descriptor_gives_EBADF", [] {
        int count = 0;
        CHECK_FAILS(EBADF, ioctl(bad_descriptor, FIONREAD, &count));
    });
    suite.add("ioctl.FIONREAD_tells_what_is_left", [] {
        const int fd = make_open("f", "abcdef");
        CHECK_OK(lseek(fd, 2, SEEK_SET));
        int count = 0;
        CHECK_OK(ioctl(fd, FIONREAD, &count));
        CHECK_SAME(4, count);
    });
    suite.add("ioctl.FIOCLEX_sets_close_on_exec", [] {
        const int fd = make_open("f");
        CHECK_OK(ioctl(fd, FIONCLEX));
        CHECK_SAME(0, fcntl(fd, F_GETFD));
        CHECK_OK(ioctl(fd, FIOCLEX));
        CHECK_SAME(FD_CLOEXEC, fcntl(fd, F_GETFD));
    });
    suite.add("ioctl.setting_inode_flags_by_another_user_is_refused", [] {
        make_file("f");
        const int fd = open_file("f", O_RDONLY);
        const int flags = flags_of(fd) | FS_NODUMP_FL;
        as(alice,
           [=] { CHECK_FAILS(either(EPERM, EACCES), ioctl(fd, FS_IOC_SETFLAGS, &flags)); });
    });
    suite.add("ioctl.making_immutable_by_the_owner_gives_EPERM", [] {
        make_file_of("f", alice_id, alice_id, 0600);
        flags_of(open_file("f", O_RDONLY));
        as(alice, [] {
            const int fd = open_file("f", O_RDONLY);
            const int flags = flags_of(fd) | FS_IMMUTABLE_FL;
            CHECK_FAILS(EPERM, ioctl(fd, FS_IOC_SETFLAGS, &flags));
        });
    });
}

void add_immutable(Suite& suite) {
    suite.add("ioctl.immutable_file_gives_EPERM", [] {
        make_file("f", "abc");
        set_flag("f", FS_IMMUTABLE_FL);
        CHECK_FAILS(EPERM, open("f", O_WRONLY));
        CHECK_FAILS(EPERM, truncate("f", 0));
        CHECK_FAILS(EPERM, chmod("f", 0600));
        CHECK_FAILS(EPERM, chown("f", 1, 1));
        CHECK_FAILS(EPERM, link("f", "g"));
        CHECK_FAILS(EPERM, rename("f", "g"));
        CHECK_FAILS(EPERM, unlink("f"));
        CHECK_SAME("abc", content_of("f"));
        clear_flag("f", FS_IMMUTABLE_FL);
        CHECK_OK(unlink("f"));
    });
    suite.add("ioctl.immutable_directory_gives_EPERM", [] {
        make_dir("d");
        make_file("d/f", "abc");
        set_flag("d", FS_IMMUTABLE_FL);
        CHECK_FAILS(either(EPERM, EACCES), open("d/g", O_CREAT | O_WRONLY, 0600));
        CHECK_FAILS(either(EPERM, EACCES), mkdir("d/e", 0700));
        CHECK_FAILS(EPERM, unlink("d/f"));
        CHECK_FAILS(EPERM, rename("d/f", "f"));
        write_at(open_file("d/f", O_WRONLY), 0, "X");
        clear_flag("d", FS_IMMUTABLE_FL);
        CHECK_OK(unlink("d/f"));
    });
    suite.add("ioctl.append_only_file_takes_appends_only", [] {
        make_file("f", "abc");
        set_flag("f", FS_APPEND_FL);
        CHECK_FAILS(EPERM, open("f", O_WRONLY));
        CHECK_FAILS(EPERM, open("f", O_WRONLY | O_APPEND | O_TRUNC));
        CHECK_FAILS(EPERM, truncate("f", 0));
        CHECK_FAILS(EPERM, unlink("f"));
        const int fd = open_file("f", O_WRONLY | O_APPEND);
        CHECK_RETURNS(1, write(fd, "d", 1));
        CHECK_FAILS(EPERM, fcntl(fd, F_SETFL, 0));
        CHECK_SAME("abcd", content_of("f"));
        clear_flag("f", FS_APPEND_FL);
        CHECK_OK(unlink("f"));
    });
    suite.add("ioctl.immutable_file_keeps_its_times_and_attributes", [] {
        make_file("f", "abc");
        set_flag("f", FS_IMMUTABLE_FL);
        const timespec times[2] = {long_ago, long_ago};
        CHECK_FAILS(EPERM, utimensat(AT_FDCWD, "f", times, 0));
        CHECK_FAILS(either(EACCES, EPERM), utimensat(AT_FDCWD, "f", nullptr, 0));
        clear_flag("f", FS_IMMUTABLE_FL);
        make_old("f");
    });
}

}  // namespace

void add_ioctl_cases(Suite& suite) {
    add_refusals(suite);
    add_immutable(suite);
}

}  // namespace posix
