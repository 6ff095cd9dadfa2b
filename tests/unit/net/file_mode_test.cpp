// SPDX-License-Identifier: Apache-2.0
// What a file is, as the server says it and as the tenant's kernel does.
#include "fs/nfs/file_mode.hpp"

#include <gtest/gtest.h>

#include <dirent.h>
#include <sys/stat.h>

namespace dpfs::nfs {
namespace {

using nfs4::FileType;

TEST(FileMode, a_type_is_the_same_in_a_mode_and_in_a_listing) {
    EXPECT_EQ(type_bits_of(FileType::regular), unsigned{S_IFREG});
    EXPECT_EQ(type_bits_of(FileType::directory), unsigned{S_IFDIR});
    EXPECT_EQ(type_bits_of(FileType::link), unsigned{S_IFLNK});
    EXPECT_EQ(dirent_type_of(FileType::regular), unsigned{DT_REG});
    EXPECT_EQ(dirent_type_of(FileType::directory), unsigned{DT_DIR});
    EXPECT_EQ(dirent_type_of(FileType::block), unsigned{DT_BLK});
    EXPECT_EQ(dirent_type_of(FileType::character), unsigned{DT_CHR});
    EXPECT_EQ(dirent_type_of(FileType::link), unsigned{DT_LNK});
    EXPECT_EQ(dirent_type_of(FileType::socket), unsigned{DT_SOCK});
    EXPECT_EQ(dirent_type_of(FileType::fifo), unsigned{DT_FIFO});
}

TEST(FileMode, mknod_makes_no_directories_and_no_links) {
    EXPECT_EQ(made_type_of(0644).value(), FileType::regular);
    EXPECT_EQ(made_type_of(S_IFSOCK | 0600).value(), FileType::socket);
    EXPECT_EQ(made_type_of(S_IFDIR | 0755).error(), Errno::invalid);
    EXPECT_EQ(made_type_of(S_IFLNK | 0777).error(), Errno::invalid);
}

TEST(FileMode, set_group_id_without_the_right_to_execute_is_not_taken_away) {
    EXPECT_EQ(set_id_bits(06755), 06000U);
    EXPECT_EQ(set_id_bits(06745), 04000U);
    EXPECT_EQ(set_id_bits(0777), 0U);
}

TEST(FileMode, device_numbers_are_the_kernels_new_encoding) {
    // include/linux/kdev_t.h, new_encode_dev: (minor & 0xff) | major << 8 | (minor & ~0xff) <<
    // 12
    EXPECT_EQ(encode({.major = 8, .minor = 1}), 0x801U);
    EXPECT_EQ(encode({.major = 0xfff, .minor = 0xfffff}), 0xffffffffU);
    const DeviceNumber device = decode_device(encode({.major = 259, .minor = 0x12345}));
    EXPECT_EQ(device.major, 259U);
    EXPECT_EQ(device.minor, 0x12345U);
}

}  // namespace
}  // namespace dpfs::nfs
