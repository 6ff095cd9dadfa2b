// SPDX-License-Identifier: Apache-2.0
// Goal: names are made, moved and removed as the host's file system would, as their caller.
// Method: requests through fuse::FileSystem; the result is looked at from the host's side.
#include "fs/mirror/set_id.hpp"
#include "mirror_fixture.hpp"

#include <filesystem>
#include <linux/fs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace dpfs::mirror {
namespace {

using fuse::NodeId;
using fuse::root_node;

class MirrorNames : public MirrorTest {
  protected:
    void make_set_group_id_directory(const std::string& name, gid_t group) {
        const KeepSetIdBits keep(true);
        std::filesystem::create_directory(host(name));
        EXPECT_EQ(::chown(host(name).c_str(), 0, group), 0);
        EXPECT_EQ(::chmod(host(name).c_str(), 02777), 0);
    }
};
DPFS_ON_ALL_SETTINGS(MirrorNames);

TEST_P(MirrorNames, makes_a_directory_for_its_caller) {
    ::chmod(host().c_str(), 0777);
    guest_->be(1000, 2000);

    const auto made = guest_->mkdir(root_node, "dir", 0750);

    ASSERT_TRUE(made);
    EXPECT_EQ(made->attributes.mode, S_IFDIR | 0750u);
    EXPECT_EQ(made->attributes.uid, 1000u);
    EXPECT_EQ(host_stat("dir").st_uid, 1000u);
    EXPECT_EQ(host_stat("dir").st_gid, 2000u);
}

TEST_P(MirrorNames, applies_the_umask_of_the_request) {
    ASSERT_TRUE(guest_->mkdir(root_node, "dir", 0777, 027));
    ASSERT_TRUE(guest_->create(root_node, "file", O_RDWR, 0666, 077));

    EXPECT_EQ(host_stat("dir").st_mode & 07777, 0750u);
    EXPECT_EQ(host_stat("file").st_mode & 07777, 0600u);
}

TEST_P(MirrorNames, makes_special_files) {
    const auto device = guest_->mknod(root_node, "device", S_IFCHR | 0600, 5 << 8 | 1);
    const auto fifo = guest_->mknod(root_node, "fifo", S_IFIFO | 0644);
    const auto file = guest_->mknod(root_node, "file", S_IFREG | 0600);

    ASSERT_TRUE(device && fifo && file);
    EXPECT_EQ(host_stat("device").st_rdev, makedev(5, 1));
    EXPECT_EQ(device->attributes.rdev, 0x501u);
    EXPECT_TRUE(S_ISFIFO(host_stat("fifo").st_mode));
    EXPECT_TRUE(S_ISREG(host_stat("file").st_mode));
}

TEST_P(MirrorNames, makes_symlinks_of_any_target) {
    const auto made = guest_->symlink(root_node, "link", "../../etc/passwd");

    ASSERT_TRUE(made);
    EXPECT_EQ(guest_->readlink(made->node).value(), "../../etc/passwd");
    EXPECT_EQ(guest_->readlink(root_node).error(), Errno::invalid);
}

TEST_P(MirrorNames, links_a_file_again) {
    host_write("file", "x");
    const NodeId file = guest_->lookup(root_node, "file")->node;

    const auto linked = guest_->link(file, root_node, "second");

    ASSERT_TRUE(linked);
    EXPECT_EQ(linked->node, file);
    EXPECT_EQ(linked->attributes.nlink, 2u);
}

TEST_P(MirrorNames, links_a_symlink_and_not_its_target) {
    host_write("file", "x");
    const NodeId link = guest_->symlink(root_node, "link", "file")->node;

    const auto linked = guest_->link(link, root_node, "second");

    ASSERT_TRUE(linked);
    EXPECT_TRUE(S_ISLNK(host_stat("second").st_mode));
}

TEST_P(MirrorNames, removes_files_and_directories) {
    host_write("file", "");
    std::filesystem::create_directory(host("dir"));

    EXPECT_EQ(guest_->unlink(root_node, "dir").error(), Errno::is_directory);
    EXPECT_EQ(guest_->rmdir(root_node, "file").error(), Errno::not_directory);
    EXPECT_TRUE(guest_->unlink(root_node, "file"));
    EXPECT_TRUE(guest_->rmdir(root_node, "dir"));
    EXPECT_EQ(guest_->unlink(root_node, "file").error(), Errno::no_entry);
    EXPECT_TRUE(std::filesystem::is_empty(host()));
}

TEST_P(MirrorNames, does_not_remove_a_directory_with_something_in_it) {
    std::filesystem::create_directories(host("dir/sub"));

    EXPECT_EQ(guest_->rmdir(root_node, "dir").error(), Errno::not_empty);
}

TEST_P(MirrorNames, renames_across_directories) {
    host_write("file", "data");
    const NodeId dir = guest_->mkdir(root_node, "dir")->node;
    const NodeId file = guest_->lookup(root_node, "file")->node;

    ASSERT_TRUE(guest_->rename(root_node, "file", dir, "moved"));

    EXPECT_EQ(guest_->lookup(dir, "moved")->node, file);
    EXPECT_EQ(guest_->lookup(root_node, "file").error(), Errno::no_entry);
}

TEST_P(MirrorNames, renames_with_each_flag) {
    host_write("a", "a");
    host_write("b", "b");

    EXPECT_EQ(guest_->rename(root_node, "a", root_node, "b", RENAME_NOREPLACE).error(),
              Errno::exists);
    ASSERT_TRUE(guest_->rename(root_node, "a", root_node, "b", RENAME_EXCHANGE));
    EXPECT_EQ(host_read("a"), "b");
    ASSERT_TRUE(guest_->rename(root_node, "a", root_node, "c", RENAME_WHITEOUT));
    EXPECT_TRUE(S_ISCHR(host_stat("a").st_mode));
}

TEST_P(MirrorNames, does_not_move_a_directory_into_itself) {
    const NodeId dir = guest_->mkdir(root_node, "dir")->node;

    EXPECT_EQ(guest_->rename(root_node, "dir", dir, "sub").error(), Errno::invalid);
}

TEST_P(MirrorNames, creates_and_opens_in_one) {
    const auto made = guest_->create(root_node, "file", O_RDWR, 0640);

    ASSERT_TRUE(made);
    EXPECT_EQ(guest_->write(made->entry.node, made->open.handle, 0, "hello").value(), 5u);
    EXPECT_EQ(host_read("file"), "hello");
    EXPECT_EQ(host_stat("file").st_mode & 07777, 0640u);
    EXPECT_TRUE(guest_->release(made->entry.node, made->open.handle));
}

TEST_P(MirrorNames, creates_what_exists_only_without_o_excl) {
    host_write("file", "old");

    const auto refused = guest_->create(root_node, "file", O_RDWR | O_EXCL);
    const auto opened = guest_->create(root_node, "file", O_RDWR);

    EXPECT_EQ(refused.error(), Errno::exists);
    ASSERT_TRUE(opened);
    EXPECT_EQ(guest_->read(opened->entry.node, opened->open.handle, 0, 10).value(), "old");
}

TEST_P(MirrorNames, creates_with_truncation) {
    host_write("file", "old");

    const auto opened = guest_->create(root_node, "file", O_RDWR | O_TRUNC);

    ASSERT_TRUE(opened);
    EXPECT_EQ(host_stat("file").st_size, 0);
}

TEST_P(MirrorNames, makes_a_file_without_a_name_and_names_it_later) {
    const fuse::CreateRequest request = {
        .flags = O_RDWR, .mode = 0600, .umask = 0, .security = {}};

    const auto made = guest_->run(fs().tmpfile(guest_->context, root_node, request));

    ASSERT_TRUE(made);
    EXPECT_EQ(made->entry.attributes.nlink, 0u);
    ASSERT_TRUE(guest_->write(made->entry.node, made->open.handle, 0, "data"));
    ASSERT_TRUE(guest_->link(made->entry.node, root_node, "named"));
    EXPECT_EQ(host_read("named"), "data");
}

TEST_P(MirrorNames, lets_a_set_group_id_directory_pass_on_its_group) {
    make_set_group_id_directory("dir", 3000);
    const NodeId dir = guest_->lookup(root_node, "dir")->node;
    guest_->be(1000, 1000);

    ASSERT_TRUE(guest_->create(dir, "file", O_RDWR, 0644));
    ASSERT_TRUE(guest_->mkdir(dir, "sub", 0755));

    EXPECT_EQ(host_stat("dir/file").st_gid, 3000u);
    EXPECT_EQ(host_stat("dir/sub").st_mode & 07777, 02755u);
}

TEST_P(MirrorNames, keeps_a_new_files_set_group_id_bit_for_members_only) {
    make_set_group_id_directory("dir", 3000);
    const NodeId dir = guest_->lookup(root_node, "dir")->node;

    guest_->be(1000, 1000);
    ASSERT_TRUE(guest_->create(dir, "stranger", O_RDWR, 02755));
    guest_->be(1000, 1000, {3000});
    ASSERT_TRUE(guest_->create(dir, "member", O_RDWR, 02755));

    EXPECT_EQ(host_stat("dir/stranger").st_mode & 07777, 0755u);
    EXPECT_EQ(host_stat("dir/member").st_mode & 07777, 02755u);
}

TEST_P(MirrorNames, changes_nothing_when_read_only) {
    host_write("file", "data");
    serve({.read_only = true});
    const NodeId file = guest_->lookup(root_node, "file")->node;
    fuse::SetAttributes change;
    change.mode = 0600;

    EXPECT_EQ(guest_->mkdir(root_node, "dir").error(), Errno::read_only);
    EXPECT_EQ(guest_->create(root_node, "new").error(), Errno::read_only);
    EXPECT_EQ(guest_->unlink(root_node, "file").error(), Errno::read_only);
    EXPECT_EQ(guest_->rename(root_node, "file", root_node, "b").error(), Errno::read_only);
    EXPECT_EQ(guest_->setattr(file, change).error(), Errno::read_only);
    EXPECT_EQ(guest_->setxattr(file, "user.a", "b").error(), Errno::read_only);
    EXPECT_EQ(guest_->open(file, O_RDWR).error(), Errno::read_only);
    EXPECT_EQ(guest_->open(file, O_RDONLY | O_TRUNC).error(), Errno::read_only);
    EXPECT_TRUE(guest_->open(file, O_RDONLY));
}

TEST_P(MirrorNames, maps_ids_both_ways) {
    serve({.uid_map = {{.guest = 0, .host = 100000, .count = 1000}},
           .gid_map = {{.guest = 0, .host = 200000, .count = 1000}}});
    ::chmod(host().c_str(), 0777);
    guest_->be(7, 8);

    const auto made = guest_->mkdir(root_node, "dir");

    ASSERT_TRUE(made);
    EXPECT_EQ(host_stat("dir").st_uid, 100007u);
    EXPECT_EQ(host_stat("dir").st_gid, 200008u);
    EXPECT_EQ(made->attributes.uid, 7u);
    EXPECT_EQ(guest_->getattr(root_node)->uid, ids::IdMap::overflow_id);
    guest_->be(5000, 8);
    EXPECT_EQ(guest_->mkdir(root_node, "no").error(), Errno::overflow);
    EXPECT_TRUE(guest_->rename(root_node, "dir", root_node, "renamed"));
    fuse::SetAttributes change;
    change.uid = 5000;
    EXPECT_EQ(guest_->setattr(made->node, change).error(), Errno::invalid);
    change.uid = 9;
    ASSERT_TRUE(guest_->setattr(made->node, change));
    EXPECT_EQ(host_stat("renamed").st_uid, 100009u);
}

}  // namespace
}  // namespace dpfs::mirror
