// SPDX-License-Identifier: Apache-2.0

// O_TMPFILE, O_PATH and file handles: descriptors that come about in other ways.

#include "cases.hpp"

#include <dirent.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/xattr.h>

namespace posix {
namespace {

int open_unnamed(const char* directory, int flags = O_RDWR, mode_t mode = 0600) {
    return CHECK_NEEDS(either(EOPNOTSUPP, EISDIR, ENOSYS),
                       open(directory, O_TMPFILE | flags, mode));
}

std::string proc_path(int fd) {
    return "/proc/self/fd/" + std::to_string(fd);
}

void add_unnamed(Suite& suite) {
    suite.add("tmpfile.is_in_no_directory", [] {
        const int fd = open_unnamed(".");
        CHECK_SAME(0, names_in(".").size());
        CHECK_SAME(0, fstat_of(fd).st_nlink);
        CHECK(S_ISREG(fstat_of(fd).st_mode));
    });
    suite.add("tmpfile.can_be_written_and_read", [] {
        const int fd = open_unnamed(".");
        write_at(fd, 0, "content");
        CHECK_SAME("content", content_of(fd));
    });
    suite.add("tmpfile.mode_is_masked_by_umask", [] {
        umask(027);
        CHECK_MODE(0640u, mode_of(open_unnamed(".", O_RDWR, 0666)));
    });
    suite.add("tmpfile.belongs_to_the_caller", [] {
        make_dir("d", 0777);
        as(alice, [] { CHECK_SAME(alice_id, fstat_of(open_unnamed("d")).st_uid); });
    });
    suite.add("tmpfile.gets_a_name_by_linkat", [] {
        const int fd = open_unnamed(".");
        write_at(fd, 0, "content");
        CHECK_OK(linkat(AT_FDCWD, proc_path(fd).c_str(), AT_FDCWD, "f", AT_SYMLINK_FOLLOW));
        CHECK_SAME("content", content_of("f"));
        CHECK_SAME(1, fstat_of(fd).st_nlink);
    });
    suite.add("tmpfile.gets_a_name_by_empty_path", [] {
        const int fd = open_unnamed(".", O_WRONLY);
        CHECK_OK(linkat(fd, "", AT_FDCWD, "f", AT_EMPTY_PATH));
        CHECK_SAME(fstat_of(fd).st_ino, stat_of("f").st_ino);
    });
    suite.add("tmpfile.exclusive_never_gets_a_name", [] {
        const int fd = open_unnamed(".", O_RDWR | O_EXCL);
        CHECK_FAILS(ENOENT, linkat(fd, "", AT_FDCWD, "f", AT_EMPTY_PATH));
    });
    suite.add("tmpfile.for_reading_only_gives_EINVAL", [] {
        open_unnamed(".");
        CHECK_FAILS(EINVAL, open(".", O_TMPFILE | O_RDONLY, 0600));
    });
    suite.add("tmpfile.in_a_file_gives_ENOTDIR", [] {
        open_unnamed(".");
        make_file("f");
        CHECK_FAILS(ENOTDIR, open("f", O_TMPFILE | O_RDWR, 0600));
    });
    suite.add("tmpfile.in_missing_directory_gives_ENOENT", [] {
        open_unnamed(".");
        CHECK_FAILS(ENOENT, open("missing", O_TMPFILE | O_RDWR, 0600));
    });
    suite.add("tmpfile.in_unwritable_directory_gives_EACCES", [] {
        open_unnamed(".");
        make_dir("d", 0755);
        as(alice, [] { CHECK_FAILS(EACCES, open("d", O_TMPFILE | O_RDWR, 0600)); });
    });
}

void add_path_refusals(Suite& suite) {
    suite.add("opath.reading_and_writing_give_EBADF", [] {
        make_file("f", "x");
        const int fd = open_file("f", O_PATH | O_RDWR);
        char byte = 0;
        iovec part = {&byte, 1};
        CHECK_FAILS(EBADF, read(fd, &byte, 1));
        CHECK_FAILS(EBADF, write(fd, &byte, 1));
        CHECK_FAILS(EBADF, pread(fd, &byte, 1, 0));
        CHECK_FAILS(EBADF, readv(fd, &part, 1));
        CHECK_FAILS(EBADF, lseek(fd, 0, SEEK_SET));
    });
    suite.add("opath.changing_attributes_gives_EBADF", [] {
        make_file("f", "x");
        const int fd = open_file("f", O_PATH);
        CHECK_FAILS(EBADF, fchmod(fd, 0600));
        CHECK_FAILS(EBADF, fchown(fd, 0, 0));
        CHECK_FAILS(EBADF, futimens(fd, nullptr));
        CHECK_FAILS(EBADF, ftruncate(fd, 0));
        CHECK_FAILS(EBADF, fallocate(fd, 0, 0, 1));
    });
    suite.add("opath.extended_attributes_give_EBADF", [] {
        make_file("f");
        const int fd = open_file("f", O_PATH);
        char bytes[10];
        CHECK_FAILS(EBADF, fgetxattr(fd, "user.x", bytes, sizeof bytes));
        CHECK_FAILS(EBADF, fsetxattr(fd, "user.x", "", 0, 0));
        CHECK_FAILS(EBADF, flistxattr(fd, bytes, sizeof bytes));
        CHECK_FAILS(EBADF, fremovexattr(fd, "user.x"));
    });
    suite.add("opath.other_uses_give_EBADF", [] {
        make_file("f", "x");
        const int fd = open_file("f", O_PATH);
        int count = 0;
        CHECK_FAILS(EBADF, mmap(nullptr, 1, PROT_READ, MAP_SHARED, fd, 0));
        CHECK_FAILS(EBADF, ioctl(fd, FIONREAD, &count));
        CHECK_FAILS(EBADF, fsync(fd));
        CHECK_FAILS(EBADF, flock(fd, LOCK_SH));
    });
    suite.add("opath.listing_a_directory_gives_EBADF", [] {
        make_dir("d");
        char buffer[1024];
        CHECK_FAILS(EBADF, getdents64(open_file("d", O_PATH), buffer, sizeof buffer));
    });
}

void add_path_uses(Suite& suite) {
    suite.add("opath.needs_no_permission_on_the_file", [] {
        make_file("f", "x", 0);
        as(alice, [] {
            CHECK_FAILS(EACCES, open("f", O_RDONLY));
            CHECK_SAME(1, fstat_of(open_file("f", O_PATH)).st_size);
        });
    });
    suite.add("opath.flag_is_given_back_by_fcntl", [] {
        make_file("f");
        CHECK_SAME(O_PATH, fcntl(open_file("f", O_PATH), F_GETFL) & O_PATH);
    });
    suite.add("opath.of_symlink_is_the_link_itself", [] {
        make_symlink("target", "s");
        const int fd = open_file("s", O_PATH | O_NOFOLLOW);
        CHECK(S_ISLNK(fstat_of(fd).st_mode));
        char buffer[20];
        CHECK_RETURNS(6, readlinkat(fd, "", buffer, sizeof buffer));
        CHECK_OK(fchownat(fd, "", 7, 8, AT_EMPTY_PATH));
        CHECK_SAME(7, lstat_of("s").st_uid);
    });
    suite.add("opath.can_be_reopened_through_proc", [] {
        make_file("f", "x");
        const int fd = open_file("f", O_PATH);
        CHECK_SAME("x", content_of(proc_path(fd).c_str()));
    });
    suite.add("opath.reopening_checks_permission_again", [] {
        make_file("f", "x", 0444);
        in_child([] {
            const int fd = open_file("f", O_PATH);
            CHECK_FAILS(ENOTDIR, openat(fd, "g", O_RDONLY));
            as(alice, [fd] { CHECK_FAILS(EACCES, open(proc_path(fd).c_str(), O_WRONLY)); });
        });
    });
    suite.add("opath.directory_can_be_changed_into", [] {
        make_dir("d");
        make_file("d/f", "x");
        CHECK_OK(fchdir(open_file("d", O_PATH)));
        CHECK_SAME("x", content_of("f"));
    });
    suite.add("opath.follows_its_file_through_rename", [] {
        make_file("f", "x");
        const int fd = open_file("f", O_PATH);
        CHECK_OK(rename("f", "g"));
        make_file("f", "other");
        CHECK_SAME("x", content_of(proc_path(fd).c_str()));
    });
    suite.add("opath.of_unlinked_file_still_has_attributes", [] {
        make_file("f", "x");
        const int fd = open_file("f", O_PATH);
        CHECK_OK(unlink("f"));
        CHECK_SAME(0, fstat_of(fd).st_nlink);
        CHECK_SAME(1, fstat_of(fd).st_size);
    });
}

struct Handle {
    alignas(file_handle) char bytes[sizeof(file_handle) + MAX_HANDLE_SZ] = {};
    int mount = 0;

