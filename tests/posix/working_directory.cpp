// SPDX-License-Identifier: Apache-2.0

// chdir(2), fchdir(2), getcwd(3) and chroot(2); a working directory that is gone.

#include "cases.hpp"

#include <linux/limits.h>

namespace posix {
namespace {

std::string here() {
    char buffer[PATH_MAX];
    CHECK_OK(getcwd(buffer, sizeof buffer));
    return buffer;
}

void add_changes(Suite& suite) {
    suite.add("chdir.into_directory_and_back", [] {
        const std::string top = here();
        make_dir("d");
        CHECK_OK(chdir("d"));
        CHECK_SAME(top + "/d", here());
        CHECK_OK(chdir(".."));
        CHECK_SAME(top, here());
    });
    suite.add("chdir.through_symlink_shows_the_real_path", [] {
        const std::string top = here();
        make_dir("d");
        make_symlink("d", "s");
        CHECK_OK(chdir("s"));
        CHECK_SAME(top + "/d", here());
    });
    suite.add("chdir.into_file_gives_ENOTDIR", [] {
        make_file("f");
        CHECK_FAILS(ENOTDIR, chdir("f"));
        CHECK_FAILS(ENOTDIR, fchdir(open_file("f", O_RDONLY)));
    });
    suite.add("chdir.needs_search_permission_only", [] {
        make_dir("searchable", 0711);
        make_dir("readable", 0744);
        as(alice, [] {
            CHECK_FAILS(EACCES, chdir("readable"));
            CHECK_OK(chdir("searchable"));
        });
    });
    suite.add("fchdir.needs_search_permission_too", [] {
        make_dir("d", 0744);
        const int dir = open_file("d", O_RDONLY);
        as(alice, [dir] { CHECK_FAILS(EACCES, fchdir(dir)); });
        CHECK_OK(fchdir(dir));
    });
    suite.add("fchdir.of_closed_descriptor_gives_EBADF",
              [] { CHECK_FAILS(EBADF, fchdir(bad_descriptor)); });
    suite.add("getcwd.follows_renames", [] {
        const std::string top = here();
        make_dir("a");
        make_dir("a/d");
        CHECK_OK(chdir("a/d"));
        CHECK_OK(rename((top + "/a").c_str(), (top + "/b").c_str()));
        CHECK_SAME(top + "/b/d", here());
    });
    suite.add("getcwd.into_small_buffer_gives_ERANGE", [] {
        char buffer[2];
        CHECK_FAILS(ERANGE, getcwd(buffer, sizeof buffer));
    });
    suite.add("chroot.makes_the_directory_the_root", [] {
        make_dir("d");
        make_file("d/f", "abc");
        make_symlink("/f", "d/s");
        CHECK_OK(chroot("d"));
        CHECK_OK(chdir("/"));
        CHECK_SAME("abc", content_of("/f"));
        CHECK_SAME("abc", content_of("/../f"));
        CHECK_SAME("abc", content_of("/s"));
    });
    suite.add("chroot.of_file_gives_ENOTDIR", [] {
        make_file("f");
        CHECK_FAILS(ENOTDIR, chroot("f"));
    });
    suite.add("chroot.by_user_gives_EPERM", [] {
        make_dir("d");
        as(alice, [] { CHECK_FAILS(EPERM, chroot("d")); });
    });
}

void enter_and_remove() {
    make_dir("gone");
    CHECK_OK(chdir("gone"));
    CHECK_OK(rmdir("../gone"));
}

void add_removed(Suite& suite) {
    suite.add("removed_cwd.getcwd_gives_ENOENT", [] {
        enter_and_remove();
        char buffer[PATH_MAX];
        CHECK_FAILS(ENOENT, getcwd(buffer, sizeof buffer));
    });
    suite.add("removed_cwd.creation_gives_ENOENT", [] {
        enter_and_remove();
        CHECK_FAILS(ENOENT, open("f", O_CREAT | O_RDWR, 0600));
        CHECK_FAILS(ENOENT, mkdir("d", 0700));
        CHECK_FAILS(ENOENT, mkfifo("p", 0600));
        CHECK_FAILS(ENOENT, symlink("x", "s"));
    });
    suite.add("removed_cwd.lookup_gives_ENOENT", [] {
        enter_and_remove();
        struct stat st = {};
        CHECK_FAILS(ENOENT, stat("f", &st));
        CHECK_FAILS(ENOENT, unlink("f"));
        CHECK_FAILS(ENOENT, rename("f", "g"));
    });
    suite.add("removed_cwd.dot_still_has_attributes", [] {
        enter_and_remove();
        CHECK(S_ISDIR(stat_of(".").st_mode));
        CHECK_SAME(0, stat_of(".").st_nlink);
    });
    suite.add("removed_cwd.dot_dot_leads_out", [] {
        make_file("f", "abc");
        enter_and_remove();
        CHECK_SAME("abc", content_of("../f"));
        CHECK_OK(chdir(".."));
        CHECK_SAME("abc", content_of("f"));
    });
    suite.add("removed_cwd.opening_dot_works_and_lists_nothing", [] {
        enter_and_remove();
        const int dir = open(".", O_RDONLY | O_DIRECTORY);
        if (dir < 0) CHECK_SAME(ENOENT, errno);
    });
    suite.add("removed_cwd.removing_dot_again_fails", [] {
        enter_and_remove();
        CHECK_FAILS(EINVAL, rmdir("."));
        CHECK_FAILS(ENOENT, rmdir("../gone"));
    });
}

}  // namespace

void add_working_directory_cases(Suite& suite) {
    add_changes(suite);
    add_removed(suite);
}

}  // namespace posix
