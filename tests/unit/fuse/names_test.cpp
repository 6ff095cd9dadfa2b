// SPDX-License-Identifier: Apache-2.0
// Goal: what a tenant calls a name, an attribute or an extension is one, or is refused.
#include "fuse/arguments.hpp"
#include "fuse/extensions.hpp"
#include "fuse/wire.hpp"
#include "message.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dpfs::fuse::test {
namespace {

using testing::ElementsAre;

std::string text_of(std::span<const std::byte> bytes) {
    std::string text;
    for (const std::byte byte : bytes) text.push_back(std::to_integer<char>(byte));
    return text;
}

Errno error_of(std::string_view name) {
    const auto checked = Name::check(name);
    return checked ? Errno{0} : checked.error();
}

TEST(Name, takes_what_linux_takes) {
    EXPECT_EQ(error_of("a"), Errno{0});
    EXPECT_EQ(error_of("..."), Errno{0});
    EXPECT_EQ(error_of(".hidden"), Errno{0});
    EXPECT_EQ(error_of("new\nline"), Errno{0});
    EXPECT_EQ(error_of("\xff\xfe"), Errno{0});
    EXPECT_EQ(error_of(std::string(255, 'n')), Errno{0});
}

TEST(Name, refuses_what_is_no_component) {
    EXPECT_EQ(error_of(""), Errno::invalid);
    EXPECT_EQ(error_of("."), Errno::invalid);
    EXPECT_EQ(error_of(".."), Errno::invalid);
    EXPECT_EQ(error_of("a/b"), Errno::invalid);
    EXPECT_EQ(error_of("/"), Errno::invalid);
    EXPECT_EQ(error_of(std::string_view("a\0b", 3)), Errno::invalid);
    EXPECT_EQ(error_of(std::string(256, 'n')), Errno::name_too_long);
}

TEST(Text, gives_one_string_after_the_other) {
    const Message message = Message().add_string("one").add_string("").add_text("rest");
    const std::string bytes = text_of(message.bytes());
    Text text(bytes);
    EXPECT_EQ(text.string(10), "one");
    EXPECT_EQ(text.string(10), "");
    EXPECT_EQ(text.left().size(), 4U);
    EXPECT_EQ(text.string(10).error(), Errno::invalid);
    EXPECT_EQ(text.string(3).error(), Errno::name_too_long);
    EXPECT_FALSE(text.end());
}

TEST(Text, has_nothing_behind_its_end) {
    Text text({});
    EXPECT_TRUE(text.end());
    EXPECT_EQ(text.string(10).error(), Errno::invalid);
    EXPECT_EQ(text.take_tail(1).error(), Errno::invalid);
}

TEST(Text, names_of_attributes_are_what_setxattr_takes) {
    const Message longest = Message().fill(255, std::byte{'x'}).fill(1);
    const Message too_long = Message().fill(256, std::byte{'x'}).fill(1);
    EXPECT_TRUE(Text(text_of(longest.bytes())).xattr_name());
    EXPECT_EQ(Text(text_of(too_long.bytes())).xattr_name().error(), Errno::range);
    EXPECT_EQ(Text(text_of(Message().add_string("").bytes())).xattr_name().error(),
              Errno::range);
    EXPECT_EQ(Text(text_of(Message().add_text("x").bytes())).xattr_name().error(),
              Errno::invalid);
}

Message groups(std::initializer_list<std::uint32_t> ids) {
    const std::size_t size =
        sizeof(wire::ExtHeader) + sizeof(wire::SuppGroups) + 4 * ids.size();
    Message made;
    made.add(wire::ExtHeader{.size = static_cast<std::uint32_t>(wire::record_align(size)),
                             .type = wire::ext_groups})
        .add(wire::SuppGroups{.nr_groups = static_cast<std::uint32_t>(ids.size())});
    for (const std::uint32_t id : ids) made.add(id);
    return made.fill(wire::record_align(size) - size);
}

Message label(std::string_view name, std::string_view value) {
    const std::size_t size = sizeof(wire::SecCtx) + name.size() + 1 + value.size();
    return Message()
        .add(wire::ExtHeader{.size = static_cast<std::uint32_t>(8 + wire::record_align(size)),
                             .type = 1})
        .add(wire::SecCtx{.size = static_cast<std::uint32_t>(value.size()), .padding = 0})
        .add_string(name)
        .add_text(value)
        .fill(wire::record_align(size) - size);
}

TEST(Extensions, none_are_none) {
    reactor::Credentials caller;
    const auto security = parse_extensions({}, caller);
    EXPECT_EQ(security->name, "");
    EXPECT_EQ(caller.group_count, 0U);
}

TEST(Extensions, give_the_group_that_linux_sends) {
    reactor::Credentials caller;
    ASSERT_TRUE(parse_extensions(text_of(groups({2000}).bytes()), caller));
    EXPECT_THAT(caller.group_list(), ElementsAre(2000U));
}

TEST(Extensions, give_label_and_groups_in_any_order) {
    Message both = label("security.selinux", "a:b:c");
    both.add_bytes(groups({1, 2, 3}).bytes());
    Message swapped = groups({1, 2, 3});
    swapped.add_bytes(label("security.selinux", "a:b:c").bytes());
    for (const Message& message : {both, swapped}) {
        reactor::Credentials caller;
        const std::string bytes = text_of(message.bytes());
        const auto security = parse_extensions(bytes, caller);
        ASSERT_TRUE(security);
        EXPECT_EQ(security->name, "security.selinux");
        EXPECT_EQ(text_of(security->value), "a:b:c");
        EXPECT_THAT(caller.group_list(), ElementsAre(1U, 2U, 3U));
    }
}

TEST(Extensions, skip_what_later_versions_add) {
    reactor::Credentials caller;
    Message message = Message().add(wire::ExtHeader{.size = 24, .type = 77}).fill(16);
    message.add_bytes(groups({5}).bytes());
    ASSERT_TRUE(parse_extensions(text_of(message.bytes()), caller));
    EXPECT_THAT(caller.group_list(), ElementsAre(5U));
}

TEST(Extensions, take_a_count_of_no_labels) {
    // What Linux sends with FUSE_SECURITY_CTX when no module has a label.
    reactor::Credentials caller;
    const Message message = Message().add(wire::ExtHeader{.size = 8, .type = 0});
    const std::string bytes = text_of(message.bytes());
    const auto security = parse_extensions(bytes, caller);
    ASSERT_TRUE(security);
    EXPECT_EQ(security->name, "");
}

TEST(Extensions, hold_at_most_32_groups) {
    reactor::Credentials caller;
    const Message message = Message()
                                .add(wire::ExtHeader{.size = 144, .type = wire::ext_groups})
                                .add(wire::SuppGroups{.nr_groups = 33})
                                .fill(132);
    EXPECT_EQ(parse_extensions(text_of(message.bytes()), caller).error(), Errno::invalid);
}

}  // namespace
}  // namespace dpfs::fuse::test