    file_handle* get() { return reinterpret_cast<file_handle*>(bytes); }
    explicit Handle(const char* path) {
        get()->handle_bytes = MAX_HANDLE_SZ;
        CHECK_NEEDS(either(EOPNOTSUPP, ENOSYS, EOVERFLOW),
                    name_to_handle_at(AT_FDCWD, path, get(), &mount, 0));
    }
};

void add_handles(Suite& suite) {
    suite.add("handle.opens_the_same_file_again", [] {
        make_file("f", "x");
        Handle handle("f");
        const int mount = open_file(".", O_RDONLY);
        const int fd = CHECK_OK(open_by_handle_at(mount, handle.get(), O_RDONLY));
        CHECK_SAME("x", content_of(fd));
    });
    suite.add("handle.survives_a_rename", [] {
        make_file("f", "x");
        Handle handle("f");
        CHECK_OK(rename("f", "g"));
        const int mount = open_file(".", O_RDONLY);
        const int fd = CHECK_OK(open_by_handle_at(mount, handle.get(), O_RDONLY));
        CHECK_SAME("x", content_of(fd));
    });
    suite.add("handle.of_removed_file_gives_ESTALE", [] {
        make_file("f", "x");
        Handle handle("f");
        CHECK_OK(unlink("f"));
        const int mount = open_file(".", O_RDONLY);
        CHECK_FAILS(ESTALE, open_by_handle_at(mount, handle.get(), O_RDONLY));
    });
    suite.add("handle.buffer_too_small_gives_EOVERFLOW_and_the_size", [] {
        make_file("f", "x");
        Handle handle("f");
        const unsigned size = handle.get()->handle_bytes;
        handle.get()->handle_bytes = 0;
        CHECK_FAILS(EOVERFLOW,
                    name_to_handle_at(AT_FDCWD, "f", handle.get(), &handle.mount, 0));
        CHECK_SAME(size, handle.get()->handle_bytes);
    });
    suite.add("handle.without_CAP_DAC_READ_SEARCH_gives_EPERM", [] {
        make_file("f", "x");
        Handle handle("f");
        const int mount = open_file(".", O_RDONLY);
        as(alice,
           [&] { CHECK_FAILS(EPERM, open_by_handle_at(mount, handle.get(), O_RDONLY)); });
    });
}

}  // namespace

void add_open_special_cases(Suite& suite) {
    add_unnamed(suite);
    add_path_refusals(suite);
    add_path_uses(suite);
    add_handles(suite);
}

}  // namespace posix
