// SPDX-License-Identifier: Apache-2.0
// Goal: a tenant finds what is there, nothing else, and its references are counted exactly.
// Method: requests through fuse::FileSystem on a real directory that the test changes as host.
#include "mirror_fixture.hpp"

#include <atomic>
#include <filesystem>
#include <linux/fs.h>
#include <sys/sysmacros.h>
#include <thread>
#include <unistd.h>

namespace dpfs::mirror {
namespace {

using fuse::NodeId;
using fuse::root_node;

class MirrorLookup : public MirrorTest {};
DPFS_ON_ALL_SETTINGS(MirrorLookup);

TEST_P(MirrorLookup, finds_a_file_with_its_attributes) {
    host_write("file", "hello", 0640);

    const auto found = guest_->lookup(root_node, "file");

    ASSERT_TRUE(found);
    EXPECT_EQ(found->attributes.mode, S_IFREG | 0640u);
    EXPECT_EQ(found->attributes.size, 5u);
    EXPECT_EQ(found->attributes.ino, host_stat("file").st_ino);
    EXPECT_EQ(found->entry_valid, seconds(1));
}

TEST_P(MirrorLookup, gives_one_inode_one_node) {
    host_write("file", "");
    ::link(host("file").c_str(), host("second").c_str());

    const auto first = guest_->lookup(root_node, "file");
    const auto second = guest_->lookup(root_node, "second");

    ASSERT_TRUE(first && second);
    EXPECT_EQ(first->node, second->node);
    EXPECT_EQ(fs().counts().inodes, 2u);
}

TEST_P(MirrorLookup, says_enoent_for_what_is_not_there) {
    EXPECT_EQ(guest_->lookup(root_node, "none").error(), Errno::no_entry);
}

TEST_P(MirrorLookup, gives_a_cacheable_negative_entry_where_the_options_want_it) {
    serve({.negative_valid = seconds(7)});

    const auto found = guest_->lookup(root_node, "none");

    ASSERT_TRUE(found);
    EXPECT_EQ(found->node, fuse::negative_node);
    EXPECT_EQ(found->entry_valid, seconds(7));
}

TEST_P(MirrorLookup, says_enotdir_below_a_file) {
    host_write("file", "");
    const auto file = guest_->lookup(root_node, "file");

    EXPECT_EQ(guest_->lookup(file->node, "x").error(), Errno::not_directory);
}

TEST_P(MirrorLookup, says_estale_for_nodes_that_never_were) {
    // Index 0, an index beyond all, the root's index with another generation, all bits.
    EXPECT_EQ(guest_->lookup(NodeId{0}, "x").error(), Errno::stale);
    EXPECT_EQ(guest_->lookup(NodeId{77}, "x").error(), Errno::stale);
    EXPECT_EQ(guest_->lookup(NodeId{1 | std::uint64_t{9} << 32}, "x").error(), Errno::stale);
    EXPECT_EQ(guest_->getattr(NodeId{~std::uint64_t{0}}).error(), Errno::stale);
}

TEST_P(MirrorLookup, says_estale_after_the_last_reference_was_given_back) {
    host_write("file", "");
    const NodeId node = guest_->lookup(root_node, "file")->node;
    ASSERT_EQ(guest_->lookup(root_node, "file")->node, node);

    guest_->forget(node, 1);
    EXPECT_TRUE(guest_->getattr(node));
    guest_->forget(node, 1);

    EXPECT_EQ(guest_->getattr(node).error(), Errno::stale);
    EXPECT_EQ(fs().counts().inodes, 1u);
}

TEST_P(MirrorLookup, survives_forgets_of_a_hostile_tenant) {
    host_write("file", "");
    const NodeId node = guest_->lookup(root_node, "file")->node;

    guest_->forget(node, ~std::uint64_t{0});
    guest_->forget(node, 1);
    guest_->forget(root_node, ~std::uint64_t{0});
    guest_->forget(NodeId{0}, 1);

    EXPECT_TRUE(guest_->getattr(root_node));
    EXPECT_TRUE(guest_->lookup(root_node, "file"));
}

TEST_P(MirrorLookup, never_gives_a_node_twice) {
    host_write("file", "");
    const auto first = guest_->lookup(root_node, "file");
    guest_->forget(first->node);

    const auto second = guest_->lookup(root_node, "file");

    EXPECT_NE(first->node, second->node);
}

TEST_P(MirrorLookup, tells_a_file_made_anew_from_the_one_that_had_its_number) {
    // File systems give a number out again at once; the tenant holds on to the first file.
    host_write("file", "first");
    const auto first = guest_->lookup(root_node, "file");
    ASSERT_TRUE(guest_->unlink(root_node, "file"));
    host_write("file", "the second");

    const auto second = guest_->lookup(root_node, "file");

    EXPECT_NE(first->node, second->node);
    EXPECT_EQ(guest_->getattr(first->node)->size, 5u);
    EXPECT_EQ(guest_->getattr(second->node)->size, 10u);
}

TEST_P(MirrorLookup, keeps_an_unlinked_file_reachable_for_who_knows_it) {
    host_write("file", "data");
    const NodeId node = guest_->lookup(root_node, "file")->node;

    ASSERT_TRUE(guest_->unlink(root_node, "file"));

    EXPECT_EQ(guest_->getattr(node)->nlink, 0u);
    EXPECT_TRUE(guest_->open(node, O_RDONLY));
}

TEST_P(MirrorLookup, follows_a_directory_that_the_host_renames) {
    std::filesystem::create_directory(host("dir"));
    host_write("dir/file", "x");
    const NodeId dir = guest_->lookup(root_node, "dir")->node;

    std::filesystem::rename(host("dir"), host("elsewhere"));

    EXPECT_TRUE(guest_->lookup(dir, "file"));
}

TEST_P(MirrorLookup, leaves_no_descriptor_behind) {
    host_write("file", "x");
    const std::size_t before = open_descriptor_count();
    const NodeId node = guest_->lookup(root_node, "file")->node;
    const auto handle = guest_->open(node, O_RDONLY);
    const auto dir = guest_->opendir(root_node);
    ASSERT_TRUE(handle && dir);

    guest_->run(fs().destroy(reactor()));

    EXPECT_EQ(open_descriptor_count(), before);
    EXPECT_EQ(guest_->getattr(node).error(), Errno::stale);
    EXPECT_EQ(guest_->read(node, *handle, 0, 1).error(), Errno::bad_descriptor);
    EXPECT_TRUE(guest_->lookup(root_node, "file"));
}

// --- inodes without a descriptor

TEST_P(MirrorLookup, holds_few_descriptors_for_many_inodes) {
    constexpr std::size_t descriptor_count_max = 16;
    serve({.inode_descriptor_count_max = descriptor_count_max});
    std::vector<NodeId> nodes;
    for (int i = 0; i < 200; ++i) {
        const std::string name = "f" + std::to_string(i);
        host_write(name, std::string(static_cast<std::size_t>(i), 'x'));
        nodes.push_back(guest_->lookup(root_node, name)->node);
    }

    // The root's and those of calls in flight come on top.
    EXPECT_LE(fs().counts().descriptors, descriptor_count_max + 2);
    EXPECT_EQ(fs().counts().inodes, 201u);
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        ASSERT_EQ(guest_->getattr(nodes[i])->size, i);
        ASSERT_EQ(guest_->lookup(root_node, "f" + std::to_string(i))->node, nodes[i]);
    }
    EXPECT_LE(fs().counts().descriptors, descriptor_count_max + 2);
}

TEST_P(MirrorLookup, finds_an_inode_without_a_descriptor_after_the_host_renamed_it) {
    serve({.inode_descriptor_count_max = 1});
    host_write("file", "data");
    const NodeId node = guest_->lookup(root_node, "file")->node;
    host_write("other", "");
    static_cast<void>(guest_->lookup(root_node, "other"));

    std::filesystem::rename(host("file"), host("moved"));

    EXPECT_EQ(guest_->getattr(node)->size, 4u);
}

TEST_P(MirrorLookup, tells_a_number_used_again_without_a_descriptor_that_would_prevent_it) {
    serve({.inode_descriptor_count_max = 1});
    host_write("file", "first");
    const NodeId node = guest_->lookup(root_node, "file")->node;
    host_write("other", "");
    static_cast<void>(guest_->lookup(root_node, "other"));
    ::unlink(host("file").c_str());  // as the host: nobody has it open, its number is free
    host_write("file", "the second");

    const auto second = guest_->lookup(root_node, "file");

    ASSERT_TRUE(second);
    EXPECT_NE(second->node, node);
    EXPECT_EQ(guest_->getattr(node).error(), Errno::stale);
    EXPECT_EQ(guest_->getattr(second->node)->size, 10u);
}

TEST_P(MirrorLookup, keeps_what_the_tenant_unlinks_although_it_has_no_descriptor) {
    serve({.inode_descriptor_count_max = 1});
    host_write("file", "first");
    const NodeId node = guest_->lookup(root_node, "file")->node;
    host_write("other", "");
    static_cast<void>(guest_->lookup(root_node, "other"));

    ASSERT_TRUE(guest_->unlink(root_node, "file"));

    EXPECT_EQ(guest_->getattr(node)->size, 5u);
}

TEST_P(MirrorLookup, holds_few_descriptors_for_100000_inodes) {
    if (!on_tmpfs()) GTEST_SKIP() << "making the files takes too long on a disk";
    constexpr int file_count = 100'000;
    constexpr std::size_t descriptor_count_max = 500;
    serve({.inode_descriptor_count_max = descriptor_count_max});
    for (int i = 0; i < file_count; ++i) {
        const std::string name = "f" + std::to_string(i);
        const UniqueFd made(::open(host(name).c_str(), O_CREAT | O_WRONLY, 0600));
        const auto found = guest_->lookup(root_node, name);
        ASSERT_TRUE(found);
        ASSERT_LE(fs().counts().descriptors, descriptor_count_max + 2);
    }

    EXPECT_EQ(fs().counts().inodes, file_count + 1u);
    EXPECT_LT(open_descriptor_count(), descriptor_count_max + 100);
}

TEST_P(MirrorLookup, ends_a_hoarder_of_unlinked_files_at_its_own_limit) {
    serve({.inode_descriptor_count_max = 20});
    std::size_t kept_count = 0;
    for (int i = 0; i < 100; ++i) {
        const auto made = guest_->mknod(root_node, "file", S_IFREG | 0600);
        static_cast<void>(guest_->unlink(root_node, "file"));
        if (made) ++kept_count;
    }

    // None of them can be found by a handle any more.
    EXPECT_GE(kept_count, 20u);
    EXPECT_LE(fs().counts().descriptors, 20u + 4);
    EXPECT_EQ(guest_->mknod(root_node, "file", S_IFREG | 0600).error(),
              Errno::too_many_files_system);
}

TEST_P(MirrorLookup, says_enfile_beyond_the_inodes_it_may_know) {
    serve({.inode_count_max = 3});
    host_write("a", "");
    host_write("b", "");
    host_write("c", "");
    const NodeId a = guest_->lookup(root_node, "a")->node;
    ASSERT_TRUE(guest_->lookup(root_node, "b"));

    EXPECT_EQ(guest_->lookup(root_node, "c").error(), Errno::too_many_files_system);
    guest_->forget(a);
    EXPECT_TRUE(guest_->lookup(root_node, "c"));
}

// --- nothing leaves the shared directory

TEST_P(MirrorLookup, answers_with_a_symlink_and_does_not_follow_it) {
    std::filesystem::create_directory_symlink(outside(""), host("way-out"));

    const auto found = guest_->lookup(root_node, "way-out");

    ASSERT_TRUE(found);
    EXPECT_EQ(found->attributes.mode & S_IFMT, unsigned{S_IFLNK});
    EXPECT_EQ(guest_->readlink(found->node).value(), outside(""));
    EXPECT_EQ(guest_->lookup(found->node, "secret").error(), Errno::not_directory);
    EXPECT_EQ(guest_->opendir(found->node).error(), Errno::not_directory);
    EXPECT_EQ(guest_->open(found->node, O_RDONLY).error(), Errno::loop);
    EXPECT_EQ(guest_->create(root_node, "way-out").error(), Errno::loop);
}

TEST_P(MirrorLookup, does_not_reach_through_a_directory_that_became_a_symlink) {
    std::filesystem::create_directory(host("dir"));
    std::filesystem::create_directories(outside("dir"));
    const NodeId dir = guest_->lookup(root_node, "dir")->node;

    std::filesystem::remove(host("dir"));
    std::filesystem::create_directory_symlink(outside("dir"), host("dir"));
    const auto made = guest_->create(dir, "file");

    EXPECT_EQ(made.error(), Errno::no_entry);
    EXPECT_TRUE(std::filesystem::is_empty(outside("dir")));
}

TEST_P(MirrorLookup, stays_inside_while_the_host_swaps_directories_for_symlinks) {
    // dir and link change places all the time: each walk meets one of them at each step.
    std::filesystem::create_directory(host("dir"));
    std::filesystem::create_directory_symlink(outside(""), host("link"));
    std::atomic<bool> done = false;
    std::thread swapper([&]() {
        const std::string a = host("dir");
        const std::string b = host("link");
        while (!done) {
            ::renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE);
        }
    });
    for (int i = 0; i < 500; ++i) {
        const auto dir = guest_->lookup(root_node, i % 2 == 0 ? "dir" : "link");
        const std::string name = "f" + std::to_string(i);
        static_cast<void>(guest_->create(dir->node, name));
        static_cast<void>(guest_->mkdir(dir->node, "d" + name));
        static_cast<void>(guest_->symlink(dir->node, "l" + name, "x"));
        static_cast<void>(guest_->create(root_node, i % 2 == 0 ? "link" : "dir"));
        static_cast<void>(guest_->rename(root_node, "dir", dir->node, "in"));
        guest_->forget(dir->node);
    }
    done = true;
    swapper.join();

