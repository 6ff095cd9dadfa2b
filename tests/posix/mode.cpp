// SPDX-License-Identifier: Apache-2.0

// chmod(2) and its relatives, and umask(2).

#include "cases.hpp"

#include <cstdio>

namespace posix {
namespace {

void add_bits(Suite& suite) {
    for (const mode_t mode : {0, 0400, 0020, 0001, 0644, 0777, 01777, 02755, 04711, 07777}) {
        char octal[8];
        std::snprintf(octal, sizeof octal, "%04o", mode);
        suite.add_row("chmod.file_to_" + std::string(octal), [mode] {
            make_file("f", "", 0123);
            CHECK_OK(chmod("f", mode));
            CHECK_MODE(mode, mode_of("f"));
            CHECK(S_ISREG(stat_of("f").st_mode));
        });
        suite.add_row("chmod.directory_to_" + std::string(octal), [mode] {
            make_dir("d", 0123);
            CHECK_OK(chmod("d", mode));
            CHECK_MODE(mode, mode_of("d"));
            CHECK(S_ISDIR(stat_of("d").st_mode));
        });
    }
    suite.add("chmod.works_on_nodes_of_each_type", [] {
        CHECK_OK(mkfifo("p", 0600));
        CHECK_OK(mknod("s", S_IFSOCK | 0600, 0));
        CHECK_OK(mknod("c", S_IFCHR | 0600, 0x103));
        for (const char* path : {"p", "s", "c"}) {
            CHECK_OK(chmod(path, 0641));
            CHECK_MODE(0641u, mode_of(path));
        }
    });
    suite.add("chmod.ignores_the_type_bits_of_its_argument", [] {
        make_file("f");
        CHECK_OK(chmod("f", S_IFDIR | 0611));
        CHECK_MODE(0611u, mode_of("f"));
        CHECK(S_ISREG(stat_of("f").st_mode));
    });
    suite.add("chmod.follows_symlinks", [] {
        make_file("f", "", 0644);
        make_symlink("f", "s");
        CHECK_OK(chmod("s", 0600));
        CHECK_MODE(0600u, mode_of("f"));
        CHECK_MODE(0777u, mode_of("s"));
    });
    suite.add("chmod.is_shared_by_hard_links", [] {
        make_file("f", "", 0644);
        CHECK_OK(link("f", "g"));
        CHECK_OK(chmod("g", 0600));
        CHECK_MODE(0600u, mode_of("f"));
    });
}

void add_descriptors(Suite& suite) {
    suite.add("fchmod.works_on_a_read_only_descriptor", [] {
        make_file("f", "", 0644);
        CHECK_OK(fchmod(open_file("f", O_RDONLY), 0600));
        CHECK_MODE(0600u, mode_of("f"));
    });
    suite.add("fchmod.works_on_a_directory", [] {
        make_dir("d", 0755);
        CHECK_OK(fchmod(open_file("d", O_RDONLY), 01770));
        CHECK_MODE(01770u, mode_of("d"));
    });
    suite.add("fchmod.works_on_an_unlinked_file", [] {
        const int fd = make_open("f");
        CHECK_OK(unlink("f"));
        CHECK_OK(fchmod(fd, 0611));
        CHECK_MODE(0611u, mode_of(fd));
    });
    suite.add("fchmod.of_closed_descriptor_gives_EBADF",
              [] { CHECK_FAILS(EBADF, fchmod(bad_descriptor, 0600)); });
    suite.add("fchmodat.of_symlink_itself_gives_EOPNOTSUPP", [] {
        make_file("f", "", 0644);
        make_symlink("f", "s");
        CHECK_FAILS(EOPNOTSUPP, fchmodat(AT_FDCWD, "s", 0600, AT_SYMLINK_NOFOLLOW));
        CHECK_MODE(0644u, mode_of("f"));
    });
    suite.add("fchmodat.nofollow_works_on_a_file", [] {
        make_file("f", "", 0644);
        CHECK_OK(fchmodat(AT_FDCWD, "f", 0600, AT_SYMLINK_NOFOLLOW));
        CHECK_MODE(0600u, mode_of("f"));
    });
    suite.add("fchmodat.unknown_flag_gives_EINVAL", [] {
        make_file("f");
        CHECK_FAILS(EINVAL, fchmodat(AT_FDCWD, "f", 0600, 0x4000'0000));
    });
}

void add_permission(Suite& suite) {
    suite.add("chmod.by_the_owner_works", [] {
        make_file_of("f", alice_id, alice_id, 0644);
        as(alice, [] {
            CHECK_OK(chmod("f", 0));
            CHECK_OK(chmod("f", 0604));
        });
        CHECK_MODE(0604u, mode_of("f"));
    });
    suite.add("chmod.by_another_gives_EPERM", [] {
        make_file_of("f", alice_id, team_id, 0666);
        const int fd = open_file("f", O_RDWR);
        as(bob_in_team, [fd] {
            CHECK_FAILS(EPERM, chmod("f", 0600));
            CHECK_FAILS(EPERM, fchmod(fd, 0600));
        });
        CHECK_MODE(0666u, mode_of("f"));
    });
    suite.add("chmod.of_directory_by_another_gives_EPERM", [] {
        make_dir_of("d", alice_id, alice_id, 0777);
        as(bob, [] { CHECK_FAILS(EPERM, chmod("d", 0700)); });
    });
    suite.add("chmod.owner_outside_the_group_loses_sgid", [] {
        make_file_of("f", alice_id, team_id, 0755);
        as(alice, [] {
            CHECK_OK(chmod("f", 02755));
            CHECK_MODE(0755u, mode_of("f"));
        });
    });
    suite.add("chmod.owner_in_the_group_keeps_sgid", [] {
        make_file_of("f", alice_id, team_id, 0755);
        as(alice_in_team, [] {
            CHECK_OK(chmod("f", 02755));
            CHECK_MODE(02755u, mode_of("f"));
        });
    });
    suite.add("chmod.owner_may_set_suid", [] {
        make_file_of("f", alice_id, alice_id, 0755);
        as(alice, [] {
            CHECK_OK(chmod("f", 04755));
            CHECK_MODE(04755u, mode_of("f"));
        });
    });
    suite.add("chmod.owner_may_set_sticky_on_a_file", [] {
        make_file_of("f", alice_id, alice_id, 0755);
        as(alice, [] {
            CHECK_OK(chmod("f", 01755));
            CHECK_MODE(01755u, mode_of("f"));
        });
    });
    suite.add("chmod.applies_to_later_opens_only", [] {
        make_file_of("f", alice_id, alice_id, 0644, "abc");
        as(alice, [] {
            const int fd = open_file("f", O_RDONLY);
            CHECK_OK(chmod("f", 0));
            CHECK_SAME("abc", content_of(fd));
            CHECK_FAILS(EACCES, open("f", O_RDONLY));
        });
    });
}

void add_umask(Suite& suite) {
    suite.add("umask.gives_back_the_old_one", [] {
        CHECK_SAME(022, umask(0135));
        CHECK_SAME(0135, umask(0));
    });
    suite.add("umask.keeps_only_permission_bits", [] {
        umask(07777);
        CHECK_SAME(0777, umask(0));
    });
    suite.add("umask.masks_each_way_of_creation", [] {
        umask(0135);
        CHECK_OK(open("f", O_CREAT | O_WRONLY, 0777));
        CHECK_OK(mkdir("d", 0777));
        CHECK_OK(mkfifo("p", 0777));
        CHECK_OK(mknod("n", S_IFREG | 0777, 0));
        CHECK_OK(mknod("c", S_IFCHR | 0777, 0x103));
        CHECK_OK(mknod("s", S_IFSOCK | 0777, 0));
        for (const char* path : {"f", "d", "p", "n", "c", "s"}) {
            CHECK_MODE(0642u, mode_of(path));
        }
    });
    suite.add("umask.does_not_touch_chmod", [] {
        umask(077);
        make_file("f", "", 0777);
        CHECK_OK(chmod("f", 0666));
        CHECK_MODE(0666u, mode_of("f"));
    });
}

}  // namespace

void add_mode_cases(Suite& suite) {
    add_bits(suite);
    add_descriptors(suite);
    add_permission(suite);
    add_umask(suite);
}

}  // namespace posix
