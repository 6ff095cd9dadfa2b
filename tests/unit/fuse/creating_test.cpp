// SPDX-License-Identifier: Apache-2.0
// Goal: labels and groups of requests that make an inode reach the file system, in the form
// that kernels since 7.38 send them and in the one before; callers without an id are nobody.
#include "fuse/wire_inode.hpp"
#include "session_fixture.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dpfs::fuse::test {
namespace {

using testing::ElementsAre;
using wire::Opcode;

wire::InHeader header(std::uint16_t extension_units) {
    wire::InHeader made{};
    made.unique = 7;
    made.nodeid = 1;
    made.uid = 1000;
    made.gid = 100;
    made.total_extlen = extension_units;
    return made;
}

Message mkdir_arguments() {
    return Message().add(wire::MkdirIn{.mode = 0755, .umask = 022}).add_string("dir");
}

/// fuse_secctx_header and fuse_secctx: 8 + 8 + "security.selinux" and NUL + "label" = 38,
/// padded.
Message label() {
    return Message()
        .add(wire::ExtHeader{.size = 40, .type = 1})
        .add(wire::SecCtx{.size = 5, .padding = 0})
        .add_string("security.selinux")
        .add_text("label")
        .fill(2);
}

Message group(std::uint32_t id) {
    return Message()
        .add(wire::ExtHeader{.size = 16, .type = wire::ext_groups})
        .add(wire::SuppGroups{.nr_groups = 1})
        .add(id);
}

TEST(Creating, brings_label_and_group_to_the_file_system) {
    SessionFixture fixture;
    fixture.mount();
    const Message arguments =
        mkdir_arguments().add_bytes(label().bytes()).add_bytes(group(2000).bytes());
    for (const Layout layout : layouts) {
        fixture.files.calls.clear();
        fixture.ask(make_request(Opcode::mkdir, arguments, header(7)), 4096, layout);
        EXPECT_THAT(fixture.files.calls,
                    ElementsAre("mkdir 1 dir 755 22 security.selinux=label"));
        EXPECT_THAT(fixture.files.caller.group_list(), ElementsAre(2000U));
    }
}

TEST(Creating, forgets_the_groups_with_the_next_request) {
    SessionFixture fixture;
    fixture.mount();
    const Message arguments = mkdir_arguments().add_bytes(group(2000).bytes());
    fixture.ask(make_request(Opcode::mkdir, arguments, header(2)));
    EXPECT_EQ(fixture.files.caller.group_count, 1U);
    fixture.ask(make_request(Opcode::mkdir, mkdir_arguments()));
    EXPECT_EQ(fixture.files.caller.group_count, 0U);
}

TEST(Creating, takes_the_label_of_kernels_before_7_38) {
    SessionFixture fixture;
    fixture.mount();
    fixture.ask(make_request(
        Opcode::symlink,
        Message().add_string("link").add_string("target").add_bytes(label().bytes()),
        header(0)));
    EXPECT_THAT(fixture.files.calls,
                ElementsAre("symlink 1 link target security.selinux=label"));
}

TEST(Creating, refuses_bytes_behind_the_name_where_no_label_was_agreed_on) {
    SessionFixture fixture;
    fixture.files.flags_kept = ~wire::init::security_ctx;
    fixture.mount();
    const auto request = fixture.ask(
        make_request(Opcode::mkdir, mkdir_arguments().add_bytes(label().bytes()), header(0)));
    EXPECT_EQ(request->out_header().error, -EINVAL);
}

TEST(Creating, makes_a_regular_file_of_a_mode_without_a_type) {
    SessionFixture fixture;
    fixture.mount();
    const wire::MknodIn in{.mode = 0600, .rdev = 0, .umask = 0, .padding = 0};
    fixture.ask(make_request(Opcode::mknod, Message().add(in).add_string("f")));
    EXPECT_THAT(fixture.files.calls, ElementsAre("mknod 1 f 100600 0 0 -"));
}

TEST(Creating, acts_as_nobody_where_the_caller_is_not_named) {
    SessionFixture fixture;
    fixture.mount();
    wire::InHeader anonymous = header(0);
    anonymous.uid = anonymous.gid = wire::invalid_uid_gid;
    fixture.ask(make_request(Opcode::lookup, Message().add_string("n"), anonymous));
    EXPECT_EQ(fixture.files.caller.uid, 65534U);
    EXPECT_EQ(fixture.files.caller.gid, 65534U);
}

TEST(Creating, takes_setxattr_in_of_8_bytes_without_the_extension) {
    SessionFixture fixture;
    fixture.files.flags_kept = ~wire::init::setxattr_ext;
    fixture.mount();
    const wire::GetxattrIn short_in{.size = 3, .padding = 2};  // size, flags
    fixture.ask(make_request(Opcode::setxattr,
                             Message().add(short_in).add_string("user.a").add_text("abc")));
    EXPECT_THAT(fixture.files.calls, ElementsAre("setxattr 1 user.a abc 2 false"));
}

}  // namespace
}  // namespace dpfs::fuse::test
