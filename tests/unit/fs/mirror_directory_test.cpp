// SPDX-License-Identifier: Apache-2.0
// Goal: a listing has each entry once, whatever happens to the directory meanwhile, and takes
// references for exactly what it gives.
// Method: requests with small buffers, between which the host changes the directory.
#include "base/gate.hpp"
#include "mirror_fixture.hpp"

#include <dirent.h>
#include <filesystem>
#include <set>
#include <sys/mount.h>
#include <unistd.h>

namespace dpfs::mirror {
namespace {

using fuse::FileHandle;
using fuse::NodeId;
using fuse::root_node;

class MirrorDirectory : public MirrorTest {
  protected:
    static std::multiset<std::string> names(const std::vector<Listed>& listed) {
        std::multiset<std::string> all;
        for (const Listed& entry : listed) all.insert(entry.name);
        return all;
    }
    /// A tmpfs on "mnt" in the share. False: this user may not mount.
    bool mount_below(const char* options) {
        std::filesystem::create_directory(host("mnt"));
        return ::mount("test", host("mnt").c_str(), "tmpfs", 0, options) == 0;
    }
    void host_make(const std::string& prefix, int count) {
        for (int i = 0; i < count; ++i) host_write(prefix + std::to_string(i), "");
    }
};
DPFS_ON_ALL_SETTINGS(MirrorDirectory);

TEST_P(MirrorDirectory, lists_names_and_types) {
    host_write("file", "");
    std::filesystem::create_directory(host("dir"));
    std::filesystem::create_symlink("file", host("link"));

    const auto listed = guest_->list_all(root_node, false);

    ASSERT_TRUE(listed);
    std::map<std::string, std::uint32_t> types;
    for (const Listed& entry : *listed) types[entry.name] = entry.type;
    EXPECT_EQ(types,
              (std::map<std::string, std::uint32_t>{
                  {"file", DT_REG}, {"dir", DT_DIR}, {"link", DT_LNK}}));
}

TEST_P(MirrorDirectory, lists_with_inodes_and_takes_a_reference_for_each) {
    host_make("f", 10);

    const auto listed = guest_->list_all(root_node, true);

    ASSERT_TRUE(listed);
    ASSERT_EQ(listed->size(), 10u);
    EXPECT_EQ(fs().counts().inodes, 11u);
    for (const Listed& entry : *listed) {
        const auto known = guest_->lookup(root_node, entry.name);
        ASSERT_EQ(known->node, entry.node);
        EXPECT_TRUE(guest_->getattr(entry.node));
        guest_->forget(entry.node, 2);
    }
    EXPECT_EQ(fs().counts().inodes, 1u);
    EXPECT_EQ(fs().counts().descriptors, 1u);
}

TEST_P(MirrorDirectory, gives_dots_no_node) {
    const auto handle = guest_->opendir(root_node).value();

    const auto listed = guest_->list(root_node, handle, 0, true);

    ASSERT_TRUE(listed && listed->size() == 2);
    EXPECT_EQ((*listed)[0].node, NodeId{0});
    EXPECT_EQ((*listed)[1].node, NodeId{0});
}

TEST_P(MirrorDirectory, takes_no_reference_for_what_did_not_fit) {
    host_make("file-with-a-long-name-", 50);
    const auto handle = guest_->opendir(root_node).value();

    const auto listed = guest_->list(root_node, handle, 0, true, 1000);

    ASSERT_TRUE(listed);
    std::size_t with_node = 0;
    for (const Listed& entry : *listed) with_node += entry.node != NodeId{0} ? 1 : 0;
    EXPECT_GT(with_node, 0u);
    EXPECT_EQ(fs().counts().inodes, 1 + with_node);
}

TEST_P(MirrorDirectory, goes_on_where_any_earlier_entry_ended) {
    host_make("f", 40);
    const auto handle = guest_->opendir(root_node).value();
    const auto all = guest_->list(root_node, handle, 0, false, 8192).value();
    ASSERT_EQ(all.size(), 42u);

    const auto rest = guest_->list(root_node, handle, all[20].next_offset, false, 8192);

    ASSERT_TRUE(rest && rest->size() == 21u);
    EXPECT_EQ(rest->front().name, all[21].name);
    EXPECT_EQ(guest_->list(root_node, handle, all.back().next_offset, false)->size(), 0u);
}

TEST_P(MirrorDirectory, starts_afresh_at_offset_0) {
    host_make("f", 5);
    const auto handle = guest_->opendir(root_node).value();
    ASSERT_EQ(guest_->list(root_node, handle, 0, false)->size(), 7u);
    host_make("g", 5);

    EXPECT_EQ(guest_->list(root_node, handle, 0, false)->size(), 12u);
}

TEST_P(MirrorDirectory, says_einval_for_a_buffer_without_room_for_one_entry) {
    const auto handle = guest_->opendir(root_node).value();

    EXPECT_EQ(guest_->list(root_node, handle, 0, false, 16).error(), Errno::invalid);
}

TEST_P(MirrorDirectory, neither_loses_nor_doubles_a_stable_entry_while_others_change) {
    constexpr int stable_count = 3000;
    host_make("stable", stable_count);
    host_make("old", 1000);
    const auto handle = guest_->opendir(root_node).value();
    std::multiset<std::string> seen;
    int round = 0;
    for (std::uint64_t offset = 0;; ++round) {
        const auto some = guest_->list(root_node, handle, offset, round % 2 == 0);
        ASSERT_TRUE(some);
        if (some->empty()) break;
        offset = some->back().next_offset;
        for (const Listed& entry : *some) seen.insert(entry.name);
        host_write("new" + std::to_string(round), "");
        ::unlink(host("old" + std::to_string(round)).c_str());
    }

    for (int i = 0; i < stable_count; ++i) {
        ASSERT_EQ(seen.count("stable" + std::to_string(i)), 1u) << i;
    }
}

TEST_P(MirrorDirectory, lists_names_when_it_may_know_no_more_inodes) {
    host_make("f", 20);
    serve({.inode_count_max = 5});

    const auto listed = guest_->list_all(root_node, true);

    ASSERT_TRUE(listed);
    EXPECT_EQ(listed->size(), 20u);
    EXPECT_EQ(fs().counts().inodes, 5u);
}

TEST_P(MirrorDirectory, opens_nothing_for_entries_that_nobody_uses) {
    host_make("f", 1000);

    ASSERT_EQ(guest_->list_all(root_node, true)->size(), 1000u);

    EXPECT_EQ(fs().counts().inodes, 1001u);
    EXPECT_EQ(fs().counts().descriptors, 1u);
}

TEST_P(MirrorDirectory, reaches_a_listed_entry_that_the_tenant_has_renamed) {
    host_write("file", "data");
    std::filesystem::create_directory(host("dir"));
    const auto listed = guest_->list_all(root_node, true).value();
    std::map<std::string, NodeId> nodes;
    for (const Listed& entry : listed) nodes[entry.name] = entry.node;

    ASSERT_TRUE(guest_->rename(root_node, "file", nodes["dir"], "moved"));
    ASSERT_TRUE(guest_->rename(root_node, "dir", root_node, "dir2"));

    EXPECT_EQ(guest_->getattr(nodes["file"])->size, 4u);
    EXPECT_EQ(guest_->lookup(nodes["dir"], "moved")->node, nodes["file"]);
}

TEST_P(MirrorDirectory, reaches_a_listed_entry_that_the_tenant_has_unlinked) {
    host_write("file", "data");
    const NodeId node = guest_->list_all(root_node, true)->front().node;

    ASSERT_TRUE(guest_->unlink(root_node, "file"));

    EXPECT_EQ(guest_->getattr(node)->nlink, 0u);
}

TEST_P(MirrorDirectory, says_estale_for_a_listed_entry_that_the_host_has_replaced) {
    host_write("file", "data");
    const NodeId node = guest_->list_all(root_node, true)->front().node;
    host_write("new", "new data");
    std::filesystem::rename(host("new"), host("file"));

    const auto found = guest_->getattr(node);

    EXPECT_EQ(found.error(), Errno::stale);
    EXPECT_EQ(guest_->lookup(root_node, "file")->attributes.size, 8u);
}

TEST_P(MirrorDirectory, keeps_a_parent_that_was_forgotten_for_its_listed_entries) {
    std::filesystem::create_directory(host("dir"));
    host_write("dir/file", "data");
    const NodeId dir = guest_->lookup(root_node, "dir")->node;
    const NodeId node = guest_->list_all(dir, true)->front().node;

    guest_->forget(dir);

    EXPECT_EQ(guest_->getattr(dir).error(), Errno::stale);
    EXPECT_EQ(guest_->getattr(node)->size, 4u);
    guest_->forget(node);
    EXPECT_EQ(fs().counts().inodes, 1u);
}

TEST_P(MirrorDirectory, frees_a_deep_chain_of_listed_directories) {
    // Freed from the deepest, each frees its parent: not by recursion.
    constexpr int depth = 400;
    NodeId node = root_node;
    std::vector<NodeId> chain;
    for (int i = 0; i < depth; ++i) {
        ASSERT_TRUE(guest_->mkdir(node, "d"));
        guest_->forget(guest_->lookup(node, "d")->node, 2);
        node = guest_->list_all(node, true)->front().node;
        chain.push_back(node);
    }

    for (const NodeId each : chain) guest_->forget(each);

    EXPECT_EQ(fs().counts().inodes, 1u);
}

TEST_P(MirrorDirectory, says_what_is_no_directory_and_no_handle) {
    host_write("file", "");
    const NodeId file = guest_->lookup(root_node, "file")->node;
    const auto opened = guest_->open(file, O_RDONLY).value();
    const auto dir = guest_->opendir(root_node).value();

    EXPECT_EQ(guest_->opendir(file).error(), Errno::not_directory);
    EXPECT_EQ(guest_->open(root_node, O_RDONLY).error(), Errno::is_directory);
    EXPECT_EQ(guest_->list(file, opened, 0, false).error(), Errno::not_directory);
    EXPECT_EQ(guest_->list(root_node, FileHandle{99}, 0, false).error(), Errno::bad_descriptor);
    ASSERT_TRUE(guest_->releasedir(root_node, dir));
    EXPECT_EQ(guest_->releasedir(root_node, dir).error(), Errno::bad_descriptor);
}

Task<void> list_at_once(MirrorFs& fs, fuse::Context& context, FileHandle handle, bool& ok) {
    std::vector<std::byte> reply(8192);
    const iovec buffer = {reply.data(), reply.size()};
    fuse::DirectoryWriter out(IovecCursor(std::span(&buffer, 1)), reply.size(), true);
    const auto listed = co_await fs.readdirplus(context, root_node, handle, 0, out);
    ok = listed.has_value() && out.size() != 0;
}

Task<void> list_together(MirrorFs& fs,
                         fuse::Context& context,
                         FileHandle handle,
                         std::array<bool, 8>& ok) {
    Gate gate;
    for (bool& each : ok) gate.spawn(list_at_once(fs, context, handle, each));
    co_await gate.close();
}

TEST_P(MirrorDirectory, takes_requests_on_one_handle_at_once_one_after_the_other) {
    host_make("f", 30);
    const auto handle = guest_->opendir(root_node).value();
    std::array<bool, 8> ok = {};

    guest_->run(list_together(fs(), guest_->context, handle, ok));

    EXPECT_EQ(std::ranges::count(ok, true), 8);
}

TEST_P(MirrorDirectory, announces_a_mount_point_below) {
    if (!mount_below("size=1m")) GTEST_SKIP() << "needs the right to mount";
    ASSERT_TRUE(guest_->init(std::uint64_t{1} << 27));  // FUSE_SUBMOUNTS

    const auto looked_up = guest_->lookup(root_node, "mnt");
    const auto listed = guest_->list_all(root_node, true);
    const auto made = guest_->create(looked_up->node, "file");

    EXPECT_EQ(looked_up->attributes.flags, 1u);  // FUSE_ATTR_SUBMOUNT
    EXPECT_EQ(listed->front().node, looked_up->node);
    EXPECT_EQ(made->entry.attributes.flags, 0u);
    guest_->run(fs().destroy(reactor()));  // closes what keeps it busy
    EXPECT_EQ(::umount(host("mnt").c_str()), 0);
}

TEST_P(MirrorDirectory, refuses_to_cross_a_mount_point_where_the_options_say_so) {
    if (!mount_below("size=1m")) GTEST_SKIP() << "needs the right to mount";
    serve({.submounts = SubmountPolicy::refuse});

    EXPECT_EQ(guest_->lookup(root_node, "mnt").error(), Errno::cross_device);
    EXPECT_EQ(guest_->list_all(root_node, true)->front().node, NodeId{0});
    EXPECT_EQ(::umount(host("mnt").c_str()), 0);
}

TEST_P(MirrorDirectory, passes_on_that_a_file_system_is_full) {
    if (!mount_below("size=64k")) GTEST_SKIP() << "needs the right to mount";
    const NodeId dir = guest_->lookup(root_node, "mnt")->node;
    const auto made = guest_->create(dir, "file").value();

    const auto some =
        guest_->write(made.entry.node, made.open.handle, 0, std::string(128 << 10, 'x'));
    const auto none = guest_->write(made.entry.node, made.open.handle, 64 << 10, "more");

    EXPECT_EQ(some.value(), 64u << 10);
    EXPECT_EQ(none.error(), Errno::no_space);
    guest_->run(fs().destroy(reactor()));
    EXPECT_EQ(::umount(host("mnt").c_str()), 0);
}

}  // namespace
}  // namespace dpfs::mirror
