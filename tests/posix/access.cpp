// SPDX-License-Identifier: Apache-2.0

// access(2) and faccessat2(2).

#include "cases.hpp"

#include <sys/syscall.h>

namespace posix {
namespace {

// glibc answers some flags itself; the system call is what is asked here.
long access_at(const char* path, int mode, int flags) {
    return syscall(SYS_faccessat2, AT_FDCWD, path, mode, flags);
}

/// One case for each permission class and each of the eight permission sets.
void add_matrix(Suite& suite) {
    struct Row {
        const char* name;
        User user;
        int shift;
    };
    const Row rows[] = {
        {"owner", alice, 6},
        {"group", {bob_id, team_id}, 3},
        {"supplementary_group", bob_in_team, 3},
        {"others", bob, 0},
    };
    for (const Row& row : rows) {
        for (const unsigned bits : {0u, 1u, 2u, 3u, 4u, 5u, 6u, 7u}) {
            suite.add_row(
                "access." + std::string(row.name) + "_with_bits_" + std::to_string(bits),
                [row, bits] {
                    // The other classes get the opposite, so a mix-up shows.
                    const unsigned others = ~bits & 7U;
                    const unsigned all = others << 6 | others << 3 | others;
                    const unsigned mode = (all & ~(7U << row.shift)) | bits << row.shift;
                    make_file_of("f", alice_id, team_id, mode);
                    as(row.user, [&] {
                        CHECK_OK(access("f", F_OK));
                        for (const int wanted : {R_OK,
                                                 W_OK,
                                                 X_OK,
                                                 R_OK | W_OK,
                                                 R_OK | X_OK,
                                                 W_OK | X_OK,
                                                 R_OK | W_OK | X_OK}) {
                            const auto mask = static_cast<unsigned>(wanted);
                            if ((bits & mask) == mask) {
                                CHECK_OK(access("f", wanted));
                            } else {
                                CHECK_FAILS(EACCES, access("f", wanted));
                            }
                        }
                    });
                });
        }
    }
}

void add_root(Suite& suite) {
    suite.add("access.root_may_read_and_write_anything", [] {
        make_file("f", "", 0);
        CHECK_OK(access("f", R_OK | W_OK));
    });
    suite.add("access.root_may_execute_only_with_some_x_bit", [] {
        make_file("f", "", 0666);
        CHECK_FAILS(EACCES, access("f", X_OK));
        CHECK_OK(chmod("f", 0001));
        CHECK_OK(access("f", X_OK));
    });
    suite.add("access.root_may_search_any_directory", [] {
        make_dir("d", 0);
        CHECK_OK(access("d", R_OK | W_OK | X_OK));
        make_file("d/f");
    });
}

void add_ids(Suite& suite) {
    suite.add("access.asks_the_real_user", [] {
        make_file("f", "", 0600);
        CHECK_OK(setresgid(alice_id, 0, 0));
        CHECK_OK(setresuid(alice_id, 0, 0));
        CHECK_FAILS(EACCES, access("f", R_OK));
        CHECK_OK(open("f", O_RDONLY));
    });
    suite.add("access.with_AT_EACCESS_asks_the_effective_user", [] {
        make_file("f", "", 0600);
        CHECK_OK(setresgid(alice_id, 0, 0));
        CHECK_OK(setresuid(alice_id, 0, 0));
        CHECK_OK(access_at("f", R_OK, AT_EACCESS));
        CHECK_FAILS(EACCES, access_at("f", R_OK, 0));
    });
    suite.add("access.with_effective_user_alice_real_root", [] {
        make_file("f", "", 0600);
        CHECK_OK(setresgid(0, alice_id, 0));
        CHECK_OK(setresuid(0, alice_id, 0));
        CHECK_OK(access("f", R_OK));
        CHECK_FAILS(EACCES, access_at("f", R_OK, AT_EACCESS));
    });
}

void add_arguments(Suite& suite) {
    suite.add("access.follows_symlinks", [] {
        make_file("f", "", 0);
        make_symlink("f", "s");
        make_symlink("missing", "dangling");
        as(alice, [] {
            CHECK_FAILS(EACCES, access("s", R_OK));
            CHECK_FAILS(ENOENT, access("dangling", F_OK));
        });
    });
    suite.add("access.nofollow_asks_about_the_link", [] {
        make_symlink("missing", "s");
        CHECK_OK(access_at("s", F_OK, AT_SYMLINK_NOFOLLOW));
        CHECK_FAILS(ENOENT, access_at("s", F_OK, 0));
    });
    suite.add("access.empty_path_asks_about_the_descriptor", [] {
        const int fd = make_open("f");
        CHECK_OK(syscall(SYS_faccessat2, fd, "", R_OK, AT_EMPTY_PATH));
    });
    suite.add("access.unknown_mode_gives_EINVAL", [] {
        make_file("f");
        CHECK_FAILS(EINVAL, access("f", 8));
        CHECK_FAILS(EINVAL, access("f", -1));
    });
    suite.add("access.unknown_flag_gives_EINVAL", [] {
        make_file("f");
        CHECK_FAILS(EINVAL, access_at("f", F_OK, 0x4000'0000));
    });
    suite.add("access.follows_a_change_of_mode_at_once", [] {
        make_file("f", "", 0644);
        const Gate changed;
        const Gate asked;
        const Child child([&] {
            as(alice, [&] {
                CHECK_OK(access("f", R_OK));
                asked.pass();
                changed.wait();
                CHECK_FAILS(EACCES, access("f", R_OK));
            });
        });
        asked.wait();
        CHECK_OK(chmod("f", 0600));
        changed.pass();
        child.finish();
    });
}

}  // namespace

void add_access_cases(Suite& suite) {
    add_matrix(suite);
    add_root(suite);
    add_ids(suite);
    add_arguments(suite);
}

}  // namespace posix
