// SPDX-License-Identifier: Apache-2.0

// open(2): creating, truncating, what the flags demand, and who may.

#include "cases.hpp"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>

namespace posix {
namespace {

void add_creation(Suite& suite) {
    suite.add("open.creates_an_empty_regular_file", [] {
        CHECK_OK(open("f", O_CREAT | O_WRONLY, 0600));
        CHECK(S_ISREG(stat_of("f").st_mode));
        CHECK_SAME(0, stat_of("f").st_size);
        CHECK_SAME(1, stat_of("f").st_nlink);
    });
    suite.add("open.created_mode_is_masked_by_umask", [] {
        umask(027);
        CHECK_OK(open("f", O_CREAT | O_WRONLY, 0666));
        CHECK_MODE(0640u, mode_of("f"));
    });
    suite.add("open.created_mode_may_hold_set_id_and_sticky_bits", [] {
        umask(0);
        CHECK_OK(open("f", O_CREAT | O_WRONLY, 07751));
        CHECK_MODE(07751u, mode_of("f"));
    });
    suite.add("open.create_leaves_mode_of_an_existing_file", [] {
        make_file("f", "x", 0604);
        CHECK_OK(open("f", O_CREAT | O_WRONLY, 0777));
        CHECK_MODE(0604u, mode_of("f"));
        CHECK_SAME("x", content_of("f"));
    });
    suite.add("open.created_file_belongs_to_the_caller", [] {
        make_dir("d", 0777);
        as(alice, [] {
            CHECK_OK(open("d/f", O_CREAT | O_WRONLY, 0600));
            CHECK_SAME(alice_id, stat_of("d/f").st_uid);
            CHECK_SAME(alice_id, stat_of("d/f").st_gid);
        });
    });
    suite.add("open.created_file_takes_effective_not_real_ids", [] {
        make_dir("d", 0777);
        in_child([] {
            CHECK_OK(setresgid(team_id, bob_id, team_id));
            CHECK_OK(setresuid(alice_id, bob_id, alice_id));
            CHECK_OK(open("d/f", O_CREAT | O_WRONLY, 0600));
            CHECK_SAME(bob_id, stat_of("d/f").st_uid);
            CHECK_SAME(bob_id, stat_of("d/f").st_gid);
        });
    });
    suite.add("open.creator_may_write_a_file_made_with_mode_0", [] {
        make_dir("d", 0777);
        as(alice, [] {
            const int fd = CHECK_OK(open("d/f", O_CREAT | O_RDWR, 0));
            CHECK_RETURNS(3, write(fd, "abc", 3));
            CHECK_SAME("abc", content_of(fd));
            CHECK_FAILS(EACCES, open("d/f", O_RDONLY));
        });
    });
    suite.add("open.creator_may_write_a_file_made_with_mode_0444", [] {
        make_dir("d", 0777);
        as(alice, [] {
            const int fd = CHECK_OK(open("d/f", O_CREAT | O_WRONLY, 0444));
            CHECK_RETURNS(3, write(fd, "abc", 3));
            CHECK_OK(ftruncate(fd, 1));
            CHECK_FAILS(EACCES, open("d/f", O_WRONLY));
        });
        CHECK_SAME("a", content_of("d/f"));
    });
    suite.add("creat.truncates_and_opens_for_writing_only", [] {
        make_file("f", "old");
        const int fd = CHECK_OK(creat("f", 0600));
        char byte = 0;
        CHECK_FAILS(EBADF, read(fd, &byte, 1));
        CHECK_RETURNS(3, write(fd, "new", 3));
        CHECK_SAME("new", content_of("f"));
    });
}

void add_exclusive(Suite& suite) {
    suite.add("open.exclusive_creation_makes_a_file", [] {
        CHECK_OK(open("f", O_CREAT | O_EXCL | O_RDWR, 0600));
        CHECK(exists("f"));
    });
    suite.add("open.exclusive_over_file_gives_EEXIST", [] {
        make_file("f", "x");
        CHECK_FAILS(EEXIST, open("f", O_CREAT | O_EXCL | O_TRUNC | O_RDWR, 0600));
        CHECK_SAME("x", content_of("f"));
    });
    suite.add("open.exclusive_over_directory_gives_EEXIST", [] {
        make_dir("d");
        CHECK_FAILS(EEXIST, open("d", O_CREAT | O_EXCL | O_RDWR, 0600));
    });
    suite.add("open.exclusive_over_symlink_gives_EEXIST", [] {
        make_file("f");
        make_symlink("f", "s");
        CHECK_FAILS(EEXIST, open("s", O_CREAT | O_EXCL | O_RDWR, 0600));
    });
    suite.add("open.exclusive_over_dangling_symlink_gives_EEXIST", [] {
        make_symlink("missing", "s");
        CHECK_FAILS(EEXIST, open("s", O_CREAT | O_EXCL | O_RDWR, 0600));
        CHECK(!exists("missing"));
    });
    suite.add("open.exclusive_over_fifo_gives_EEXIST", [] {
        CHECK_OK(mkfifo("p", 0600));
        CHECK_FAILS(EEXIST, open("p", O_CREAT | O_EXCL | O_RDWR, 0600));
    });
    suite.add("open.creates_through_a_dangling_symlink", [] {
        make_symlink("target", "s");
        CHECK_OK(open("s", O_CREAT | O_WRONLY, 0600));
        CHECK(S_ISREG(lstat_of("target").st_mode));
        CHECK(S_ISLNK(lstat_of("s").st_mode));
    });
    suite.add("open.without_create_on_dangling_symlink_gives_ENOENT", [] {
        make_symlink("target", "s");
        CHECK_FAILS(ENOENT, open("s", O_RDWR));
    });
    suite.add("open.failed_creation_after_lookup_is_not_remembered", [] {
        // A negative entry must not outlive the creation by another process.
        struct stat st = {};
        CHECK_FAILS(ENOENT, stat("f", &st));
        in_child([] { make_file("f"); });
        CHECK_OK(stat("f", &st));
    });
}

void add_directories(Suite& suite) {
    suite.add("open.directory_for_writing_gives_EISDIR", [] {
        make_dir("d");
        CHECK_FAILS(EISDIR, open("d", O_WRONLY));
        CHECK_FAILS(EISDIR, open("d", O_RDWR));
    });
    suite.add("open.directory_with_create_gives_EISDIR", [] {
        make_dir("d");
        CHECK_FAILS(EISDIR, open("d", O_CREAT | O_RDONLY, 0600));
        CHECK_FAILS(EISDIR, open("d", O_CREAT | O_RDWR, 0600));
    });
    suite.add("open.directory_with_truncate_gives_EISDIR", [] {
        make_dir("d");
        CHECK_FAILS(EISDIR, open("d", O_TRUNC | O_RDONLY));
    });
    suite.add("open.read_of_directory_gives_EISDIR", [] {
        make_dir("d");
        char byte = 0;
        const int fd = open_file("d", O_RDONLY);
        CHECK_FAILS(EISDIR, read(fd, &byte, 1));
        CHECK_FAILS(EISDIR, pread(fd, &byte, 1, 0));
    });
    suite.add("open.write_to_directory_gives_EBADF", [] {
        make_dir("d");
        CHECK_FAILS(EBADF, write(open_file("d", O_RDONLY), "x", 1));
    });
    suite.add("open.directory_flag_on_file_gives_ENOTDIR", [] {
        make_file("f");
        CHECK_FAILS(ENOTDIR, open("f", O_RDONLY | O_DIRECTORY));
    });
    suite.add("open.directory_flag_on_fifo_gives_ENOTDIR_without_blocking", [] {
        CHECK_OK(mkfifo("p", 0600));
        CHECK_FAILS(ENOTDIR, open("p", O_RDONLY | O_DIRECTORY));
    });
    suite.add("open.directory_flag_follows_symlink", [] {
        make_dir("d");
        make_symlink("d", "s");
        CHECK_OK(open("s", O_RDONLY | O_DIRECTORY));
    });
    suite.add("open.directory_flag_on_symlink_with_nofollow_gives_ENOTDIR", [] {
        make_dir("d");
        make_symlink("d", "s");
        CHECK_FAILS(ENOTDIR, open("s", O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    });
    suite.add("open.nofollow_on_symlink_gives_ELOOP", [] {
        make_file("f");
        make_symlink("f", "s");
        CHECK_FAILS(ELOOP, open("s", O_RDONLY | O_NOFOLLOW));
        CHECK_FAILS(ELOOP, open("s", O_WRONLY | O_CREAT | O_NOFOLLOW, 0600));
    });
    suite.add("open.nofollow_on_file_and_symlinked_prefix_works", [] {
        make_dir("d");
        make_file("d/f");
        make_symlink("d", "s");
        CHECK_OK(open("s/f", O_RDONLY | O_NOFOLLOW));
    });
}

void add_truncation(Suite& suite) {
    suite.add("open.truncate_empties_a_file", [] {
        make_file("f", "content");
        CHECK_OK(open("f", O_WRONLY | O_TRUNC));
        CHECK_SAME(0, stat_of("f").st_size);
    });
    suite.add("open.truncate_keeps_inode_and_mode", [] {
        make_file("f", "content", 0604);
        const auto before = stat_of("f");
        CHECK_OK(open("f", O_RDWR | O_TRUNC | O_CREAT, 0777));
        CHECK(before.st_ino == stat_of("f").st_ino);
        CHECK_MODE(0604u, mode_of("f"));
    });
    suite.add("open.truncate_is_seen_by_an_open_descriptor", [] {
        const int fd = make_open("f", "content");
        CHECK_OK(open("f", O_WRONLY | O_TRUNC));
        char byte = 0;
        CHECK_RETURNS(0, read(fd, &byte, 1));
        CHECK_SAME(0, fstat_of(fd).st_size);
    });
    suite.add("open.truncate_without_write_permission_gives_EACCES", [] {
        make_file("f", "content", 0644);
        as(alice, [] { CHECK_FAILS(EACCES, open("f", O_RDONLY | O_TRUNC)); });
        as(alice, [] { CHECK_FAILS(EACCES, open("f", O_WRONLY | O_TRUNC)); });
        CHECK_SAME("content", content_of("f"));
    });
    suite.add("open.truncate_follows_symlink", [] {
        make_file("f", "content");
        make_symlink("f", "s");
        CHECK_OK(open("s", O_WRONLY | O_TRUNC));
        CHECK_SAME(0, stat_of("f").st_size);
    });
}

void add_access_modes(Suite& suite) {
    suite.add("open.read_only_descriptor_cannot_write", [] {
        make_file("f", "x");
        const int fd = open_file("f", O_RDONLY);
        CHECK_FAILS(EBADF, write(fd, "y", 1));
        CHECK_FAILS(EBADF, pwrite(fd, "y", 1, 0));
        CHECK_FAILS(EINVAL, ftruncate(fd, 0));
    });
    suite.add("open.write_only_descriptor_cannot_read", [] {
        make_file("f", "x");
        char byte = 0;
        const int fd = open_file("f", O_WRONLY);
        CHECK_FAILS(EBADF, read(fd, &byte, 1));
        CHECK_FAILS(EBADF, pread(fd, &byte, 1, 0));
    });
    suite.add("open.access_mode_3_gives_neither_read_nor_write", [] {
        make_file("f", "x");
        char byte = 0;
        const int fd = open_file("f", O_ACCMODE);
        CHECK_FAILS(EBADF, read(fd, &byte, 1));
        CHECK_FAILS(EBADF, write(fd, "y", 1));
    });
    suite.add("open.permission_is_checked_at_open_only", [] {
        make_file_of("f", alice_id, alice_id, 0600, "x");
        as(alice, [] {
            const int fd = open_file("f", O_RDWR);
            CHECK_OK(chmod("f", 0));
            CHECK_RETURNS(1, pwrite(fd, "y", 1, 0));
            CHECK_SAME("y", content_of(fd));
            CHECK_OK(ftruncate(fd, 0));
        });
    });
    suite.add("open.creation_in_unwritable_directory_gives_EACCES", [] {
        make_dir("d", 0755);
        as(alice, [] { CHECK_FAILS(EACCES, open("d/f", O_CREAT | O_WRONLY, 0600)); });
        CHECK(!exists("d/f"));
    });
    suite.add("open.existing_file_in_unwritable_directory_may_be_opened_with_create", [] {
        make_dir("d", 0755);
        make_file("d/f", "", 0666);
        as(alice, [] { CHECK_OK(open("d/f", O_CREAT | O_WRONLY, 0600)); });
    });
    suite.add("open.without_permission_gives_EACCES_even_with_exclusive_name_taken", [] {
        make_dir("d", 0755);
        make_file("d/f");
        as(alice, [] { CHECK_FAILS(EEXIST, open("d/f", O_CREAT | O_EXCL | O_RDWR, 0600)); });
    });
    suite.add("open.unknown_flag_bits_are_ignored", [] {
        make_file("f");
        CHECK_OK(open("f", O_RDONLY | 0x20000000));
    });
    suite.add("open.noatime_by_another_user_gives_EPERM", [] {
        make_file("f", "x", 0666);
        as(alice, [] { CHECK_FAILS(EPERM, open("f", O_RDONLY | O_NOATIME)); });
    });
    suite.add("open.noatime_by_owner_keeps_atime", [] {
        make_file_of("f", alice_id, alice_id, 0600, "x");
        make_old("f");
        as(alice, [] {
            const int fd = CHECK_OK(open("f", O_RDONLY | O_NOATIME));
            CHECK_SAME("x", content_of(fd));
        });
        CHECK(stat_of("f").st_atim == long_ago);
    });
}

void add_special_files(Suite& suite) {
    suite.add("open.fifo_for_writing_without_reader_gives_ENXIO", [] {
        CHECK_OK(mkfifo("p", 0600));
        CHECK_FAILS(ENXIO, open("p", O_WRONLY | O_NONBLOCK));
    });
    suite.add("open.fifo_for_reading_nonblocking_works", [] {
        CHECK_OK(mkfifo("p", 0600));
        CHECK_OK(open("p", O_RDONLY | O_NONBLOCK));
    });
    suite.add("open.socket_gives_ENXIO", [] {
        CHECK_OK(mknod("s", S_IFSOCK | 0600, 0));
        CHECK_FAILS(ENXIO, open("s", O_RDWR));
    });
    suite.add("open.device_without_driver_gives_ENXIO", [] {
        // Far above the kernel's dynamic range: nobody has it.
        CHECK_OK(mknod("c", S_IFCHR | 0600, makedev(4000, 1)));
        CHECK_FAILS(ENXIO, open("c", O_RDWR));
    });
    suite.add("open.beyond_descriptor_limit_gives_EMFILE_and_makes_nothing", [] {
        constexpr rlimit limit = {20, 20};
        CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
        while (dup(STDIN_FILENO) >= 0) {
        }
        CHECK_FAILS(EMFILE, open("f", O_CREAT | O_WRONLY, 0600));
        CHECK(!exists("f"));
    });
}

void add_descriptors(Suite& suite) {
    suite.add("open.starts_at_offset_0_even_with_append", [] {
        make_file("f", "content");
        CHECK_RETURNS(0, lseek(open_file("f", O_RDWR | O_APPEND), 0, SEEK_CUR));
    });
    suite.add("open.append_writes_at_the_end", [] {
        make_file("f", "abc");
        const int fd = open_file("f", O_RDWR | O_APPEND);
        CHECK_OK(lseek(fd, 0, SEEK_SET));
        CHECK_RETURNS(1, write(fd, "d", 1));
        CHECK_SAME("abcd", content_of("f"));
        CHECK_RETURNS(4, lseek(fd, 0, SEEK_CUR));
    });
    suite.add("open.append_ignores_the_offset_of_pwrite", [] {
        // BUGS in pwrite(2): Linux appends, whatever POSIX says.
        make_file("f", "abc");
        CHECK_RETURNS(1, pwrite(open_file("f", O_WRONLY | O_APPEND), "d", 1, 0));
        CHECK_SAME("abcd", content_of("f"));
    });
    suite.add("open.append_sees_growth_by_another_descriptor", [] {
        const int plain = make_open("f", "a");
        const int appending = open_file("f", O_WRONLY | O_APPEND);
        CHECK_RETURNS(1, write(appending, "b", 1));
        write_at(plain, 2, "cc");
        CHECK_RETURNS(1, write(appending, "d", 1));
        CHECK_SAME("abccd", content_of("f"));
    });
    suite.add("open.append_can_be_set_and_cleared_by_fcntl", [] {
        const int fd = make_open("f", "abc");
        CHECK_OK(fcntl(fd, F_SETFL, O_APPEND));
        CHECK_RETURNS(1, write(fd, "d", 1));
        CHECK_OK(fcntl(fd, F_SETFL, 0));
        CHECK_RETURNS(1, pwrite(fd, "X", 1, 0));
        CHECK_SAME("Xbcd", content_of("f"));
    });
    suite.add("open.flags_are_given_back_by_fcntl", [] {
        make_file("f");
        const int fd = open_file("f", O_WRONLY | O_APPEND | O_NONBLOCK | O_CREAT | O_TRUNC);
        const int flags = CHECK_OK(fcntl(fd, F_GETFL));
        CHECK_SAME(O_WRONLY, flags & O_ACCMODE);
        CHECK((flags & O_APPEND) != 0);
        CHECK((flags & O_NONBLOCK) != 0);
        CHECK((flags & (O_CREAT | O_TRUNC)) == 0);
        CHECK_SAME(FD_CLOEXEC, fcntl(fd, F_GETFD));
    });
    suite.add("open.two_opens_have_offsets_of_their_own", [] {
        const int one = make_open("f", "abc");
        const int two = open_file("f", O_RDONLY);
        CHECK_OK(lseek(one, 2, SEEK_SET));
        CHECK_RETURNS(0, lseek(two, 0, SEEK_CUR));
    });
    suite.add("open.duplicates_share_one_offset", [] {
        const int one = make_open("f", "abc");
        const int two = CHECK_OK(dup(one));
        CHECK_OK(lseek(one, 2, SEEK_SET));
        CHECK_RETURNS(2, lseek(two, 0, SEEK_CUR));
        in_child([&] { CHECK_OK(lseek(one, 1, SEEK_SET)); });
        CHECK_RETURNS(1, lseek(two, 0, SEEK_CUR));
    });
    suite.add("open.closed_descriptor_gives_EBADF", [] {
        const int fd = make_open("f");
        CHECK_OK(close(fd));
        CHECK_FAILS(EBADF, close(fd));
        CHECK_FAILS(EBADF, write(fd, "x", 1));
        CHECK_FAILS(EBADF, fcntl(fd, F_GETFL));
        CHECK_FAILS(EBADF, lseek(fd, 0, SEEK_SET));
    });
}

}  // namespace

void add_open_cases(Suite& suite) {
    add_creation(suite);
    add_exclusive(suite);
    add_directories(suite);
    add_truncation(suite);
    add_access_modes(suite);
    add_special_files(suite);
    add_descriptors(suite);
}

}  // namespace posix
