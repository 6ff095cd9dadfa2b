// SPDX-License-Identifier: Apache-2.0

// The spelling of paths: limits of names and paths, '.', '..', slashes, chains of links.

#include "cases.hpp"

#include <linux/limits.h>

namespace posix {
namespace {

const std::string longest_name(255, 'n');

void add_name_limits(Suite& suite) {
    suite.add("path.name_of_255_bytes_can_be_created_and_found", [] {
        make_file(longest_name.c_str(), "x");
        CHECK_SAME("x", content_of(longest_name.c_str()));
        CHECK_SAME(1, names_in(".").size());
        CHECK_SAME(longest_name, names_in(".")[0]);
    });
    suite.add("path.directory_of_255_bytes_works", [] {
        make_dir(longest_name.c_str());
        make_file((longest_name + "/f").c_str());
        CHECK_OK(unlink((longest_name + "/f").c_str()));
        CHECK_OK(rmdir(longest_name.c_str()));
    });
    suite.add("path.symlink_of_255_bytes_works", [] {
        make_symlink("t", longest_name.c_str());
        CHECK(S_ISLNK(lstat_of(longest_name.c_str()).st_mode));
    });
    suite.add("path.rename_to_255_bytes_works", [] {
        make_file("f", "x");
        CHECK_OK(rename("f", longest_name.c_str()));
        CHECK_SAME("x", content_of(longest_name.c_str()));
    });
    suite.add("path.names_that_differ_in_byte_255_are_two", [] {
        std::string other = longest_name;
        other.back() = 'm';
        make_file(longest_name.c_str(), "n");
        make_file(other.c_str(), "m");
        CHECK_SAME("n", content_of(longest_name.c_str()));
        CHECK_SAME("m", content_of(other.c_str()));
    });
    suite.add("path.of_PATH_MAX_less_one_bytes_works", [] {
        make_file("f", "x");
        std::string path;
        while (path.size() < PATH_MAX - 4) path += "./";
        while (path.size() < PATH_MAX - 2) path += "/";
        path += "f";
        CHECK_SAME(PATH_MAX - 1, path.size());
        CHECK_SAME("x", content_of(path.c_str()));
    });
    suite.add("path.deeper_than_PATH_MAX_can_be_walked", [] {
        constexpr int depth = 20;  // times 255 bytes: more than PATH_MAX
        for (int i = 0; i < depth; ++i) {
            make_dir(longest_name.c_str());
            CHECK_OK(chdir(longest_name.c_str()));
        }
        make_file("bottom", "x");
        CHECK_SAME("x", content_of("bottom"));
        char buffer[PATH_MAX];
        CHECK_FAILS(ERANGE, getcwd(buffer, sizeof buffer));
    });
}

void add_name_bytes(Suite& suite) {
    suite.add("path.name_may_hold_any_byte_but_slash_and_nul", [] {
        for (int byte = 1; byte < 256; ++byte) {
            if (byte == '/' || byte == '.') continue;
            const char name[] = {static_cast<char>(byte), '\0'};
            make_file(name);
        }
        CHECK_SAME(253, names_in(".").size());
        for (const std::string& name : names_in(".")) CHECK_OK(unlink(name.c_str()));
    });
    suite.add("path.names_are_case_sensitive", [] {
        make_file("name", "lower");
        make_file("NAME", "upper");
        CHECK_SAME("lower", content_of("name"));
        CHECK_SAME("upper", content_of("NAME"));
    });
    suite.add("path.name_need_not_be_utf8", [] {
        make_file("\xff\xfe", "x");
        CHECK_SAME("x", content_of("\xff\xfe"));
        CHECK_SAME("\xff\xfe", names_in(".")[0]);
    });
    suite.add("path.names_are_not_normalized", [] {
        make_file("\xc3\xa9", "composed");
        make_file("e\xcc\x81", "decomposed");
        CHECK_SAME("composed", content_of("\xc3\xa9"));
        CHECK_SAME("decomposed", content_of("e\xcc\x81"));
    });
    suite.add("path.three_dots_are_an_ordinary_name", [] {
        make_file("...", "x");
        CHECK_SAME("x", content_of("..."));
    });
    suite.add("path.spaces_and_dots_at_the_end_are_kept", [] {
        make_file("name ", "space");
        make_file("name.", "dot");
        make_file("name", "none");
        CHECK_SAME("space", content_of("name "));
        CHECK_SAME("dot", content_of("name."));
        CHECK_SAME("none", content_of("name"));
    });
}

void add_dots(Suite& suite) {
    suite.add("path.dot_is_the_directory_itself", [] {
        make_dir("d");
        CHECK_SAME(stat_of("d").st_ino, stat_of("d/.").st_ino);
        CHECK_SAME(stat_of("d").st_ino, stat_of("./d/./.").st_ino);
    });
    suite.add("path.dot_dot_is_the_parent", [] {
        make_dir("d");
        make_dir("d/e");
        CHECK_SAME(stat_of("d").st_ino, stat_of("d/e/..").st_ino);
        CHECK_SAME(stat_of(".").st_ino, stat_of("d/e/../..").st_ino);
    });
    suite.add("path.dot_dot_of_missing_directory_gives_ENOENT", [] {
        make_file("f");
        CHECK_FAILS(ENOENT, open("missing/../f", O_RDONLY));
    });
    suite.add("path.dot_dot_of_file_gives_ENOTDIR", [] {
        make_file("f");
        CHECK_FAILS(ENOTDIR, open("f/../f", O_RDONLY));
        CHECK_FAILS(ENOTDIR, open("f/.", O_RDONLY));
    });
    suite.add("path.dot_dot_of_symlink_is_parent_of_its_target", [] {
        make_dir("d");
        make_dir("d/e");
        make_file("d/f", "x");
        make_symlink("d/e", "s");
        CHECK_SAME("x", content_of("s/../f"));
    });
    suite.add("path.dot_dot_follows_a_renamed_directory", [] {
        make_dir("a");
        make_dir("b");
        make_dir("a/d");
        CHECK_OK(chdir("a/d"));
        CHECK_OK(rename("../../a/d", "../../b/d"));
        make_file("../f", "x");
        CHECK_SAME("x", content_of("../../b/f"));
    });
}

void add_slashes(Suite& suite) {
    suite.add("path.repeated_slashes_count_as_one", [] {
        make_dir("d");
        make_file("d/f", "x");
        CHECK_SAME("x", content_of(".//d////f"));
    });
    suite.add("path.trailing_slash_on_directory_is_allowed", [] {
        CHECK_OK(mkdir("d/", 0755));
        CHECK(S_ISDIR(stat_of("d/").st_mode));
        CHECK_OK(rename("d/", "e/"));
        CHECK_OK(rmdir("e/"));
    });
    suite.add("path.trailing_slash_on_file_gives_ENOTDIR", [] {
        make_file("f");
        struct stat st = {};
        CHECK_FAILS(ENOTDIR, stat("f/", &st));
        CHECK_FAILS(ENOTDIR, lstat("f/", &st));
        CHECK_FAILS(ENOTDIR, open("f/", O_RDONLY));
        CHECK_FAILS(ENOTDIR, unlink("f/"));
        CHECK_FAILS(ENOTDIR, truncate("f/", 0));
        CHECK_FAILS(ENOTDIR, chmod("f/", 0600));
        CHECK_FAILS(ENOTDIR, rmdir("f/"));
    });
    suite.add("path.trailing_slash_follows_a_symlink_to_directory", [] {
        make_dir("d");
        make_symlink("d", "s");
        CHECK(S_ISDIR(lstat_of("s/").st_mode));
        CHECK(S_ISLNK(lstat_of("s").st_mode));
    });
    suite.add("path.trailing_slash_on_symlink_to_file_gives_ENOTDIR", [] {
        make_file("f");
        make_symlink("f", "s");
        struct stat st = {};
        CHECK_FAILS(ENOTDIR, lstat("s/", &st));
        CHECK_FAILS(ENOTDIR, open("s/", O_RDONLY));
    });
    suite.add("path.trailing_slash_forbids_making_anything_but_directories", [] {
        make_file("f");
        CHECK_FAILS(EISDIR, open("new/", O_CREAT | O_WRONLY, 0600));
        CHECK_FAILS(ENOENT, mknod("new/", S_IFIFO | 0600, 0));
        CHECK_FAILS(ENOENT, symlink("f", "new/"));
        CHECK_FAILS(ENOENT, link("f", "new/"));
        CHECK_FAILS(ENOTDIR, rename("f", "new/"));
        CHECK_SAME(1, names_in(".").size());
    });
}

void add_link_chains(Suite& suite) {
    suite.add("path.forty_symlinks_are_followed", [] {
        make_file("0", "x");
        for (int i = 1; i <= 40; ++i) {
            make_symlink(std::to_string(i - 1).c_str(), std::to_string(i).c_str());
        }
        CHECK_SAME("x", content_of("40"));
    });
    suite.add("path.forty_one_symlinks_give_ELOOP", [] {
        make_file("0", "x");
        for (int i = 1; i <= 41; ++i) {
            make_symlink(std::to_string(i - 1).c_str(), std::to_string(i).c_str());
        }
        CHECK_FAILS(ELOOP, open("41", O_RDONLY));
        struct stat st = {};
        CHECK_FAILS(ELOOP, stat("41", &st));
        CHECK_OK(lstat("41", &st));
    });
    suite.add("path.symlink_to_itself_gives_ELOOP", [] {
        make_symlink("self", "self");
        CHECK_FAILS(ELOOP, open("self", O_RDONLY));
        CHECK_FAILS(ELOOP, open("self", O_RDWR | O_CREAT, 0600));
        CHECK_FAILS(ELOOP, chmod("self", 0600));
        CHECK_FAILS(ELOOP, truncate("self", 0));
        CHECK_FAILS(ELOOP, chdir("self"));
        CHECK_OK(unlink("self"));
    });
    suite.add("path.absolute_symlink_starts_at_the_root", [] {
        make_file("f", "x");
        char here[PATH_MAX];
        CHECK_OK(getcwd(here, sizeof here));
        make_symlink((std::string(here) + "/f").c_str(), "s");
        make_dir("d");
        CHECK_OK(rename("s", "d/s"));
        CHECK_SAME("x", content_of("d/s"));
    });
    suite.add("path.relative_symlink_starts_at_its_own_directory", [] {
        make_dir("d");
        make_file("d/f", "right");
        make_file("f", "wrong");
        make_symlink("f", "d/s");
        CHECK_SAME("right", content_of("d/s"));
    });
}

}  // namespace

void add_path_limit_cases(Suite& suite) {
    add_name_limits(suite);
    add_name_bytes(suite);
    add_dots(suite);
    add_slashes(suite);
    add_link_chains(suite);
}

}  // namespace posix
