// SPDX-License-Identifier: Apache-2.0

// statfs(2), statvfs(3), pathconf(3): what must hold whatever the numbers are.

#include "cases.hpp"

#include <cstring>
#include <sys/statfs.h>
#include <sys/statvfs.h>

namespace posix {
namespace {

struct statfs statfs_of(const char* path) {
    struct statfs fs = {};
    CHECK_OK(statfs(path, &fs));
    return fs;
}

void add_statfs(Suite& suite) {
    suite.add("statfs.block_counts_are_in_order", [] {
        const auto fs = statfs_of(".");
        CHECK(fs.f_bsize > 0);
        CHECK(fs.f_blocks > 0);
        CHECK(fs.f_bfree <= fs.f_blocks);
        CHECK(fs.f_bavail <= fs.f_bfree);
        CHECK(fs.f_ffree <= fs.f_files);
    });
    suite.add("statfs.names_may_have_255_bytes",
              [] { CHECK_SAME(255, statfs_of(".").f_namelen); });
    suite.add("statfs.is_the_same_for_all_of_the_mount", [] {
        make_dir("d");
        make_file("d/f");
        make_symlink("d", "s");
        const auto here = statfs_of(".");
        for (const char* path : {"d", "d/f", "s"}) {
            const auto there = statfs_of(path);
            CHECK(here.f_type == there.f_type);
            CHECK(here.f_bsize == there.f_bsize);
            CHECK(std::memcmp(&here.f_fsid, &there.f_fsid, sizeof here.f_fsid) == 0);
        }
    });
    suite.add("statfs.by_descriptor_is_the_same", [] {
        struct statfs fs = {};
        CHECK_OK(fstatfs(make_open("f"), &fs));
        CHECK(fs.f_type == statfs_of("f").f_type);
        CHECK(fs.f_blocks == statfs_of("f").f_blocks);
    });
    suite.add("statfs.by_path_descriptor_works", [] {
        make_file("f");
        struct statfs fs = {};
        CHECK_OK(fstatfs(open_file("f", O_PATH), &fs));
        CHECK(fs.f_type == statfs_of("f").f_type);
    });
    suite.add("statfs.of_unlinked_file_works", [] {
        const int fd = make_open("f");
        CHECK_OK(unlink("f"));
        struct statfs fs = {};
        CHECK_OK(fstatfs(fd, &fs));
    });
    suite.add("statfs.of_closed_descriptor_gives_EBADF", [] {
        struct statfs fs = {};
        CHECK_FAILS(EBADF, fstatfs(bad_descriptor, &fs));
    });
    suite.add("statfs.into_bad_address_gives_EFAULT", [] {
        CHECK_FAILS(EFAULT, statfs(".", reinterpret_cast<struct statfs*>(bad_address())));
    });
    suite.add("statfs.by_another_user_works",
              [] { as(alice, [] { CHECK(statfs_of(".").f_blocks > 0); }); });
}

void add_statvfs(Suite& suite) {
    suite.add("statvfs.is_not_read_only", [] {
        struct statvfs fs = {};
        CHECK_OK(statvfs(".", &fs));
        CHECK_SAME(0, fs.f_flag & ST_RDONLY);
        CHECK_SAME(255, fs.f_namemax);
        CHECK(fs.f_frsize > 0);
    });
    suite.add("statvfs.free_blocks_drop_when_a_file_is_written", [] {
        // Others may free space meanwhile, so the file is large and has three tries.
        constexpr std::size_t size = 32 << 20;
        bool dropped = false;
        for (int attempt = 0; attempt < 3 && !dropped; ++attempt) {
            CHECK_OK(syncfs(open_file(".", O_RDONLY)));
            struct statvfs before = {};
            CHECK_OK(statvfs(".", &before));
            const int fd = make_open("f", std::string(size, 'x'));
            CHECK_OK(fsync(fd));
            struct statvfs after = {};
            CHECK_OK(statvfs(".", &after));
            dropped = after.f_bfree + size / 2 / before.f_frsize < before.f_bfree;
            CHECK_OK(close(fd));
            CHECK_OK(unlink("f"));
        }
        CHECK(dropped);
    });
    suite.add("pathconf.gives_the_limits", [] {
        CHECK_RETURNS(255, pathconf(".", _PC_NAME_MAX));
        CHECK_RETURNS(4096, pathconf(".", _PC_PATH_MAX));
        CHECK(pathconf(".", _PC_LINK_MAX) >= 8);
        CHECK_RETURNS(1, pathconf(".", _PC_NO_TRUNC));
        CHECK_RETURNS(1, pathconf(".", _PC_CHOWN_RESTRICTED));
        CHECK(pathconf(".", _PC_FILESIZEBITS) >= 32);
    });
}

}  // namespace

void add_statfs_cases(Suite& suite) {
    add_statfs(suite);
    add_statvfs(suite);
}

}  // namespace posix
