// SPDX-License-Identifier: Apache-2.0
// Goal: what has a notation of its own is read as it is written, and nothing else is taken.
#include "daemon/text_forms.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace dpfs::daemon {
namespace {

template <class T>
std::string round_trip(std::string_view text) {
    const auto parsed = TextForm<T>::parse(text);
    return parsed ? TextForm<T>::print(*parsed) : "refused";
}

TEST(CpuListText, takes_single_cpus_and_ranges) {
    EXPECT_EQ(round_trip<CpuList>("2-5,8"), "2,3,4,5,8");
    EXPECT_EQ(round_trip<CpuList>(""), "");
}
TEST(CpuListText, refuses_what_is_no_list) {
    EXPECT_EQ(round_trip<CpuList>("5-2"), "refused");
    EXPECT_EQ(round_trip<CpuList>("a"), "refused");
    EXPECT_EQ(round_trip<CpuList>("1,,2"), "refused");
    EXPECT_EQ(round_trip<CpuList>("-1"), "refused");
}
TEST(CpuListText, refuses_a_range_that_would_fill_the_memory) {
    EXPECT_EQ(round_trip<CpuList>("0-4294967295"), "refused");
}
TEST(FileModeText, is_octal) {
    EXPECT_EQ(round_trip<FileMode>("0660"), "0660");
    EXPECT_EQ(round_trip<FileMode>("660"), "0660");
}
TEST(FileModeText, refuses_what_is_no_mode) {
    EXPECT_EQ(round_trip<FileMode>("0888"), "refused");
    EXPECT_EQ(round_trip<FileMode>("7777"), "refused");
    EXPECT_EQ(round_trip<FileMode>("rw"), "refused");
}
TEST(IdRangeText, has_three_numbers) {
    EXPECT_EQ(round_trip<ids::IdRange>("0:100000:65536"), "0:100000:65536");
}
TEST(IdRangeText, refuses_what_is_no_range) {
    EXPECT_EQ(round_trip<ids::IdRange>("0:1"), "refused");
    EXPECT_EQ(round_trip<ids::IdRange>("0:1:0"), "refused");
    EXPECT_EQ(round_trip<ids::IdRange>("0:1:2:3"), "refused");
    EXPECT_EQ(round_trip<ids::IdRange>("-1:1:2"), "refused");
}
TEST(IdRangeText, refuses_a_range_that_reaches_the_id_that_is_none) {
    EXPECT_EQ(round_trip<ids::IdRange>("0:4294967290:5"), "0:4294967290:5");
    EXPECT_EQ(round_trip<ids::IdRange>("0:4294967290:6"), "refused");
}
TEST(XattrRuleText, has_three_actions) {
    EXPECT_EQ(round_trip<mirror::XattrRule>("pass:user."), "pass:user.");
    EXPECT_EQ(round_trip<mirror::XattrRule>("refuse:"), "refuse:");
    EXPECT_EQ(round_trip<mirror::XattrRule>("prefix:trusted.:user.guest."),
              "prefix:trusted.:user.guest.");
}
TEST(XattrRuleText, refuses_what_is_no_rule) {
    EXPECT_EQ(round_trip<mirror::XattrRule>("pass"), "refused");
    EXPECT_EQ(round_trip<mirror::XattrRule>("prefix:trusted."), "refused");
    EXPECT_EQ(round_trip<mirror::XattrRule>("pass:a:b"), "refused");
    EXPECT_EQ(round_trip<mirror::XattrRule>("allow:user."), "refused");
}

TEST(OwnerNameText, has_a_name_and_a_number) {
    EXPECT_EQ(round_trip<nfs::OwnerName>("alice@example.org:1000"), "alice@example.org:1000");
    EXPECT_EQ(round_trip<nfs::OwnerName>("a:b:7"), "a:b:7");
}
TEST(OwnerNameText, refuses_what_lacks_one) {
    EXPECT_EQ(round_trip<nfs::OwnerName>("alice"), "refused");
    EXPECT_EQ(round_trip<nfs::OwnerName>(":1000"), "refused");
    EXPECT_EQ(round_trip<nfs::OwnerName>("alice:x"), "refused");
    EXPECT_EQ(round_trip<nfs::OwnerName>("alice:4294967295"), "refused");
}

TEST(UserGroupsText, has_a_user_and_groups) {
    EXPECT_EQ(round_trip<nfs::UserGroups>("1000:50"), "1000:50");
    EXPECT_EQ(round_trip<nfs::UserGroups>("1000:50,60"), "1000:50,60");
}
TEST(UserGroupsText, refuses_what_is_no_list_of_groups) {
    EXPECT_EQ(round_trip<nfs::UserGroups>("1000"), "refused");
    EXPECT_EQ(round_trip<nfs::UserGroups>("1000:"), "refused");
    EXPECT_EQ(round_trip<nfs::UserGroups>("1000:x"), "refused");
    EXPECT_EQ(round_trip<nfs::UserGroups>("1000:5,,6"), "refused");
    EXPECT_EQ(round_trip<nfs::UserGroups>("1:1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17"),
              "refused");
}

}  // namespace
}  // namespace dpfs::daemon
