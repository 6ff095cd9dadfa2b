// SPDX-License-Identifier: Apache-2.0

// Who may do what: the matrix of classes and rights, by really becoming other users.

#include "cases.hpp"

#include <span>

namespace posix {
namespace {

/// How somebody stands to a file of alice and of the group team.
struct Class {
    const char* name;
    User user;
    int shift;  // of this class's bits in the mode
};

std::span<const Class> classes() {
    static const Class all[] = {
        {"owner", alice, 6},
        {"owner_in_the_group", alice_in_team, 6},
        {"group", {bob_id, team_id}, 3},
        {"supplementary_group", bob_in_team, 3},
        {"last_of_many_groups",
         {bob_id, bob_id, {30'001, 30'002, 30'003, 30'004, 30'005, 30'006, 30'007, team_id}},
         3},
        {"others", bob, 0},
    };
    return all;
}

struct Right {
    const char* name;
    unsigned bit;
    bool of_directory;
    void (*use)(int error);  // tries it on "x" and expects this errno, or success for 0
};

void expect(int error, long result, const char* what) {
    if (error == 0) {
        check_ok(result, what);
    } else {
        check_fails(error, Outcome(result), what);
    }
}

// Directories hold "inside"; what a right on them allows needs no right on "inside".
constexpr Right rights[] = {
    {"read", 4, false, [](int e) { expect(e, open("x", O_RDONLY), "open for reading"); }},
    {"write", 2, false, [](int e) { expect(e, open("x", O_WRONLY), "open for writing"); }},
    {"truncate", 2, false, [](int e) { expect(e, truncate("x", 0), "truncate"); }},
    {"list", 4, true, [](int e) { expect(e, open("x", O_RDONLY | O_DIRECTORY), "open"); }},
    {"search",
     1,
     true,
     [](int e) {
         struct stat st = {};
         expect(e, stat("x/inside", &st), "stat of an entry");
     }},
    {"enter", 1, true, [](int e) { expect(e, chdir("x"), "chdir"); }},
    {"create",
     3,
     true,
     [](int e) { expect(e, open("x/new", O_CREAT | O_WRONLY, 0600), "creation"); }},
    {"make_directory", 3, true, [](int e) { expect(e, mkdir("x/new", 0700), "mkdir"); }},
    {"delete", 3, true, [](int e) { expect(e, unlink("x/inside"), "unlink"); }},
    {"rename", 3, true, [](int e) { expect(e, rename("x/inside", "x/new"), "rename"); }},
};

void run_right(const Class& who, const Right& right, bool granted) {
    const unsigned own = right.bit << who.shift;
    // Only this class has the right; or all others have it and it alone has not.
    const unsigned mode = granted ? own : 0777 & ~own;
    if (right.of_directory) {
        make_dir_of("x", alice_id, team_id, 0700);
        make_file("x/inside");
        CHECK_OK(chmod("x", mode));
    } else {
        make_file_of("x", alice_id, team_id, mode, "content");
    }
    as(who.user, [&] { right.use(granted ? 0 : EACCES); });
}

void add_matrix(Suite& suite) {
    for (const Class& who : classes()) {
        for (const Right& right : rights) {
            const std::string name = "permission." + std::string(who.name) + "_" + right.name;
            suite.add_row(name + "_granted", [&] { run_right(who, right, true); });
            suite.add_row(name + "_denied", [&] { run_right(who, right, false); });
        }
    }
}

void add_partial(Suite& suite) {
    suite.add("permission.create_needs_search_beside_write", [] {
        make_dir_of("d", alice_id, alice_id, 0600);
        as(alice, [] { CHECK_FAILS(EACCES, open("d/f", O_CREAT | O_WRONLY, 0600)); });
    });
    suite.add("permission.delete_needs_write_beside_search", [] {
        make_dir_of("d", alice_id, alice_id, 0500);
        make_file_of("d/f", alice_id, alice_id, 0600);
        as(alice, [] { CHECK_FAILS(EACCES, unlink("d/f")); });
    });
    suite.add("permission.every_directory_of_the_path_must_be_searchable", [] {
        make_dir("a", 0755);
        make_dir("a/b", 0755);
        make_dir("a/b/c", 0755);
        make_file("a/b/c/f", "", 0644);
        for (const char* path : {"a", "a/b", "a/b/c"}) {
            CHECK_OK(chmod(path, 0766));
            as(alice, [] { CHECK_FAILS(EACCES, open("a/b/c/f", O_RDONLY)); });
            CHECK_OK(chmod(path, 0755));
        }
        as(alice, [] { CHECK_OK(open("a/b/c/f", O_RDONLY)); });
    });
    suite.add("permission.missing_name_in_unsearchable_directory_gives_EACCES", [] {
        make_dir("d", 0766);
        as(alice, [] { CHECK_FAILS(EACCES, open("d/missing", O_RDONLY)); });
    });
    suite.add("permission.root_overrides_reading_writing_and_searching", [] {
        make_dir_of("d", alice_id, alice_id, 0);
        make_file_of("d/f", alice_id, alice_id, 0, "abc");
        CHECK_SAME("abc", content_of("d/f"));
        make_file("d/new");
        CHECK_OK(unlink("d/f"));
    });
    suite.add("permission.descriptor_works_for_whom_it_is_handed_to", [] {
        make_file("f", "abc", 0600);
        const int fd = open_file("f", O_RDWR);
        as(alice, [fd] {
            CHECK_SAME("abc", content_of(fd));
            write_at(fd, 0, "X");
        });
        CHECK_SAME("Xbc", content_of("f"));
    });
    suite.add("permission.change_of_groups_takes_effect", [] {
        make_file_of("f", 0, team_id, 0640, "abc");
        in_child([] {
            const gid_t team = team_id;
            CHECK_OK(setresgid(alice_id, alice_id, 0));
            // Keeps uid 0 as saved, to be able to change groups again.
            CHECK_OK(setresuid(alice_id, alice_id, 0));
            CHECK_FAILS(EACCES, open("f", O_RDONLY));
            CHECK_OK(setresuid(alice_id, 0, 0));
            CHECK_OK(setresgid(alice_id, team, 0));
            CHECK_OK(setresuid(alice_id, alice_id, 0));
            CHECK_OK(open("f", O_RDONLY));
        });
    });
    suite.add("permission.chmod_of_directory_takes_effect_at_once", [] {
        make_dir("d", 0755);
        make_file("d/f", "", 0644);
        as(alice, [] { stat_of("d/f"); });
        CHECK_OK(chmod("d", 0700));
        as(alice, [] { CHECK_FAILS(EACCES, open("d/f", O_RDONLY)); });
        CHECK_OK(chmod("d", 0711));
        as(alice, [] { CHECK_OK(open("d/f", O_RDONLY)); });
    });
}

/// In a sticky directory of `directory_owner`, who may remove a file of `file_owner`?
void add_sticky(Suite& suite) {
    struct Row {
        const char* name;
        uid_t directory_owner, file_owner;
        bool may;
    };
    static constexpr Row rows[] = {
        {"own_file_in_own_directory", alice_id, alice_id, true},
        {"own_file_in_directory_of_others", 0, alice_id, true},
        {"file_of_others_in_own_directory", alice_id, bob_id, true},
        {"file_of_others_in_directory_of_others", 0, bob_id, false},
        {"file_of_root_in_directory_of_others", bob_id, 0, false},
    };
    for (const Row& row : rows) {
        const auto run = [row](const auto& make, const auto& act) {
            make_dir_of("d", row.directory_owner, 0, 01777);
            make(row.file_owner);
            as(alice, [&] {
                if (row.may) {
                    CHECK_OK(act());
                } else {
                    CHECK_FAILS(either(EPERM, EACCES), act());
                }
            });
        };
        const std::string end = "_of_" + std::string(row.name);
        suite.add_row("permission.sticky_unlink" + end, [run] {
            run([](uid_t owner) { make_file_of("d/x", owner, 0, 0666); },
                [] { return unlink("d/x"); });
        });
        suite.add_row("permission.sticky_rmdir" + end, [run] {
            run([](uid_t owner) { make_dir_of("d/x", owner, 0, 0777); },
                [] { return rmdir("d/x"); });
        });
        suite.add_row("permission.sticky_rename" + end, [run] {
            run([](uid_t owner) { make_file_of("d/x", owner, 0, 0666); },
                [] { return rename("d/x", "d/y"); });
        });
    }
    suite.add("permission.sticky_root_may_remove_anything", [] {
        make_dir_of("d", bob_id, bob_id, 01777);
        make_file_of("d/f", alice_id, alice_id, 0600);
        CHECK_OK(unlink("d/f"));
    });
    suite.add("permission.sticky_does_not_hinder_creation", [] {
        make_dir("d", 01777);
        as(alice, [] { make_file("d/f"); });
    });
}

}  // namespace

void add_permission_cases(Suite& suite) {
    add_matrix(suite);
    add_partial(suite);
    add_sticky(suite);
}

}  // namespace posix
