// SPDX-License-Identifier: Apache-2.0
#include "path_calls.hpp"

#include <cstdio>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace posix {
namespace {

struct stat ignored_stat;
struct statx ignored_statx;
struct statfs ignored_statfs;
char ignored_bytes[4096];
char* const no_strings[] = {nullptr};
constexpr auto may = Last::may_be_missing;
constexpr auto must = Last::must_exist;

// "ours" is made by the cases: a file that the call names beside the path under test.
constexpr PathCall all_path_calls[] = {
    {"open", [](const char* p) -> long { return open(p, O_RDONLY); }, must},
    {"open_write", [](const char* p) -> long { return open(p, O_WRONLY | O_TRUNC); }, must},
    {"open_create", [](const char* p) -> long { return open(p, O_RDWR | O_CREAT, 0600); }, may},
    {"open_path", [](const char* p) -> long { return open(p, O_PATH); }, must},
    {"open_directory", [](const char* p) -> long { return open(p, O_DIRECTORY); }, must},
    {"creat", [](const char* p) -> long { return creat(p, 0600); }, may},
    {"stat", [](const char* p) -> long { return stat(p, &ignored_stat); }, must},
    {"lstat", [](const char* p) -> long { return lstat(p, &ignored_stat); }, must},
    {"statx",
     [](const char* p) -> long {
         return statx(AT_FDCWD, p, 0, STATX_BASIC_STATS, &ignored_statx);
     },
     must},
    {"statfs", [](const char* p) -> long { return statfs(p, &ignored_statfs); }, must},
    {"access", [](const char* p) -> long { return access(p, F_OK); }, must},
    {"chmod", [](const char* p) -> long { return chmod(p, 0600); }, must},
    {"chown", [](const char* p) -> long { return chown(p, 0, 0); }, must},
    {"lchown", [](const char* p) -> long { return lchown(p, 0, 0); }, must},
    {"utimensat",
     [](const char* p) -> long { return utimensat(AT_FDCWD, p, nullptr, 0); },
     must},
    {"truncate", [](const char* p) -> long { return truncate(p, 0); }, must},
    {"mkdir", [](const char* p) -> long { return mkdir(p, 0700); }, may},
    {"rmdir", [](const char* p) -> long { return rmdir(p); }, must},
    {"mknod", [](const char* p) -> long { return mknod(p, S_IFREG | 0600, 0); }, may},
    {"mkfifo", [](const char* p) -> long { return mkfifo(p, 0600); }, may},
    {"link_from", [](const char* p) -> long { return link(p, "new"); }, must},
    {"link_to", [](const char* p) -> long { return link("ours", p); }, may},
    {"unlink", [](const char* p) -> long { return unlink(p); }, must},
    {"rename_from", [](const char* p) -> long { return rename(p, "new"); }, must},
    {"rename_to", [](const char* p) -> long { return rename("ours", p); }, may},
    {"symlink", [](const char* p) -> long { return symlink("anywhere", p); }, may},
    {"readlink", [](const char* p) -> long { return readlink(p, ignored_bytes, 10); }, must},
    {"chdir", [](const char* p) -> long { return chdir(p); }, must},
    {"execve", [](const char* p) -> long { return execve(p, no_strings, no_strings); }, must},
    {"getxattr",
     [](const char* p) -> long { return getxattr(p, "user.x", ignored_bytes, 10); },
     must},
    {"lgetxattr",
     [](const char* p) -> long { return lgetxattr(p, "user.x", ignored_bytes, 10); },
     must},
    {"setxattr", [](const char* p) -> long { return setxattr(p, "user.x", "", 0, 0); }, must},
    {"listxattr",
     [](const char* p) -> long { return listxattr(p, ignored_bytes, sizeof ignored_bytes); },
     must},
    {"removexattr", [](const char* p) -> long { return removexattr(p, "user.x"); }, must},
};

long open_with_how(int dir, const char* path) {
    open_how how = {};
    how.flags = O_RDONLY;
    return syscall(SYS_openat2, dir, path, &how, sizeof how);
}

constexpr AtCall all_at_calls[] = {
    {"openat", [](int d, const char* p) -> long { return openat(d, p, O_RDONLY); }, false},
    {"openat_create",
     [](int d, const char* p) -> long { return openat(d, p, O_RDWR | O_CREAT | O_EXCL, 0600); },
     true},
    {"openat2", [](int d, const char* p) -> long { return open_with_how(d, p); }, false},
    {"fstatat",
     [](int d, const char* p) -> long { return fstatat(d, p, &ignored_stat, 0); },
     false},
    {"statx",
     [](int d, const char* p) -> long {
         return statx(d, p, 0, STATX_BASIC_STATS, &ignored_statx);
     },
     false},
    {"faccessat", [](int d, const char* p) -> long { return faccessat(d, p, F_OK, 0); }, false},
    {"fchmodat", [](int d, const char* p) -> long { return fchmodat(d, p, 0644, 0); }, false},
    {"fchownat", [](int d, const char* p) -> long { return fchownat(d, p, 0, 0, 0); }, false},
    {"utimensat",
     [](int d, const char* p) -> long { return utimensat(d, p, nullptr, 0); },
     false},
    {"mkdirat", [](int d, const char* p) -> long { return mkdirat(d, p, 0700); }, true},
    {"mknodat",
     [](int d, const char* p) -> long { return mknodat(d, p, S_IFIFO | 0600, 0); },
     true},
    {"linkat_from",
     [](int d, const char* p) -> long { return linkat(d, p, AT_FDCWD, "new", 0); },
     false},
    {"linkat_to",
     [](int d, const char* p) -> long { return linkat(AT_FDCWD, "ours", d, p, 0); },
     true},
    {"unlinkat", [](int d, const char* p) -> long { return unlinkat(d, p, 0); }, false},
    {"renameat_from",
     [](int d, const char* p) -> long { return renameat(d, p, AT_FDCWD, "new"); },
     false},
    {"renameat_to",
     [](int d, const char* p) -> long { return renameat(AT_FDCWD, "ours", d, p); },
     true},
    {"symlinkat",
     [](int d, const char* p) -> long { return symlinkat("anywhere", d, p); },
     true},
};

}  // namespace

std::span<const PathCall> path_calls() {
    return all_path_calls;
}

std::span<const AtCall> at_calls() {
    return all_at_calls;
}

}  // namespace posix
