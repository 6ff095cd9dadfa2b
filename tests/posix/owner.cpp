// SPDX-License-Identifier: Apache-2.0

// chown(2) and its relatives: who may give what to whom.

#include "cases.hpp"

namespace posix {
namespace {

constexpr uid_t keep_uid = static_cast<uid_t>(-1);
constexpr gid_t keep_gid = static_cast<gid_t>(-1);

void check_owner(const char* path, uid_t uid, gid_t gid) {
    CHECK_SAME(uid, lstat_of(path).st_uid);
    CHECK_SAME(gid, lstat_of(path).st_gid);
}

void add_effects(Suite& suite) {
    suite.add("chown.sets_user_and_group", [] {
        make_file("f");
        CHECK_OK(chown("f", alice_id, team_id));
        check_owner("f", alice_id, team_id);
    });
    suite.add("chown.of_minus_1_keeps", [] {
        make_file_of("f", alice_id, team_id, 0644);
        CHECK_OK(chown("f", keep_uid, bob_id));
        check_owner("f", alice_id, bob_id);
        CHECK_OK(chown("f", bob_id, keep_gid));
        check_owner("f", bob_id, bob_id);
        CHECK_OK(chown("f", keep_uid, keep_gid));
        check_owner("f", bob_id, bob_id);
    });
    suite.add("chown.works_on_a_directory", [] {
        make_dir("d");
        CHECK_OK(chown("d", alice_id, team_id));
        check_owner("d", alice_id, team_id);
    });
    suite.add("chown.follows_symlinks", [] {
        make_file("f");
        make_symlink("f", "s");
        CHECK_OK(chown("s", alice_id, team_id));
        check_owner("f", alice_id, team_id);
        check_owner("s", 0, 0);
    });
    suite.add("lchown.changes_the_link_itself", [] {
        make_file("f");
        make_symlink("f", "s");
        CHECK_OK(lchown("s", alice_id, team_id));
        check_owner("f", 0, 0);
        check_owner("s", alice_id, team_id);
    });
    suite.add("lchown.works_on_a_dangling_link", [] {
        make_symlink("missing", "s");
        CHECK_FAILS(ENOENT, chown("s", alice_id, team_id));
        CHECK_OK(lchown("s", alice_id, team_id));
        check_owner("s", alice_id, team_id);
    });
}

void add_further_effects(Suite& suite) {
    suite.add("fchown.works_on_a_read_only_descriptor", [] {
        make_file("f");
        CHECK_OK(fchown(open_file("f", O_RDONLY), alice_id, team_id));
        check_owner("f", alice_id, team_id);
    });
    suite.add("fchown.works_on_an_unlinked_file", [] {
        const int fd = make_open("f");
        CHECK_OK(unlink("f"));
        CHECK_OK(fchown(fd, alice_id, team_id));
        CHECK_SAME(alice_id, fstat_of(fd).st_uid);
    });
    suite.add("chown.works_on_nodes_of_each_type", [] {
        CHECK_OK(mkfifo("p", 0600));
        CHECK_OK(mknod("s", S_IFSOCK | 0600, 0));
        CHECK_OK(mknod("c", S_IFCHR | 0600, 0x103));
        for (const char* path : {"p", "s", "c"}) {
            CHECK_OK(chown(path, alice_id, team_id));
            check_owner(path, alice_id, team_id);
        }
    });
    suite.add("chown.takes_ids_beyond_31_bits", [] {
        make_file("f");
        CHECK_OK(chown("f", 0xffff'fff0, 0x8000'0001));
        check_owner("f", 0xffff'fff0, 0x8000'0001);
    });
    suite.add("chown.takes_ids_beyond_16_bits", [] {
        make_file("f");
        CHECK_OK(chown("f", 65'536, 65'535));
        check_owner("f", 65'536, 65'535);
    });
}

void add_fchownat(Suite& suite) {
    suite.add("fchownat.nofollow_changes_the_link_itself", [] {
        make_file("f");
        make_symlink("f", "s");
        CHECK_OK(fchownat(AT_FDCWD, "s", alice_id, team_id, AT_SYMLINK_NOFOLLOW));
        check_owner("f", 0, 0);
        check_owner("s", alice_id, team_id);
    });
    suite.add("fchownat.empty_path_changes_the_descriptor", [] {
        CHECK_OK(fchownat(make_open("f"), "", alice_id, team_id, AT_EMPTY_PATH));
        check_owner("f", alice_id, team_id);
    });
    suite.add("fchownat.unknown_flag_gives_EINVAL", [] {
        make_file("f");
        CHECK_FAILS(EINVAL, fchownat(AT_FDCWD, "f", 0, 0, 0x4000'0000));
    });
    suite.add("fchown.of_closed_descriptor_gives_EBADF",
              [] { CHECK_FAILS(EBADF, fchown(bad_descriptor, 0, 0)); });
}

void add_permission(Suite& suite) {
    suite.add("chown.user_may_not_give_a_file_away", [] {
        make_file_of("f", alice_id, alice_id, 0644);
        as(alice, [] { CHECK_FAILS(EPERM, chown("f", bob_id, keep_gid)); });
        check_owner("f", alice_id, alice_id);
    });
    suite.add("chown.user_may_not_take_a_file", [] {
        make_file_of("f", bob_id, bob_id, 0666);
        as(alice, [] { CHECK_FAILS(EPERM, chown("f", alice_id, keep_gid)); });
    });
    suite.add("chown.owner_may_give_to_an_own_group", [] {
        make_file_of("f", alice_id, alice_id, 0644);
        as(alice_in_team, [] { CHECK_OK(chown("f", keep_uid, team_id)); });
        check_owner("f", alice_id, team_id);
    });
    suite.add("chown.owner_may_not_give_to_a_foreign_group", [] {
        make_file_of("f", alice_id, alice_id, 0644);
        as(alice, [] { CHECK_FAILS(EPERM, chown("f", keep_uid, team_id)); });
        check_owner("f", alice_id, alice_id);
    });
    suite.add("chown.owner_may_name_the_ids_that_are_set", [] {
        make_file_of("f", alice_id, team_id, 0644);
        as(alice, [] { CHECK_OK(chown("f", alice_id, team_id)); });
    });
    suite.add("chown.of_minus_1_by_another_gives_no_change", [] {
        // Nothing is asked for: both 0 and EPERM are found among systems.
        make_file_of("f", alice_id, alice_id, 0644);
        as(bob, [] {
            if (chown("f", keep_uid, keep_gid) != 0) CHECK_SAME(EPERM, errno);
        });
        check_owner("f", alice_id, alice_id);
    });
    suite.add("chown.group_member_that_is_not_owner_gives_EPERM", [] {
        make_file_of("f", alice_id, team_id, 0666);
        as(bob_in_team, [] { CHECK_FAILS(EPERM, chown("f", keep_uid, bob_id)); });
    });
    suite.add("fchown.by_another_user_with_a_descriptor_gives_EPERM", [] {
        const int fd = make_open("f");
        as(alice, [fd] { CHECK_FAILS(EPERM, fchown(fd, alice_id, alice_id)); });
    });
    suite.add("lchown.by_the_owner_of_the_link_to_own_group_works", [] {
        make_symlink("missing", "s");
        CHECK_OK(lchown("s", alice_id, alice_id));
        as(alice_in_team, [] { CHECK_OK(lchown("s", keep_uid, team_id)); });
        check_owner("s", alice_id, team_id);
    });
    suite.add("chown.applies_to_permission_at_once", [] {
        make_file_of("f", alice_id, alice_id, 0600, "abc");
        as(alice, [] { CHECK_SAME("abc", content_of("f")); });
        CHECK_OK(chown("f", bob_id, bob_id));
        as(alice, [] { CHECK_FAILS(EACCES, open("f", O_RDONLY)); });
        as(bob, [] { CHECK_SAME("abc", content_of("f")); });
    });
}

}  // namespace

void add_owner_cases(Suite& suite) {
    add_effects(suite);
    add_further_effects(suite);
    add_fchownat(suite);
    add_permission(suite);
}

}  // namespace posix
