// SPDX-License-Identifier: Apache-2.0
// Goal: attributes read and change as the host's file system has them; set-id bits go exactly
// when Linux lets them go.
// Method: requests through fuse::FileSystem; the result is looked at from the host's side.
#include "mirror_fixture.hpp"

#include <fcntl.h>
#include <filesystem>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace dpfs::mirror {
namespace {

using fuse::NodeId;
using fuse::root_node;

class MirrorAttributes : public MirrorTest {
  protected:
    NodeId file(const std::string& name, std::string_view text, mode_t mode) {
        host_write(name, text, mode);
        // The fixture's thread has no CAP_FSETID, but root owns the file.
        EXPECT_EQ(host_stat(name).st_mode & 07777, mode);
        return guest_->lookup(root_node, name)->node;
    }
    mode_t mode_of(const std::string& name) { return host_stat(name).st_mode & 07777; }
};
DPFS_ON_ALL_SETTINGS(MirrorAttributes);

TEST_P(MirrorAttributes, changes_the_mode) {
    const NodeId node = file("file", "", 0644);
    fuse::SetAttributes change;
    change.mode = 0600;

    const auto changed = guest_->setattr(node, change);

    ASSERT_TRUE(changed);
    EXPECT_EQ(changed->mode, S_IFREG | 0600u);
    EXPECT_EQ(mode_of("file"), 0600u);
}

TEST_P(MirrorAttributes, sets_a_set_group_id_bit_for_a_group_that_the_request_does_not_name) {
    // The caller is in group 3000 in the tenant, whose kernel has checked that.
    const NodeId node = file("file", "", 0644);
    ASSERT_EQ(::chown(host("file").c_str(), 1000, 3000), 0);
    guest_->be(1000, 1000);
    fuse::SetAttributes change;
    change.mode = 02755;

    ASSERT_TRUE(guest_->setattr(node, change));

    EXPECT_EQ(mode_of("file"), 02755u);
}

TEST_P(MirrorAttributes, changes_the_owner_and_clears_set_id_bits) {
    const NodeId node = file("file", "", 06755);
    fuse::SetAttributes change;
    change.uid = 1000;
    change.gid = 2000;

    ASSERT_TRUE(guest_->setattr(node, change));

    EXPECT_EQ(host_stat("file").st_uid, 1000u);
    EXPECT_EQ(host_stat("file").st_gid, 2000u);
    EXPECT_EQ(mode_of("file"), 0755u);
}

TEST_P(MirrorAttributes, changes_owner_and_mode_in_one) {
    const NodeId node = file("file", "", 0644);
    fuse::SetAttributes change;
    change.uid = 1000;
    change.mode = 04755;

    ASSERT_TRUE(guest_->setattr(node, change));

    EXPECT_EQ(mode_of("file"), 04755u);
}

TEST_P(MirrorAttributes, changes_the_owner_of_a_symlink_itself) {
    file("file", "", 0644);
    const NodeId link = guest_->symlink(root_node, "link", "file")->node;
    fuse::SetAttributes change;
    change.uid = 1000;

    ASSERT_TRUE(guest_->setattr(link, change));

    EXPECT_EQ(host_stat("link").st_uid, 1000u);
    EXPECT_EQ(host_stat("file").st_uid, 0u);
}

TEST_P(MirrorAttributes, changes_the_size_by_node_and_by_handle) {
    const NodeId node = file("file", "0123456789", 0644);
    fuse::SetAttributes change;
    change.size = 4;
    ASSERT_TRUE(guest_->setattr(node, change));
    EXPECT_EQ(host_read("file"), "0123");

    change.handle = guest_->open(node, O_RDWR).value();
    change.size = 6;
    const auto changed = guest_->setattr(node, change);

    ASSERT_TRUE(changed);
    EXPECT_EQ(changed->size, 6u);
    EXPECT_EQ(host_read("file"), std::string("0123\0\0", 6));
}

TEST_P(MirrorAttributes, says_why_a_size_cannot_be) {
    const NodeId node = file("file", "", 0644);
    const NodeId dir = guest_->mkdir(root_node, "dir")->node;
    fuse::SetAttributes change;
    change.size = ~std::uint64_t{0};
    EXPECT_EQ(guest_->setattr(node, change).error(), Errno::invalid);
    change.size = std::uint64_t{1} << 62;  // more than ext4 and tmpfs can have
    const auto too_big = guest_->setattr(node, change);
    EXPECT_TRUE(on_tmpfs() || too_big.error() == Errno::file_too_big);
    change.size = 0;
    EXPECT_EQ(guest_->setattr(dir, change).error(), Errno::is_directory);
}

TEST_P(MirrorAttributes, changes_times_to_the_nanosecond_and_to_now) {
    const NodeId node = file("file", "", 0644);
    fuse::SetAttributes change;
    change.atime = {.now = false, .seconds = 1'000'000, .nanoseconds = 123'456'789};
    change.mtime = {.now = true, .seconds = 0, .nanoseconds = 0};

    const auto changed = guest_->setattr(node, change);

    ASSERT_TRUE(changed);
    EXPECT_EQ(changed->atime, 1'000'000u);
    EXPECT_EQ(changed->atimensec, 123'456'789u);
    EXPECT_NEAR(static_cast<double>(changed->mtime), static_cast<double>(::time(nullptr)), 5);
}

TEST_P(MirrorAttributes, checks_a_handle_that_comes_along) {
    const NodeId node = file("file", "12", 0644);
    const NodeId other = file("other", "", 0644);
    const auto handle = guest_->open(node, O_RDONLY).value();

    EXPECT_EQ(guest_->getattr(node, handle)->size, 2u);
    EXPECT_EQ(guest_->getattr(other, handle).error(), Errno::bad_descriptor);
    EXPECT_EQ(guest_->getattr(node, fuse::FileHandle{12345}).error(), Errno::bad_descriptor);
}

// --- set-id bits and data (FUSE_HANDLE_KILLPRIV_V2)

TEST_P(MirrorAttributes, clears_set_id_bits_on_a_write_by_who_may_not_keep_them) {
    const NodeId node = file("file", "", 06777);
    guest_->be(1000, 1000);
    const auto handle = guest_->open(node, O_RDWR).value();

    ASSERT_TRUE(guest_->write(node, handle, 0, "x", 0, true));

    EXPECT_EQ(mode_of("file"), 0777u);
}

TEST_P(MirrorAttributes, keeps_set_id_bits_on_a_write_by_who_may) {
    const NodeId node = file("file", "", 06777);
    const auto handle = guest_->open(node, O_RDWR).value();

    ASSERT_TRUE(guest_->write(node, handle, 0, "x", 0, false));

    EXPECT_EQ(mode_of("file"), 06777u);
    EXPECT_EQ(host_read("file"), "x");
}

TEST_P(MirrorAttributes, clears_or_keeps_set_id_bits_on_truncation_as_the_request_says) {
    const NodeId node = file("file", "data", 06777);
    fuse::SetAttributes change;
    change.size = 2;
    ASSERT_TRUE(guest_->setattr(node, change));
    EXPECT_EQ(mode_of("file"), 06777u);

    change.size = 1;
    change.kill_suid_gid = true;
    ASSERT_TRUE(guest_->setattr(node, change));

    EXPECT_EQ(mode_of("file"), 0777u);
}

TEST_P(MirrorAttributes, clears_or_keeps_set_id_bits_on_o_trunc_as_the_request_says) {
    const NodeId kept = file("kept", "data", 06777);
    const NodeId cleared = file("cleared", "data", 06777);
    auto& context = guest_->context;

    ASSERT_TRUE(guest_->run(
        fs().open(context, kept, {.flags = O_WRONLY | O_TRUNC, .kill_suid_gid = false})));
    ASSERT_TRUE(guest_->run(
        fs().open(context, cleared, {.flags = O_WRONLY | O_TRUNC, .kill_suid_gid = true})));

    EXPECT_EQ(mode_of("kept"), 06777u);
    EXPECT_EQ(mode_of("cleared"), 0777u);
    EXPECT_EQ(host_stat("kept").st_size, 0);
}

// --- the rest

TEST_P(MirrorAttributes, reports_the_file_systems_room) {
    const auto status = guest_->run(fs().statfs(guest_->context, root_node));

    ASSERT_TRUE(status);
    EXPECT_GT(status->blocks, 0u);
    EXPECT_EQ(status->name_size_max, 255u);
}

TEST_P(MirrorAttributes, syncs_the_file_system) {
    EXPECT_TRUE(guest_->run(fs().syncfs(guest_->context, root_node)));
}

TEST_P(MirrorAttributes, answers_access_by_mode_and_caller) {
    const NodeId node = file("file", "", 0640);
    ASSERT_EQ(::chown(host("file").c_str(), 1000, 2000), 0);
    const auto may = [&](std::uint32_t mask) {
        return guest_->run(fs().access(guest_->context, node, mask)).has_value();
    };

    EXPECT_TRUE(may(R_OK | W_OK));
    EXPECT_FALSE(may(X_OK));
    guest_->be(1000, 1);
    EXPECT_TRUE(may(R_OK | W_OK));
    guest_->be(1, 2000);
    EXPECT_TRUE(may(R_OK));
    EXPECT_FALSE(may(W_OK));
    guest_->be(1, 1);
    EXPECT_FALSE(may(R_OK));
    EXPECT_TRUE(may(F_OK));
}

TEST_P(MirrorAttributes, answers_statx_with_what_the_mask_asks_for) {
    const NodeId node = file("file", "123", 0644);
    struct ::statx found = {};
    Duration valid;

    const auto done = guest_->run(fs().statx(
        guest_->context, node, std::nullopt, 0, STATX_SIZE | STATX_BTIME, found, valid));

    ASSERT_TRUE(done);
    EXPECT_EQ(found.stx_size, 3u);
    EXPECT_EQ(valid, seconds(1));
}

TEST_P(MirrorAttributes, reads_inode_flags_and_sets_none) {
    const NodeId node = file("file", "", 0644);
    const auto handle = guest_->open(node, O_RDONLY).value();
    std::array<std::byte, 64> out = {};
    std::int32_t value = 0;
    const auto call = [&](unsigned long command) {
        const auto code = static_cast<std::uint32_t>(command);
        return guest_->run(fs().ioctl(guest_->context, node, handle, code, 0, {}, out, value));
    };

    const auto flags = call(FS_IOC_GETFLAGS);
    EXPECT_TRUE(flags ? *flags == 4 : flags.error() == Errno::not_a_terminal);
    EXPECT_EQ(call(FS_IOC_SETFLAGS).error(), Errno::not_supported);
    EXPECT_EQ(call(FIFREEZE).error(), Errno::not_a_terminal);
    EXPECT_EQ(call(0xdead).error(), Errno::not_a_terminal);
}

}  // namespace
}  // namespace dpfs::mirror
