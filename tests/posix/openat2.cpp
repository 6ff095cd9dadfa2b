// SPDX-License-Identifier: Apache-2.0

// openat2(2): the RESOLVE_ flags, and how strictly it takes its arguments.

#include "cases.hpp"

#include <linux/openat2.h>
#include <sys/syscall.h>

namespace posix {
namespace {

long open_how_of(int dir, const char* path, open_how how, std::size_t size = sizeof(open_how)) {
    return syscall(SYS_openat2, dir, path, &how, size);
}

long resolve(int dir, const char* path, unsigned long long flags) {
    return open_how_of(dir, path, {.flags = O_RDONLY, .mode = 0, .resolve = flags});
}

/// d holds: f, up -> "../outside", root -> "/", inner -> "f", and outside is beside d.
int make_scene() {
    make_file("outside", "outside");
    make_dir("d");
    make_dir("d/e");
    make_file("d/f", "inside");
    make_symlink("../outside", "d/up");
    make_symlink("/f", "d/root");
    make_symlink("f", "d/inner");
    return open_file("d", O_RDONLY | O_DIRECTORY);
}

void add_beneath(Suite& suite) {
    suite.add("openat2.beneath_allows_what_stays_inside", [] {
        const int dir = make_scene();
        CHECK_OK(resolve(dir, "f", RESOLVE_BENEATH));
        CHECK_OK(resolve(dir, "e/../f", RESOLVE_BENEATH));
        CHECK_OK(resolve(dir, "inner", RESOLVE_BENEATH));
    });
    suite.add("openat2.beneath_dot_dot_gives_EXDEV", [] {
        const int dir = make_scene();
        CHECK_FAILS(EXDEV, resolve(dir, "../outside", RESOLVE_BENEATH));
        CHECK_FAILS(EXDEV, resolve(dir, "..", RESOLVE_BENEATH));
    });
    suite.add("openat2.beneath_symlink_out_gives_EXDEV", [] {
        const int dir = make_scene();
        CHECK_FAILS(EXDEV, resolve(dir, "up", RESOLVE_BENEATH));
        CHECK_FAILS(EXDEV, resolve(dir, "root", RESOLVE_BENEATH));
    });
    suite.add("openat2.beneath_absolute_path_gives_EXDEV",
              [] { CHECK_FAILS(EXDEV, resolve(make_scene(), "/f", RESOLVE_BENEATH)); });
    suite.add("openat2.in_root_takes_the_directory_for_the_root", [] {
        const int dir = make_scene();
        const auto open_in_root = [dir](const char* path) {
            return content_of(static_cast<int>(CHECK_OK(resolve(dir, path, RESOLVE_IN_ROOT))));
        };
        CHECK_SAME("inside", open_in_root("/f"));
        CHECK_SAME("inside", open_in_root("../../f"));
        CHECK_SAME("inside", open_in_root("root"));
    });
    suite.add("openat2.in_root_symlink_out_is_missing",
              [] { CHECK_FAILS(ENOENT, resolve(make_scene(), "up", RESOLVE_IN_ROOT)); });
    suite.add("openat2.no_symlinks_gives_ELOOP", [] {
        const int dir = make_scene();
        CHECK_OK(resolve(dir, "f", RESOLVE_NO_SYMLINKS));
        CHECK_FAILS(ELOOP, resolve(dir, "inner", RESOLVE_NO_SYMLINKS));
    });
    suite.add("openat2.no_magiclinks_gives_ELOOP", [] {
        const int dir = make_scene();
        const std::string magic = "/proc/self/fd/" + std::to_string(dir);
        CHECK_OK(resolve(dir, "inner", RESOLVE_NO_MAGICLINKS));
        CHECK_OK(resolve(dir, magic.c_str(), 0));
        CHECK_FAILS(ELOOP, resolve(dir, magic.c_str(), RESOLVE_NO_MAGICLINKS));
    });
    suite.add("openat2.no_xdev_gives_EXDEV", [] {
        const int dir = make_scene();
        CHECK_OK(resolve(dir, "f", RESOLVE_NO_XDEV));
        CHECK_FAILS(EXDEV, resolve(dir, "/proc/self/status", RESOLVE_NO_XDEV));
    });
    suite.add("openat2.cached_opens_or_gives_EAGAIN", [] {
        const int dir = make_scene();
        if (resolve(dir, "f", RESOLVE_CACHED) < 0) CHECK_SAME(EAGAIN, errno);
    });
}

void add_arguments(Suite& suite) {
    suite.add("openat2.creates_with_mode", [] {
        CHECK_OK(open_how_of(
            AT_FDCWD, "f", {.flags = O_CREAT | O_RDWR, .mode = 0640, .resolve = 0}));
        CHECK_MODE(0640u, mode_of("f"));
    });
    suite.add("openat2.mode_without_create_gives_EINVAL", [] {
        make_file("f");
        CHECK_FAILS(
            EINVAL,
            open_how_of(AT_FDCWD, "f", {.flags = O_RDONLY, .mode = 0640, .resolve = 0}));
    });
    suite.add("openat2.unknown_flag_gives_EINVAL", [] {
        make_file("f");
        CHECK_FAILS(EINVAL, open_how_of(AT_FDCWD, "f", {1ULL << 62, 0, 0}));
    });
    suite.add("openat2.unknown_resolve_flag_gives_EINVAL", [] {
        make_file("f");
        CHECK_FAILS(EINVAL, resolve(AT_FDCWD, "f", 1ULL << 62));
    });
    suite.add("openat2.beneath_and_in_root_together_give_EINVAL", [] {
        make_file("f");
        CHECK_FAILS(EINVAL, resolve(AT_FDCWD, "f", RESOLVE_BENEATH | RESOLVE_IN_ROOT));
    });
    suite.add("openat2.mode_beyond_07777_gives_EINVAL", [] {
        CHECK_FAILS(
            EINVAL,
            open_how_of(
                AT_FDCWD, "f", {.flags = O_CREAT | O_RDWR, .mode = 010000, .resolve = 0}));
    });
    suite.add("openat2.small_structure_gives_EINVAL", [] {
        make_file("f");
        CHECK_FAILS(EINVAL, open_how_of(AT_FDCWD, "f", {}, sizeof(open_how) - 8));
    });
    suite.add("openat2.larger_structure_of_zeros_is_accepted", [] {
        make_file("f");
        char how[sizeof(open_how) + 16] = {};
        CHECK_OK(syscall(SYS_openat2, AT_FDCWD, "f", how, sizeof how));
        how[sizeof how - 1] = 1;
        CHECK_FAILS(E2BIG, syscall(SYS_openat2, AT_FDCWD, "f", how, sizeof how));
    });
}

}  // namespace

void add_openat2_cases(Suite& suite) {
    add_beneath(suite);
    add_arguments(suite);
}

}  // namespace posix
