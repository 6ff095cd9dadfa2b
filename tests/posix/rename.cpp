// SPDX-License-Identifier: Apache-2.0

// rename(2): what may replace what, as a matrix; then the tree, permissions, open files.

#include "cases.hpp"

#include <sys/mman.h>

namespace posix {
namespace {

struct Kind {
    const char* name;
    void (*make)(const char* path);
};

void make_full_dir(const char* path) {
    make_dir(path);
    make_file((std::string(path) + "/inside").c_str());
}

// "target_file" and "target_directory" are there, for the symlinks to point to.
constexpr Kind file = {"file", [](const char* p) { make_file(p); }};
constexpr Kind empty_directory = {"empty_directory", [](const char* p) { make_dir(p); }};
constexpr Kind full_directory = {"full_directory", make_full_dir};
constexpr Kind file_symlink = {"symlink_to_file",
                               [](const char* p) { make_symlink("target_file", p); }};
constexpr Kind directory_symlink = {"symlink_to_directory",
                                    [](const char* p) { make_symlink("target_directory", p); }};
constexpr Kind dangling_symlink = {"dangling_symlink",
                                   [](const char* p) { make_symlink("missing", p); }};
constexpr Kind fifo = {"fifo", [](const char* p) { CHECK_OK(mkfifo(p, 0600)); }};
constexpr Kind nothing = {"nothing", [](const char*) {}};

bool is_directory(const Kind& kind) {
    return &kind == &empty_directory || &kind == &full_directory;
}

/// 0, or the error that rename(2) names for this pair.
Errors expected_error(const Kind& from, const Kind& to) {
    if (&to == &nothing) return 0;
    if (is_directory(from) && !is_directory(to)) return ENOTDIR;
    if (!is_directory(from) && is_directory(to)) return EISDIR;
    if (&to == &full_directory) return either(ENOTEMPTY, EEXIST);
    return 0;
}

void run_pair(const Kind& from, const Kind& to) {
    make_file("target_file", "untouched");
    make_dir("target_directory");
    from.make("from");
    to.make("to");
    const auto before = lstat_of("from");
    const Errors error = expected_error(from, to);
    if (error.values[0] == 0) {
        CHECK_OK(rename("from", "to"));
        CHECK(!exists("from"));
        CHECK(before.st_ino == lstat_of("to").st_ino);
        CHECK_MODE(before.st_mode, lstat_of("to").st_mode);
    } else {
        CHECK_FAILS(error, rename("from", "to"));
        CHECK(before.st_ino == lstat_of("from").st_ino);
        CHECK(before.st_ino != lstat_of("to").st_ino);
    }
    CHECK_SAME("untouched", content_of("target_file"));
    CHECK(exists("target_directory"));
}

void add_matrix(Suite& suite) {
    static constexpr const Kind* kinds[] = {&file,
                                            &empty_directory,
                                            &full_directory,
                                            &file_symlink,
                                            &directory_symlink,
                                            &dangling_symlink,
                                            &fifo};
    const auto add = [&suite](const Kind& from, const Kind& to) {
        std::string name = "rename.";
        name.append(from.name).append("_over_").append(to.name);
        if (expected_error(from, to).values[0] != 0) {
            name += "_gives_" + errno_name(expected_error(from, to).values[0]);
        }
        suite.add_row(name, [&from, &to] { run_pair(from, to); });
    };
    for (const Kind* from : kinds) {
        for (const Kind* to : kinds) add(*from, *to);
        add(*from, nothing);
    }
}

void add_same_file(Suite& suite) {
    suite.add("rename.to_its_own_name_does_nothing", [] {
        make_file("f", "abc");
        make_dir("d");
        CHECK_OK(rename("f", "f"));
        CHECK_OK(rename("d", "d"));
        CHECK_SAME("abc", content_of("f"));
        CHECK(exists("d"));
    });
    suite.add("rename.over_another_link_of_the_same_file_keeps_both", [] {
        make_file("f", "abc");
        CHECK_OK(link("f", "g"));
        CHECK_OK(rename("f", "g"));
        CHECK(exists("f"));
        CHECK(exists("g"));
        CHECK_SAME(2, stat_of("f").st_nlink);
    });
    suite.add("rename.file_over_symlink_to_itself_replaces_the_symlink", [] {
        make_file("f", "abc");
        make_symlink("f", "s");
        CHECK_OK(rename("f", "s"));
        CHECK(S_ISREG(lstat_of("s").st_mode));
        CHECK(!exists("f"));
    });
    suite.add("rename.symlink_over_its_target_makes_a_loop", [] {
        make_file("f", "abc");
        make_symlink("f", "s");
        CHECK_OK(rename("s", "f"));
        CHECK(S_ISLNK(lstat_of("f").st_mode));
        CHECK_FAILS(ELOOP, open("f", O_RDONLY));
    });
    suite.add("rename.replaced_file_loses_a_link", [] {
        make_file("f");
        make_file("g");
        CHECK_OK(link("g", "kept"));
        CHECK_OK(rename("f", "g"));
        CHECK_SAME(1, stat_of("kept").st_nlink);
        CHECK_SAME(1, stat_of("g").st_nlink);
    });
}

void add_tree(Suite& suite) {
    suite.add("rename.directory_into_itself_gives_EINVAL", [] {
        make_dir("d");
        make_dir("d/e");
        CHECK_FAILS(EINVAL, rename("d", "d/new"));
        CHECK_FAILS(EINVAL, rename("d", "d/e/new"));
        CHECK_FAILS(EINVAL, rename("d", "d/e"));
    });
    suite.add("rename.over_an_ancestor_gives_ENOTEMPTY", [] {
        make_dir("d");
        make_dir("d/e");
        make_file("d/e/f");
        CHECK_FAILS(either(ENOTEMPTY, EEXIST), rename("d/e", "d"));
        CHECK_FAILS(either(ENOTEMPTY, EEXIST, EISDIR), rename("d/e/f", "d"));
    });
    suite.add("rename.of_dot_or_dot_dot_gives_EBUSY_or_EINVAL", [] {
        make_dir("d");
        make_dir("e");
        CHECK_FAILS(either(EBUSY, EINVAL), rename("d/.", "new"));
        CHECK_FAILS(either(EBUSY, EINVAL), rename("d/..", "new"));
        CHECK_FAILS(either(EBUSY, EINVAL), rename(".", "new"));
        CHECK_FAILS(either(EBUSY, EINVAL, ENOTEMPTY, EEXIST), rename("d", "e/."));
        CHECK_FAILS(either(EBUSY, EINVAL, ENOTEMPTY, EEXIST), rename("d", "e/.."));
    });
    suite.add("rename.directory_takes_its_content_along", [] {
        make_dir("a");
        make_dir("b");
        make_dir("a/d");
        make_file("a/d/f", "abc");
        CHECK_OK(rename("a/d", "b/d"));
        CHECK_SAME("abc", content_of("b/d/f"));
        CHECK(!exists("a/d"));
        CHECK(stat_of("b/d/..").st_ino == stat_of("b").st_ino);
    });
}

void add_tree_effects(Suite& suite) {
    suite.add("rename.directory_between_parents_moves_a_link_count", [] {
        make_dir("a");
        make_dir("b");
        make_dir("a/d");
        const auto a_before = stat_of("a").st_nlink;
        const auto b_before = stat_of("b").st_nlink;
        CHECK_OK(rename("a/d", "b/d"));
        // A file system that does not count subdirectories keeps both at 1.
        if (a_before == 1) return;
        CHECK_SAME(a_before - 1, stat_of("a").st_nlink);
        CHECK_SAME(b_before + 1, stat_of("b").st_nlink);
    });
    suite.add("rename.over_a_directory_frees_a_link_count", [] {
        make_dir("a");
        make_dir("b");
        const auto before = stat_of(".").st_nlink;
        CHECK_OK(rename("a", "b"));
        if (before != 1) CHECK_SAME(before - 1, stat_of(".").st_nlink);
    });
    suite.add("rename.to_another_file_system_gives_EXDEV", [] {
        make_file("f");
        CHECK_FAILS(EXDEV, rename("f", "/proc/posix_conformance"));
        CHECK(exists("f"));
    });
    suite.add("rename.back_and_forth_keeps_everything", [] {
        make_file("f", "abc");
        make_dir("d");
        for (int i = 0; i < 100; ++i) {
            CHECK_OK(rename("f", "d/f"));
            CHECK_OK(rename("d/f", "f"));
        }
        CHECK_SAME("abc", content_of("f"));
        CHECK_SAME(1, stat_of("f").st_nlink);
    });
    suite.add("rename.replaced_name_is_found_anew", [] {
        // Names that were looked up before must lead to the new files at once.
        make_file("a", "was a");
        make_file("b", "was b");
        CHECK_SAME("was b", content_of("b"));
        in_child([] { CHECK_OK(rename("a", "b")); });
        CHECK_SAME("was a", content_of("b"));
        CHECK_FAILS(ENOENT, open("a", O_RDONLY));
    });
}

void add_open_files(Suite& suite) {
    suite.add("rename.open_file_follows_its_descriptor", [] {
        const int fd = make_open("f", "abc");
        make_dir("d");
        CHECK_OK(rename("f", "d/g"));
        write_at(fd, 3, "def");
        CHECK_SAME("abcdef", content_of("d/g"));
    });
    suite.add("rename.replaced_open_file_lives_on", [] {
        const int fd = make_open("g", "old");
        make_file("f", "new");
        CHECK_OK(rename("f", "g"));
        CHECK_SAME("old", content_of(fd));
        CHECK_SAME(0, fstat_of(fd).st_nlink);
        write_at(fd, 0, "still there");
        CHECK_SAME("new", content_of("g"));
        CHECK_SAME("still there", content_of(fd));
    });
    suite.add("rename.open_directory_can_be_used_on", [] {
        make_dir("d");
        const int dir = open_file("d", O_RDONLY | O_DIRECTORY);
        CHECK_OK(rename("d", "e"));
        CHECK_OK(openat(dir, "f", O_CREAT | O_RDWR, 0600));
        CHECK(exists("e/f"));
    });
    suite.add("rename.replaced_open_directory_refuses_new_names", [] {
        make_dir("d");
        make_dir("e");
        const int dir = open_file("e", O_RDONLY | O_DIRECTORY);
        CHECK_OK(rename("d", "e"));
        CHECK_FAILS(ENOENT, openat(dir, "f", O_CREAT | O_RDWR, 0600));
    });
    suite.add("rename.map_of_a_replaced_file_lives_on", [] {
        const int fd = make_open("g", "old");
        const auto* map =
            static_cast<char*>(CHECK_OK(mmap(nullptr, 3, PROT_READ, MAP_SHARED, fd, 0)));
        make_file("f", "new");
        CHECK_OK(rename("f", "g"));
        CHECK_SAME("old", std::string_view(map, 3));
    });
}

void add_permission(Suite& suite) {
    suite.add("rename.out_of_unwritable_directory_gives_EACCES", [] {
        make_dir("closed", 0755);
        make_dir("open", 0777);
        make_file_of("closed/f", alice_id, alice_id, 0666);
        as(alice, [] { CHECK_FAILS(EACCES, rename("closed/f", "open/f")); });
    });
    suite.add("rename.into_unwritable_directory_gives_EACCES", [] {
        make_dir("closed", 0755);
        make_dir("open", 0777);
        make_file_of("open/f", alice_id, alice_id, 0666);
        as(alice, [] { CHECK_FAILS(EACCES, rename("open/f", "closed/f")); });
    });
    suite.add("rename.needs_no_permission_on_a_file", [] {
        make_dir("d", 0777);
        make_file("d/f", "", 0);
        as(alice, [] { CHECK_OK(rename("d/f", "d/g")); });
    });
    suite.add("rename.moving_an_unwritable_directory_of_others_gives_EACCES", [] {
        // Its '..' entry would have to change.
        make_dir("a", 0777);
        make_dir("b", 0777);
        make_dir("a/d", 0755);
        as(alice, [] {
            CHECK_FAILS(EACCES, rename("a/d", "b/d"));
            CHECK_OK(rename("a/d", "a/e"));
        });
    });
    suite.add("rename.in_sticky_directory_by_another_gives_EPERM", [] {
        make_dir("d", 01777);
        make_file_of("d/f", bob_id, bob_id, 0666);
        as(alice, [] { CHECK_FAILS(either(EPERM, EACCES), rename("d/f", "d/g")); });
    });
    suite.add("rename.over_a_file_of_others_in_sticky_directory_gives_EPERM", [] {
        make_dir("d", 01777);
        make_file_of("d/f", alice_id, alice_id, 0666);
        make_file_of("d/g", bob_id, bob_id, 0666);
        as(alice, [] { CHECK_FAILS(either(EPERM, EACCES), rename("d/f", "d/g")); });
    });
    suite.add("rename.of_own_file_in_sticky_directory_works", [] {
        make_dir("d", 01777);
        make_file_of("d/f", alice_id, alice_id, 0600);
        as(alice, [] { CHECK_OK(rename("d/f", "d/g")); });
    });
}

}  // namespace

void add_rename_cases(Suite& suite) {
    add_matrix(suite);
    add_same_file(suite);
    add_tree(suite);
    add_tree_effects(suite);
    add_open_files(suite);
    add_permission(suite);
}

}  // namespace posix
