// SPDX-License-Identifier: Apache-2.0

// When set-user-id and set-group-id bits are lost, and how set-group-id directories work.

#include "cases.hpp"

#include <linux/falloc.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

namespace posix {
namespace {

/// What alice does to a file that she may write but that is not hers.
struct Change {
    const char* name;
    void (*change)();
};

constexpr Change changes[] = {
    {"write", [] { CHECK_RETURNS(1, write(open_file("f", O_WRONLY), "x", 1)); }},
    {"pwrite", [] { CHECK_RETURNS(1, pwrite(open_file("f", O_WRONLY), "x", 1, 50)); }},
    {"append", [] { CHECK_RETURNS(1, write(open_file("f", O_WRONLY | O_APPEND), "x", 1)); }},
    {"truncate", [] { CHECK_OK(truncate("f", 1)); }},
    {"truncate_to_same_size", [] { CHECK_OK(truncate("f", 3)); }},
    {"ftruncate", [] { CHECK_OK(ftruncate(open_file("f", O_WRONLY), 1)); }},
    {"open_with_truncate", [] { open_file("f", O_WRONLY | O_TRUNC); }},
    {"fallocate",
     [] {
         CHECK_NEEDS(either(EOPNOTSUPP, ENOSYS),
                     fallocate(open_file("f", O_WRONLY), 0, 0, 10'000));
     }},
    {"copy_file_range",
     [] {
         const int in = open_file("source", O_RDONLY);
         CHECK_RETURNS(3,
                       copy_file_range(in, nullptr, open_file("f", O_WRONLY), nullptr, 3, 0));
     }},
    {"sendfile",
     [] {
         const int in = open_file("source", O_RDONLY);
         CHECK_RETURNS(3, sendfile(open_file("f", O_WRONLY), in, nullptr, 3));
     }},
    {"splice",
     [] {
         const Pipe pipe = make_pipe();
         CHECK_RETURNS(3, write(pipe.write_end, "abc", 3));
         CHECK_RETURNS(3,
                       splice(pipe.read_end, nullptr, open_file("f", O_WRONLY), nullptr, 3, 0));
     }},
};

void add_writing(Suite& suite) {
    for (const Change& row : changes) {
        suite.add_row("setid." + std::string(row.name) + "_by_user_clears_both", [row] {
            make_file("source", "xyz");
            make_file("f", "abc", 06777);
            as(alice, row.change);
            CHECK_MODE(0777u, mode_of("f"));
        });
        suite.add_row("setid." + std::string(row.name) + "_by_root_keeps_both", [row] {
            make_file("source", "xyz");
            make_file("f", "abc", 06777);
            row.change();
            CHECK_MODE(06777u, mode_of("f"));
        });
    }
    suite.add("setid.write_keeps_sticky_bit", [] {
        make_file("f", "abc", 07777);
        as(alice, [] { CHECK_RETURNS(1, write(open_file("f", O_WRONLY), "x", 1)); });
        CHECK_MODE(01777u, mode_of("f"));
    });
    suite.add("setid.write_of_own_file_clears_suid_too", [] {
        make_file_of("f", alice_id, alice_id, 04755);
        as(alice, [] { CHECK_RETURNS(1, write(open_file("f", O_WRONLY), "x", 1)); });
        CHECK_MODE(0755u, mode_of("f"));
    });
    suite.add("setid.reading_clears_nothing", [] {
        make_file("f", "abc", 06777);
        as(alice, [] { CHECK_SAME("abc", content_of("f")); });
        CHECK_MODE(06777u, mode_of("f"));
    });
    suite.add("setid.opening_for_writing_clears_nothing", [] {
        make_file("f", "abc", 06777);
        as(alice, [] { open_file("f", O_RDWR); });
        CHECK_MODE(06777u, mode_of("f"));
    });
    suite.add("setid.second_write_finds_the_mode_as_it_is", [] {
        // The bits come back by chmod and must go again: nobody may remember they are gone.
        make_file("f", "abc", 06777);
        const int fd = open_file("f", O_RDWR);
        as(alice, [fd] { CHECK_RETURNS(1, write(fd, "x", 1)); });
        CHECK_MODE(0777u, mode_of("f"));
        CHECK_OK(chmod("f", 06777));
        as(alice, [fd] { CHECK_RETURNS(1, write(fd, "x", 1)); });
        CHECK_MODE(0777u, mode_of("f"));
    });
}

void add_chown(Suite& suite) {
    suite.add("setid.chown_by_user_clears_both", [] {
        make_file_of("f", alice_id, alice_id, 06755);
        as(alice_in_team, [] { CHECK_OK(chown("f", static_cast<uid_t>(-1), team_id)); });
        CHECK_MODE(0755u, mode_of("f"));
    });
    suite.add("setid.chown_by_root_clears_both_on_an_executable", [] {
        make_file("f", "", 06755);
        CHECK_OK(chown("f", alice_id, alice_id));
        CHECK_MODE(0755u, mode_of("f"));
    });
    suite.add("setid.chown_keeps_sgid_without_group_execute", [] {
        make_file("f", "", 02745);
        CHECK_OK(chown("f", alice_id, alice_id));
        CHECK_MODE(02745u, mode_of("f"));
    });
    suite.add("setid.chown_keeps_bits_of_a_directory", [] {
        make_dir("d", 06755);
        CHECK_OK(chown("d", alice_id, alice_id));
        CHECK_MODE(06755u, mode_of("d"));
    });
    suite.add("setid.fchown_clears_both", [] {
        make_file("f", "", 06755);
        CHECK_OK(fchown(open_file("f", O_RDONLY), alice_id, alice_id));
        CHECK_MODE(0755u, mode_of("f"));
    });
}

void add_directories(Suite& suite) {
    suite.add("setid.sgid_directory_gives_its_group_to_new_files", [] {
        make_dir_of("d", 0, team_id, 02777);
        as(alice, [] {
            CHECK_OK(open("d/f", O_CREAT | O_WRONLY, 0644));
            CHECK_OK(mkfifo("d/p", 0600));
            CHECK_OK(symlink("x", "d/s"));
        });
        for (const char* path : {"d/f", "d/p", "d/s"}) {
            CHECK_SAME(team_id, lstat_of(path).st_gid);
            CHECK_SAME(alice_id, lstat_of(path).st_uid);
        }
        CHECK_MODE(0644u, mode_of("d/f"));
    });
    suite.add("setid.sgid_directory_hands_group_and_bit_to_new_directories", [] {
        make_dir_of("d", 0, team_id, 02777);
        as(alice, [] { CHECK_OK(mkdir("d/e", 0755)); });
        CHECK_SAME(team_id, stat_of("d/e").st_gid);
        CHECK_MODE(02755u, mode_of("d/e"));
    });
    suite.add("setid.plain_directory_gives_the_callers_group", [] {
        make_dir_of("d", 0, team_id, 0777);
        as(alice, [] { CHECK_OK(mkdir("d/e", 0755)); });
        CHECK_SAME(alice_id, stat_of("d/e").st_gid);
        CHECK_MODE(0755u, mode_of("d/e"));
    });
    suite.add("setid.sgid_file_by_non_member_in_sgid_directory_loses_the_bit", [] {
        make_dir_of("d", 0, team_id, 02777);
        as(alice, [] { CHECK_OK(open("d/f", O_CREAT | O_WRONLY, 02755)); });
        CHECK_MODE(0755u, mode_of("d/f"));
    });
    suite.add("setid.sgid_file_by_member_in_sgid_directory_keeps_the_bit", [] {
        make_dir_of("d", 0, team_id, 02777);
        as(alice_in_team, [] { CHECK_OK(open("d/f", O_CREAT | O_WRONLY, 02755)); });
        CHECK_MODE(02755u, mode_of("d/f"));
    });
    suite.add("setid.link_and_rename_into_sgid_directory_keep_the_group", [] {
        make_dir_of("d", 0, team_id, 02777);
        make_file("f");
        CHECK_OK(link("f", "d/f"));
        CHECK_OK(rename("f", "d/g"));
        CHECK_SAME(0, stat_of("d/f").st_gid);
        CHECK_SAME(0, stat_of("d/g").st_gid);
    });
    suite.add("setid.mkdir_mode_does_not_set_sgid_bit", [] {
        umask(0);
        CHECK_OK(mkdir("d", 03777));
        CHECK_MODE(01777u, mode_of("d"));
    });
    suite.add("setid.sgid_directory_gives_its_group_to_unnamed_files", [] {
        make_dir_of("d", 0, team_id, 02777);
        as(alice, [] {
            const int fd =
                CHECK_NEEDS(either(EOPNOTSUPP, EISDIR), open("d", O_TMPFILE | O_RDWR, 0600));
            CHECK_SAME(team_id, fstat_of(fd).st_gid);
        });
    });
}

}  // namespace

void add_set_id_cases(Suite& suite) {
    add_writing(suite);
    add_chown(suite);
    add_directories(suite);
}

}  // namespace posix
