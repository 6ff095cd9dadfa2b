// SPDX-License-Identifier: Apache-2.0

// stat(2) in all its forms, and statx(2).

#include "cases.hpp"

#include <sys/sysmacros.h>

namespace posix {
namespace {

struct statx statx_of(int dir, const char* path, int flags, unsigned mask) {
    struct statx sx = {};
    if (statx(dir, path, flags, mask, &sx) != 0) fail("statx: " + errno_name(errno));
    return sx;
}

void add_types(Suite& suite) {
    struct Row {
        const char* name;
        mode_t type;
        void (*make)();
    };
    static constexpr Row rows[] = {
        {"file", S_IFREG, [] { make_file("x"); }},
        {"directory", S_IFDIR, [] { make_dir("x"); }},
        {"symlink", S_IFLNK, [] { make_symlink("target", "x"); }},
        {"fifo", S_IFIFO, [] { CHECK_OK(mkfifo("x", 0600)); }},
        {"socket", S_IFSOCK, [] { CHECK_OK(mknod("x", S_IFSOCK | 0600, 0)); }},
        {"char_device", S_IFCHR, [] { CHECK_OK(mknod("x", S_IFCHR | 0600, makedev(1, 3))); }},
        {"block_device", S_IFBLK, [] { CHECK_OK(mknod("x", S_IFBLK | 0600, makedev(7, 0))); }},
    };
    for (const Row& row : rows) {
        suite.add_row("stat.type_of_" + std::string(row.name), [row] {
            row.make();
            CHECK_MODE(row.type, lstat_of("x").st_mode & S_IFMT);
            const int fd = open_file("x", O_PATH | O_NOFOLLOW);
            CHECK_MODE(row.type, fstat_of(fd).st_mode & S_IFMT);
            const auto sx = statx_of(AT_FDCWD, "x", AT_SYMLINK_NOFOLLOW, STATX_TYPE);
            CHECK_MODE(row.type, sx.stx_mode & static_cast<unsigned>(S_IFMT));
        });
    }
}

void add_fields(Suite& suite) {
    suite.add("stat.follows_symlinks_and_lstat_does_not", [] {
        make_file("f", "abc");
        make_symlink("f", "link_of_13");
        CHECK(S_ISREG(stat_of("link_of_13").st_mode));
        CHECK_SAME(3, stat_of("link_of_13").st_size);
        CHECK(S_ISLNK(lstat_of("link_of_13").st_mode));
        CHECK_SAME(1, lstat_of("link_of_13").st_size);
    });
    suite.add("stat.symlink_has_mode_0777", [] {
        umask(077);
        make_symlink("f", "s");
        CHECK_MODE(0777u, mode_of("s"));
    });
    suite.add("stat.of_dangling_symlink_gives_ENOENT", [] {
        make_symlink("missing", "s");
        struct stat st = {};
        CHECK_FAILS(ENOENT, stat("s", &st));
        CHECK_OK(lstat("s", &st));
    });
    suite.add("stat.all_forms_agree", [] {
        make_file("f", "abc");
        const auto a = stat_of("f");
        const auto b = lstat_of("f");
        const auto c = fstat_of(open_file("f", O_RDONLY));
        CHECK(a.st_ino == b.st_ino && b.st_ino == c.st_ino);
        CHECK(a.st_dev == b.st_dev && b.st_dev == c.st_dev);
        CHECK(a.st_mtim == b.st_mtim && b.st_mtim == c.st_mtim);
        CHECK(a.st_ctim == b.st_ctim && b.st_ctim == c.st_ctim);
        CHECK(a.st_blocks == b.st_blocks && b.st_blocks == c.st_blocks);
    });
    suite.add("stat.files_have_inodes_of_their_own", [] {
        make_file("f");
        make_file("g");
        make_dir("d");
        CHECK(stat_of("f").st_ino != stat_of("g").st_ino);
        CHECK(stat_of("f").st_ino != stat_of("d").st_ino);
        CHECK(stat_of("f").st_dev == stat_of("d").st_dev);
    });
    suite.add("stat.inode_survives_rename_and_reopening", [] {
        make_file("f");
        const auto before = stat_of("f").st_ino;
        CHECK_OK(rename("f", "g"));
        CHECK(before == stat_of("g").st_ino);
        CHECK(before == fstat_of(open_file("g", O_RDONLY)).st_ino);
    });
}

void add_sizes(Suite& suite) {
    suite.add("stat.blocks_count_what_is_written", [] {
        const int fd = make_open("f", pattern(1 << 20));
        CHECK_OK(fsync(fd));
        CHECK(stat_of("f").st_blocks >= (1 << 20) / 512);
        const int sparse = make_open("g");
        CHECK_OK(ftruncate(sparse, 1 << 20));
        CHECK(stat_of("g").st_blocks < (1 << 20) / 512);
    });
    suite.add("stat.block_size_is_a_power_of_two", [] {
        make_file("f");
        const auto size = stat_of("f").st_blksize;
        CHECK(size >= 512);
        CHECK((size & (size - 1)) == 0);
    });
    suite.add("stat.size_grows_at_once_for_all_descriptors", [] {
        const int one = make_open("f");
        const int two = open_file("f", O_RDONLY);
        for (int size = 1; size <= 20; ++size) {
            CHECK_RETURNS(1, write(one, "x", 1));
            CHECK_SAME(size, fstat_of(two).st_size);
            CHECK_SAME(size, stat_of("f").st_size);
        }
    });
    suite.add("stat.needs_no_permission_on_the_file", [] {
        make_file("f", "abc", 0);
        as(alice, [] { CHECK_SAME(3, stat_of("f").st_size); });
    });
    suite.add("stat.of_unlinked_file_has_no_links", [] {
        const int fd = make_open("f", "abc");
        CHECK_OK(unlink("f"));
        CHECK_SAME(0, fstat_of(fd).st_nlink);
        CHECK_SAME(3, fstat_of(fd).st_size);
    });
    suite.add("stat.into_bad_address_gives_EFAULT", [] {
        make_file("f");
        auto* st = reinterpret_cast<struct stat*>(bad_address());
        CHECK_FAILS(EFAULT, stat("f", st));
        CHECK_FAILS(EFAULT, fstat(open_file("f", O_RDONLY), st));
    });
    suite.add("fstat.of_closed_descriptor_gives_EBADF", [] {
        struct stat st = {};
        CHECK_FAILS(EBADF, fstat(bad_descriptor, &st));
    });
}

void add_fstatat(Suite& suite) {
    suite.add("fstatat.nofollow_is_lstat", [] {
        make_file("f");
        make_symlink("f", "s");
        struct stat st = {};
        CHECK_OK(fstatat(AT_FDCWD, "s", &st, AT_SYMLINK_NOFOLLOW));
        CHECK(S_ISLNK(st.st_mode));
        CHECK_OK(fstatat(AT_FDCWD, "s", &st, 0));
        CHECK(S_ISREG(st.st_mode));
    });
    suite.add("fstatat.empty_path_is_the_descriptor_itself", [] {
        make_file("f", "abc");
        struct stat st = {};
        CHECK_OK(fstatat(open_file("f", O_RDONLY), "", &st, AT_EMPTY_PATH));
        CHECK_SAME(3, st.st_size);
        CHECK_OK(fstatat(AT_FDCWD, "", &st, AT_EMPTY_PATH));
        CHECK(S_ISDIR(st.st_mode));
    });
    suite.add("fstatat.empty_path_without_the_flag_gives_ENOENT", [] {
        struct stat st = {};
        CHECK_FAILS(ENOENT, fstatat(make_open("f"), "", &st, 0));
    });
    suite.add("fstatat.unknown_flag_gives_EINVAL", [] {
        make_file("f");
        struct stat st = {};
        CHECK_FAILS(EINVAL, fstatat(AT_FDCWD, "f", &st, 0x4000'0000));
    });
}

void add_statx(Suite& suite) {
    suite.add("statx.agrees_with_stat", [] {
        make_file_of("f", alice_id, bob_id, 04751, "abc");
        const auto st = stat_of("f");
        const auto sx = statx_of(AT_FDCWD, "f", 0, STATX_BASIC_STATS);
        CHECK_SAME(STATX_BASIC_STATS, sx.stx_mask & STATX_BASIC_STATS);
        CHECK_SAME(3, sx.stx_size);
        CHECK_SAME(alice_id, sx.stx_uid);
        CHECK_SAME(bob_id, sx.stx_gid);
        CHECK_MODE(st.st_mode, sx.stx_mode);
        CHECK(st.st_ino == sx.stx_ino);
        CHECK_SAME(1, sx.stx_nlink);
        CHECK(st.st_blocks == static_cast<blkcnt_t>(sx.stx_blocks));
        CHECK(st.st_mtim.tv_sec == sx.stx_mtime.tv_sec);
        CHECK(st.st_mtim.tv_nsec == sx.stx_mtime.tv_nsec);
        CHECK(st.st_dev == makedev(sx.stx_dev_major, sx.stx_dev_minor));
    });
    suite.add("statx.empty_path_is_the_descriptor_itself", [] {
        CHECK_SAME(3, statx_of(make_open("f", "abc"), "", AT_EMPTY_PATH, STATX_SIZE).stx_size);
    });
    suite.add("statx.sync_flags_are_accepted", [] {
        make_file("f", "abc");
        CHECK_SAME(3, statx_of(AT_FDCWD, "f", AT_STATX_FORCE_SYNC, STATX_SIZE).stx_size);
        CHECK_SAME(3, statx_of(AT_FDCWD, "f", AT_STATX_DONT_SYNC, STATX_SIZE).stx_size);
    });
    suite.add("statx.both_sync_flags_give_EINVAL", [] {
        make_file("f");
        struct statx sx = {};
        constexpr int both = AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC;
        CHECK_FAILS(EINVAL, statx(AT_FDCWD, "f", both, STATX_SIZE, &sx));
    });
    suite.add("statx.reserved_mask_bit_gives_EINVAL", [] {
        make_file("f");
        struct statx sx = {};
        CHECK_FAILS(EINVAL, statx(AT_FDCWD, "f", 0, STATX__RESERVED, &sx));
    });
    suite.add("statx.unknown_flag_gives_EINVAL", [] {
        make_file("f");
        struct statx sx = {};
        CHECK_FAILS(EINVAL, statx(AT_FDCWD, "f", 0x4000'0000, STATX_SIZE, &sx));
    });
    suite.add("statx.birth_time_stays_when_the_file_changes", [] {
        make_file("f", "abc");
        const auto before = statx_of(AT_FDCWD, "f", 0, STATX_BTIME);
        // A file system without birth times says so in the mask.
        if ((before.stx_mask & STATX_BTIME) == 0) skip("no STATX_BTIME in the mask");
        let_clock_tick();
        make_old("f");
        write_at(open_file("f", O_WRONLY), 0, "abcd");
        const auto after = statx_of(AT_FDCWD, "f", 0, STATX_BTIME);
        CHECK(before.stx_btime.tv_sec == after.stx_btime.tv_sec);
        CHECK(before.stx_btime.tv_nsec == after.stx_btime.tv_nsec);
    });
    suite.add("statx.device_numbers_of_a_node", [] {
        CHECK_OK(mknod("c", S_IFCHR | 0600, makedev(0xabc, 0xdef12)));
        const auto sx = statx_of(AT_FDCWD, "c", 0, STATX_BASIC_STATS);
        CHECK_SAME(0xabc, sx.stx_rdev_major);
        CHECK_SAME(0xdef12, sx.stx_rdev_minor);
    });
    suite.add("statx.mount_root_flag_is_not_set_inside", [] {
        make_dir("d");
        const auto sx = statx_of(AT_FDCWD, "d", 0, STATX_BASIC_STATS);
        CHECK_SAME(0, sx.stx_attributes & STATX_ATTR_MOUNT_ROOT);
    });
}

}  // namespace

void add_stat_cases(Suite& suite) {
    add_types(suite);
    add_fields(suite);
    add_sizes(suite);
    add_fstatat(suite);
    add_statx(suite);
}

}  // namespace posix
