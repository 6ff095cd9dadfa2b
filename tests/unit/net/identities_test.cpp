// SPDX-License-Identifier: Apache-2.0
// Whom a server takes a tenant's requests to come from, and whom the tenant sees as an owner.
#include "fs/nfs/identities.hpp"

#include <gtest/gtest.h>

namespace dpfs::nfs {
namespace {

reactor::Credentials user(std::uint32_t uid,
                          std::uint32_t gid,
                          const std::vector<std::uint32_t>& groups = {}) {
    reactor::Credentials who{.uid = uid, .gid = gid};
    for (const std::uint32_t group : groups) who.groups[who.group_count++] = group;
    return who;
}

std::vector<std::uint32_t> groups_of(const ServerIdentity& identity) {
    const auto groups = rpc::AuthSys(identity).groups;
    return {groups.begin(), groups.end()};
}

NfsOptions mapped() {
    NfsOptions options;
    options.uid_map = {{.guest = 0, .host = 100'000, .count = 2000}};
    options.gid_map = {{.guest = 0, .host = 200'000, .count = 2000}};
    return options;
}

TEST(Identities, are_the_same_on_both_sides_without_a_map) {
    const Identities identities({});
    const ServerIdentity identity = identities.of(user(1000, 100, {5, 6}));
    EXPECT_EQ(identity.uid, 1000U);
    EXPECT_EQ(identity.gid, 100U);
    EXPECT_EQ(groups_of(identity), (std::vector<std::uint32_t>{5, 6}));
    EXPECT_EQ(identities.shown_user("1000"), 1000U);
    EXPECT_EQ(identities.sent_group(100).value(), "100");
}

TEST(Identities, are_mapped_in_requests_and_in_owners) {
    const Identities identities(mapped());
    const ServerIdentity identity = identities.of(user(1000, 100, {5, 4000}));
    EXPECT_EQ(identity.uid, 101'000U);
    EXPECT_EQ(identity.gid, 200'100U);
    EXPECT_EQ(groups_of(identity), std::vector<std::uint32_t>{200'005});
    EXPECT_EQ(identities.shown_user("101000"), 1000U);
    EXPECT_EQ(identities.shown_group("200100"), 100U);
    EXPECT_EQ(identities.sent_user(1000).value(), "101000");
}

TEST(Identities, outside_of_the_map_are_nobodys) {
    const Identities identities(mapped());
    const ServerIdentity identity = identities.of(user(5000, 5000, {5}));
    EXPECT_EQ(identity.uid, 65534U);
    EXPECT_EQ(identity.gid, 65534U);
    EXPECT_TRUE(groups_of(identity).empty());
    EXPECT_EQ(identities.shown_user("1000"), 65534U);
    EXPECT_EQ(identities.shown_user("root@example.org"), 65534U);
    EXPECT_EQ(identities.sent_user(5000).error(), Errno::invalid);
}

TEST(Identities, have_names_where_a_table_says_so) {
    NfsOptions options = mapped();
    options.user_names = {{.name = "alice@example.org", .id = 101'000}};
    options.group_names = {{.name = "staff@example.org", .id = 200'050}};
    const Identities identities(options);
    EXPECT_EQ(identities.shown_user("alice@example.org"), 1000U);
    EXPECT_EQ(identities.shown_user("staff@example.org"), 65534U);
    EXPECT_EQ(identities.shown_group("staff@example.org"), 50U);
    EXPECT_EQ(identities.sent_user(1000).value(), "alice@example.org");
    EXPECT_EQ(identities.sent_user(1001).value(), "101001");
    EXPECT_EQ(identities.sent_group(50).value(), "staff@example.org");
}

TEST(Identities, have_the_groups_of_the_table_behind_those_of_the_request) {
    NfsOptions options;
    options.groups = {{.uid = 2000, .groups = {9}}, {.uid = 1000, .groups = {7, 8}}};
    const Identities identities(options);
    EXPECT_EQ(groups_of(identities.of(user(1000, 100, {8}))),
              (std::vector<std::uint32_t>{8, 7}));
    EXPECT_EQ(groups_of(identities.of(user(2000, 100))), std::vector<std::uint32_t>{9});
    EXPECT_TRUE(groups_of(identities.of(user(3000, 100))).empty());
}

TEST(Identities, have_no_more_groups_than_a_request_has_room_for) {
    NfsOptions options;
    options.groups = {
        {.uid = 1000, .groups = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}}};
    const Identities identities(options);
    const auto groups = groups_of(identities.of(user(1000, 100, {77})));
    EXPECT_EQ(groups.size(), 16U);
    EXPECT_EQ(groups.front(), 77U);
}

TEST(Squash, of_root_leaves_others) {
    NfsOptions options;
    options.squash = Squash::root;
    options.anonymous_uid = 99;
    options.anonymous_gid = 98;
    const Identities identities(options);
    EXPECT_EQ(identities.of(user(0, 0, {5})).uid, 99U);
    EXPECT_EQ(identities.of(user(0, 0, {5})).gid, 98U);
    EXPECT_TRUE(groups_of(identities.of(user(0, 0, {5}))).empty());
    EXPECT_EQ(identities.of(user(1000, 0, {5})).uid, 1000U);
    EXPECT_EQ(identities.of(user(1000, 0, {5})).gid, 98U);
    EXPECT_EQ(groups_of(identities.of(user(1000, 0, {5}))), std::vector<std::uint32_t>{5});
    EXPECT_TRUE(groups_of(identities.of(user(1000, 100, {5, 0}))).empty());
}

TEST(Squash, of_root_goes_before_the_map) {
    NfsOptions options = mapped();
    options.squash = Squash::root;
    const Identities identities(options);
    EXPECT_EQ(identities.of(user(0, 100)).uid, 65534U);
    EXPECT_TRUE(groups_of(identities.of(user(1000, 100, {5, 0}))).empty());
}

TEST(Squash, of_all_leaves_nobody) {
    NfsOptions options;
    options.squash = Squash::all;
    options.groups = {{.uid = 1000, .groups = {7}}};
    const Identities identities(options);
    EXPECT_EQ(identities.of(user(1000, 100)).uid, 65534U);
    EXPECT_EQ(identities.of(user(1000, 100)).gid, 65534U);
    EXPECT_TRUE(groups_of(identities.of(user(1000, 100))).empty());
}

TEST(IdentityOptions, that_say_two_things_are_refused) {
    NfsOptions options = mapped();
    EXPECT_EQ(Identities::check(options), "");
    options.uid_map.push_back({.guest = 1999, .host = 1, .count = 1});
    EXPECT_EQ(Identities::check(options), "uid_map: ranges 1 and 2 overlap");
    options = {};
    options.user_names = {{.name = "a", .id = 1}, {.name = "a", .id = 2}};
    EXPECT_EQ(Identities::check(options), "nfs_user_names: 'a' stands there twice");
    options = {};
    options.groups = {{.uid = 1, .groups = {1}}, {.uid = 1, .groups = {2}}};
    EXPECT_EQ(Identities::check(options), "nfs_groups: user 1 stands there twice");
}

}  // namespace
}  // namespace dpfs::nfs