    EXPECT_TRUE(std::filesystem::is_empty(outside("")));
}

TEST_P(MirrorLookup, does_not_open_fifos_sockets_and_devices) {
    // Opening the FIFO would wait for a writer, for ever.
    ASSERT_EQ(::mkfifo(host("fifo").c_str(), 0666), 0);
    ASSERT_EQ(::mknod(host("null").c_str(), S_IFCHR | 0666, makedev(1, 3)), 0);
    const NodeId fifo = guest_->lookup(root_node, "fifo")->node;
    const NodeId null = guest_->lookup(root_node, "null")->node;

    EXPECT_EQ(guest_->open(fifo, O_RDONLY).error(), Errno::no_device);
    EXPECT_EQ(guest_->open(null, O_RDWR).error(), Errno::no_device);
    EXPECT_EQ(guest_->create(root_node, "fifo").error(), Errno::no_device);
    EXPECT_EQ(guest_->getattr(null)->rdev, 0x103u);
    fuse::SetAttributes change;
    change.size = 0;
    EXPECT_EQ(guest_->setattr(fifo, change).error(), Errno::invalid);
}

TEST_P(MirrorLookup, hides_the_number_of_the_directory_above) {
    const auto handle = guest_->opendir(root_node);
    const auto listed = guest_->list(root_node, *handle, 0, false);

    ASSERT_TRUE(listed && listed->size() == 2);
    EXPECT_EQ((*listed)[0].ino, host_stat("").st_ino);
    EXPECT_EQ((*listed)[1].ino, host_stat("").st_ino);
}

TEST_P(MirrorLookup, refuses_names_that_are_more_than_a_component) {
    EXPECT_FALSE(fuse::Name::check(std::string("..")));
    EXPECT_FALSE(fuse::Name::check(std::string(".")));
    EXPECT_FALSE(fuse::Name::check(std::string("a/b")));
}

}  // namespace
}  // namespace dpfs::mirror
