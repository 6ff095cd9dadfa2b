// SPDX-License-Identifier: Apache-2.0
// Goal: extended attributes and ACLs, under the names and ids that the options map.
// Method: requests through fuse::FileSystem; the result is looked at from the host's side.
#include "fs/mirror/set_id.hpp"
#include "mirror_fixture.hpp"

#include <array>
#include <cstring>
#include <sys/xattr.h>
#include <unistd.h>

namespace dpfs::mirror {
namespace {

using fuse::NodeId;
using fuse::root_node;
using testing::Test;

constexpr std::uint64_t posix_acl_flag = std::uint64_t{1} << 20;  // FUSE_POSIX_ACL

/// An ACL as its extended attribute has it; entries are tag, permissions, id.
std::string acl_of(const std::vector<std::array<std::uint32_t, 3>>& entries) {
    std::string acl("\2\0\0\0", 4);
    for (const auto& [tag, permissions, id] : entries) {
        const std::array<std::uint16_t, 2> half = {static_cast<std::uint16_t>(tag),
                                                   static_cast<std::uint16_t>(permissions)};
        std::array<char, 8> entry = {};
        std::memcpy(entry.data(), half.data(), 4);
        std::memcpy(entry.data() + 4, &id, 4);
        acl.append(entry.data(), entry.size());
    }
    return acl;
}
constexpr std::uint32_t no_id = ~0u;

class MirrorXattr : public MirrorTest {
  protected:
    std::string host_xattr(const std::string& name, const std::string& key) {
        std::array<char, 256> value = {};
        const ssize_t size =
            ::lgetxattr(host(name).c_str(), key.c_str(), value.data(), value.size());
        return size < 0 ? "(none)" : std::string(value.data(), static_cast<std::size_t>(size));
    }
    NodeId file(const std::string& name = "file") {
        host_write(name, "");
        return guest_->lookup(root_node, name)->node;
    }
};
DPFS_ON_ALL_SETTINGS(MirrorXattr);

TEST_P(MirrorXattr, sets_gets_lists_and_removes) {
    const NodeId node = file();

    ASSERT_TRUE(guest_->setxattr(node, "user.a", "value"));
    EXPECT_EQ(host_xattr("file", "user.a"), "value");
    EXPECT_EQ(guest_->getxattr(node, "user.a").value(), "value");
    EXPECT_EQ(guest_->listxattr(node).value(), std::vector<std::string>{"user.a"});
    EXPECT_TRUE(guest_->run(fs().removexattr(guest_->context, node, "user.a")));
    EXPECT_EQ(guest_->getxattr(node, "user.a").error(), Errno::no_data);
}

TEST_P(MirrorXattr, asks_for_sizes_and_checks_them) {
    const NodeId node = file();
    ASSERT_TRUE(guest_->setxattr(node, "user.a", "value"));
    auto& context = guest_->context;
    std::array<std::byte, 2> small = {};

    EXPECT_EQ(guest_->run(fs().getxattr(context, node, "user.a", {})).value(), 5u);
    EXPECT_EQ(guest_->run(fs().getxattr(context, node, "user.a", small)).error(), Errno::range);
    EXPECT_EQ(guest_->run(fs().listxattr(context, node, {})).value(), 7u);
    EXPECT_EQ(guest_->run(fs().listxattr(context, node, small)).error(), Errno::range);
}

TEST_P(MirrorXattr, tells_creating_from_replacing) {
    const NodeId node = file();
    auto& context = guest_->context;
    const std::array value = {std::byte{'x'}};

    EXPECT_EQ(guest_->run(fs().setxattr(context, node, "user.a", value, XATTR_REPLACE, false))
                  .error(),
              Errno::no_data);
    EXPECT_TRUE(
        guest_->run(fs().setxattr(context, node, "user.a", value, XATTR_CREATE, false)));
    EXPECT_EQ(
        guest_->run(fs().setxattr(context, node, "user.a", value, XATTR_CREATE, false)).error(),
        Errno::exists);
}

TEST_P(MirrorXattr, refuses_user_attributes_of_a_symlink_as_linux_does) {
    const NodeId link = guest_->symlink(root_node, "link", "nowhere")->node;

    EXPECT_EQ(guest_->setxattr(link, "user.a", "x").error(), Errno::not_permitted);
    EXPECT_TRUE(guest_->setxattr(link, "trusted.a", "x"));
    EXPECT_EQ(host_xattr("link", "trusted.a"), "x");
}

TEST_P(MirrorXattr, lists_trusted_names_to_root_only) {
    const NodeId node = file();
    ASSERT_TRUE(guest_->setxattr(node, "trusted.a", "x"));

    EXPECT_EQ(guest_->listxattr(node).value(), std::vector<std::string>{"trusted.a"});
    guest_->context.caller.uid = 1000;
    EXPECT_TRUE(guest_->listxattr(node)->empty());
}

TEST_P(MirrorXattr, has_none_where_the_options_say_so) {
    serve({.xattr = false});
    const NodeId node = file();

    EXPECT_EQ(guest_->setxattr(node, "user.a", "x").error(), Errno::not_supported);
    EXPECT_EQ(guest_->getxattr(node, "user.a").error(), Errno::not_supported);
    EXPECT_EQ(guest_->listxattr(node).error(), Errno::not_supported);
}

TEST_P(MirrorXattr, stores_all_names_below_a_prefix) {
    serve({.xattr_rules = {{.action = XattrRule::Action::prefix,
                            .match = "",
                            .host_prefix = "user.virtiofs."}}});
    const NodeId node = file();
    ::setxattr(host("file").c_str(), "user.of-the-host", "x", 1, 0);

    ASSERT_TRUE(guest_->setxattr(node, "trusted.overlay.opaque", "y"));

    EXPECT_EQ(host_xattr("file", "user.virtiofs.trusted.overlay.opaque"), "y");
    EXPECT_EQ(guest_->getxattr(node, "trusted.overlay.opaque").value(), "y");
    EXPECT_EQ(guest_->listxattr(node).value(),
              std::vector<std::string>{"trusted.overlay.opaque"});
    EXPECT_EQ(guest_->getxattr(node, "user.of-the-host").error(), Errno::no_data);
}

TEST_P(MirrorXattr, protects_mapped_names_from_being_forged) {
    serve({.xattr_rules = {{.action = XattrRule::Action::prefix,
                            .match = "trusted.",
                            .host_prefix = "user.virtiofs."},
                           {.action = XattrRule::Action::refuse,
                            .match = "user.secret.",
                            .host_prefix = ""}}});
    const NodeId node = file();
    ASSERT_TRUE(guest_->setxattr(node, "trusted.a", "1"));
    ASSERT_TRUE(guest_->setxattr(node, "user.b", "2"));

    EXPECT_EQ(guest_->setxattr(node, "user.virtiofs.trusted.a", "forged").error(),
              Errno::not_permitted);
    EXPECT_EQ(guest_->getxattr(node, "user.virtiofs.trusted.a").error(), Errno::no_data);
    EXPECT_EQ(guest_->setxattr(node, "user.secret.x", "1").error(), Errno::not_permitted);
    auto names = guest_->listxattr(node).value();
    std::ranges::sort(names);
    EXPECT_EQ(names, (std::vector<std::string>{"trusted.a", "user.b"}));
}

TEST_P(MirrorXattr, labels_what_it_makes) {
    const std::array value = {std::byte{'l'}};
    const fuse::SecurityContext security = {.name = "security.test", .value = value};
    const fuse::MakeRequest request = {.mode = 0755, .umask = 0, .security = security};

    ASSERT_TRUE(
        guest_->run(fs().mkdir(guest_->context, root_node, Guest::name("dir"), request)));

    EXPECT_EQ(host_xattr("dir", "security.test"), "l");
}

// --- ACLs

TEST_P(MirrorXattr, refuses_acls_that_the_tenants_kernel_does_not_evaluate) {
    const NodeId node = file();

    EXPECT_EQ(guest_->setxattr(node, "system.posix_acl_access", "x").error(),
              Errno::not_supported);
    EXPECT_EQ(guest_->getxattr(node, "system.posix_acl_access").error(), Errno::not_supported);
}

TEST_P(MirrorXattr, lets_a_default_acl_replace_the_umask) {
    serve({.posix_acl = true});
    ASSERT_TRUE(guest_->init(posix_acl_flag));
    const NodeId dir = guest_->mkdir(root_node, "dir", 0777)->node;
    const std::string acl =
        acl_of({{1, 7, no_id}, {4, 7, no_id}, {0x20, 0, no_id}});  // u::rwx g::rwx o::---
    ASSERT_TRUE(guest_->setxattr(dir, "system.posix_acl_default", acl));

    ASSERT_TRUE(guest_->create(dir, "file", O_RDWR, 0666, 077));
    ASSERT_TRUE(guest_->create(root_node, "plain", O_RDWR, 0666, 077));

    EXPECT_EQ(host_stat("dir/file").st_mode & 0777, 0660u);
    EXPECT_EQ(host_stat("plain").st_mode & 0777, 0600u);
}

TEST_P(MirrorXattr, maps_the_ids_in_an_acl) {
    serve({.posix_acl = true,
           .uid_map = {{.guest = 0, .host = 100000, .count = 1000}},
           .gid_map = {{.guest = 0, .host = 200000, .count = 1000}}});
    ::chown(host().c_str(), 100000, 200000);
    ASSERT_TRUE(guest_->init(posix_acl_flag));
    const NodeId node = guest_->mkdir(root_node, "dir")->node;
    const auto with_ids = [](std::uint32_t user, std::uint32_t group) {
        return acl_of({{1, 7, no_id},
                       {2, 5, user},
                       {4, 5, no_id},
                       {8, 5, group},
                       {0x10, 7, no_id},
                       {0x20, 0, no_id}});
    };

    ASSERT_TRUE(guest_->setxattr(node, "system.posix_acl_access", with_ids(5, 6)));

    EXPECT_EQ(host_xattr("dir", "system.posix_acl_access"), with_ids(100005, 200006));
    EXPECT_EQ(guest_->getxattr(node, "system.posix_acl_access").value(), with_ids(5, 6));
    EXPECT_EQ(guest_->setxattr(node, "system.posix_acl_access", with_ids(5000, 6)).error(),
              Errno::invalid);
}

TEST_P(MirrorXattr, clears_the_set_group_id_bit_with_an_acl_if_told_so) {
    serve({.posix_acl = true});
    ASSERT_TRUE(guest_->init(posix_acl_flag));
    const NodeId node = file();
    {
        const KeepSetIdBits keep(true);
        ASSERT_EQ(::chown(host("file").c_str(), 1000, 3000), 0);
        ASSERT_EQ(::chmod(host("file").c_str(), 02755), 0);
    }
    guest_->be(1000, 1000);
    const std::string acl =
        acl_of({{1, 7, no_id}, {2, 7, 5}, {4, 5, no_id}, {0x10, 7, no_id}, {0x20, 5, no_id}});
    const auto bytes = std::as_bytes(std::span(acl));
    constexpr std::string_view key = "system.posix_acl_access";
    auto& context = guest_->context;

    ASSERT_TRUE(guest_->run(fs().setxattr(context, node, key, bytes, 0, false)));
    EXPECT_EQ(host_stat("file").st_mode & 07777, 02775u);
    ASSERT_TRUE(guest_->run(fs().setxattr(context, node, key, bytes, 0, true)));
    EXPECT_EQ(host_stat("file").st_mode & 07777, 0775u);
}

}  // namespace
}  // namespace dpfs::mirror
