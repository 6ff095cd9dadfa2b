// SPDX-License-Identifier: Apache-2.0
// What is remembered about a server's file systems.
#include "fs/nfs/file_systems.hpp"

#include <gtest/gtest.h>

namespace dpfs::nfs {
namespace {

constexpr nfs4::FileSystemId one{1, 0};
constexpr nfs4::FileSystemId other{1, 1};

TEST(FileSystems, lack_nothing_until_a_server_says_so) {
    FileSystems systems;
    EXPECT_FALSE(systems.lacks(one, Feature::copy));
    EXPECT_TRUE(systems.set_lacks(one, Feature::copy));
    EXPECT_FALSE(systems.set_lacks(one, Feature::copy));
    EXPECT_TRUE(systems.lacks(one, Feature::copy));
}

TEST(FileSystems, differ_from_each_other_and_by_operation) {
    FileSystems systems;
    systems.set_lacks(one, Feature::copy);
    EXPECT_FALSE(systems.lacks(other, Feature::copy));
    EXPECT_FALSE(systems.lacks(one, Feature::clone));
}

TEST(FileSystems, have_facts_once_they_were_asked) {
    FileSystems systems;
    EXPECT_FALSE(systems.facts(one));
    systems.set_facts(one, {.has_xattr = true, .clone_block_size = 4096});
    EXPECT_EQ(systems.facts(one).value().clone_block_size, 4096U);
    EXPECT_FALSE(systems.facts(other));
}

TEST(FileSystems, are_found_out_again_after_a_restart_of_the_server) {
    FileSystems systems;
    systems.set_lacks(one, Feature::seek);
    systems.set_facts(one, {});
    systems.forget();
    EXPECT_FALSE(systems.lacks(one, Feature::seek));
    EXPECT_FALSE(systems.facts(one));
}

TEST(FileSystems, are_not_remembered_without_a_limit) {
    FileSystems systems(2);
    systems.set_lacks(one, Feature::seek);
    systems.set_lacks(other, Feature::seek);
    systems.set_lacks({2, 2}, Feature::seek);
    EXPECT_FALSE(systems.lacks(one, Feature::seek));
    EXPECT_TRUE(systems.lacks({2, 2}, Feature::seek));
}

}  // namespace
}  // namespace dpfs::nfs
