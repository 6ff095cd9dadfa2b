// SPDX-License-Identifier: Apache-2.0
// Goal: nothing that a tenant can put into a queue does more than fail: one completion, with
// the errno that Linux would use, and the file system has not been asked for anything it must
// not be. Method: a catalogue of wrong requests, and every request cut off at every byte, each
// byte of memory in an allocation of its own under sanitizers.
#include "fuse/wire_file.hpp"
#include "fuse/wire_inode.hpp"
#include "operation_cases.hpp"
#include "session_fixture.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace dpfs::fuse::test {
namespace {

using testing::IsEmpty;
using wire::Opcode;

class Cut : public testing::TestWithParam<OperationCase> {
  protected:
    void SetUp() override { fixture.mount(); }
    SessionFixture fixture;
};

TEST_P(Cut, requests_are_completed_once_at_every_length) {
    // in_header.len says more than there is.
    for (std::size_t size = 0; size < GetParam().request.size(); ++size) {
        const Bytes cut(GetParam().request.begin(),
                        GetParam().request.begin() + static_cast<std::ptrdiff_t>(size));
        const auto request = fixture.ask(cut, GetParam().reply_room, Layout::one_byte_each);
        ASSERT_EQ(request->completions, 1) << size;
        if (GetParam().reply_room < sizeof(wire::OutHeader)) continue;
        ASSERT_EQ(request->out_header().error, -EIO) << size;
        ASSERT_EQ(request->size, sizeof(wire::OutHeader)) << size;
    }
    EXPECT_THAT(fixture.files.calls, IsEmpty());
}

TEST_P(Cut, arguments_are_refused_at_every_length) {
    // in_header.len says what there is. A shorter one is no request of this kind, but for the
    // name of TMPFILE, which means nothing.
    const std::size_t end = GetParam().name == "tmpfile" ? 56 : GetParam().request.size();
    for (std::size_t size = sizeof(wire::InHeader); size < end; ++size) {
        Bytes cut(GetParam().request.begin(),
                  GetParam().request.begin() + static_cast<std::ptrdiff_t>(size));
        const auto len = static_cast<std::uint32_t>(size);
        std::memcpy(cut.data(), &len, sizeof(len));
        const auto request = fixture.ask(cut, GetParam().reply_room);
        ASSERT_EQ(request->completions, 1) << size;
        if (!GetParam().has_reply) continue;
        ASSERT_EQ(request->out_header().error, -EINVAL) << size;
        ASSERT_EQ(request->size, sizeof(wire::OutHeader)) << size;
    }
    EXPECT_THAT(fixture.files.calls, IsEmpty());
}

TEST_P(Cut, replies_that_have_no_room_are_refused_before_anything_is_done) {
    if (!GetParam().has_reply || GetParam().name.starts_with("read")) GTEST_SKIP();
    for (std::size_t room = 0; room < GetParam().reply_room; ++room) {
        const auto request = fixture.ask(GetParam().request, room, Layout::one_byte_each);
        ASSERT_EQ(request->completions, 1) << room;
        if (room < sizeof(wire::OutHeader)) {
            ASSERT_EQ(request->size, 0U) << room;
        } else {
            ASSERT_EQ(request->size, sizeof(wire::OutHeader)) << room;
            ASSERT_TRUE(request->out_header().error == -EIO ||
                        request->out_header().error == -EINVAL)
                << room;
        }
    }
    EXPECT_THAT(fixture.files.calls, IsEmpty());
}

std::string name_of(const testing::TestParamInfo<OperationCase>& info) {
    std::string name = info.param.name;
    std::ranges::replace(name, ' ', '_');
    return name;
}

INSTANTIATE_TEST_SUITE_P(Each, Cut, testing::ValuesIn(operation_cases()), name_of);

struct Wrong {
    std::string name;
    Bytes request;
    int error;
    std::size_t reply_room = 4096;
};

std::ostream& operator<<(std::ostream& to, const Wrong& wrong) {
    return to << wrong.name;
}

class Catalogue : public testing::TestWithParam<Wrong> {};

/// What INIT allows here: small, because some layouts have a descriptor for each byte.
constexpr std::uint32_t write_size_max = 65536;

TEST_P(Catalogue, is_refused_with_the_errno_of_linux) {
    SessionOptions options;
    options.request_size_max = write_size_max;
    SessionFixture fixture(1, options);
    fixture.mount();
    for (const Layout layout : layouts) {
        const auto request = fixture.ask(GetParam().request, GetParam().reply_room, layout);
        EXPECT_EQ(request->completions, 1);
        EXPECT_EQ(-request->out_header().error, GetParam().error);
        EXPECT_EQ(request->size, sizeof(wire::OutHeader));
        EXPECT_EQ(request->out_header().unique, 7U);
    }
    EXPECT_THAT(fixture.files.calls, IsEmpty());
}

Bytes lookup(const Message& name) {
    return make_request(Opcode::lookup, name);
}

Bytes with_len(Bytes request, std::uint32_t len) {
    std::memcpy(request.data(), &len, sizeof(len));
    return request;
}

Bytes with_extensions(Opcode opcode, const Message& arguments, std::uint16_t units) {
    return make_request(opcode,
                        arguments,
                        {.len = 0,
                         .opcode = 0,
                         .unique = 7,
                         .nodeid = 1,
                         .uid = 0,
                         .gid = 0,
                         .pid = 0,
                         .total_extlen = units,
                         .padding = 0});
}

std::vector<Wrong> wrong_names() {
    const Message mkdir =
        Message().add(wire::MkdirIn{.mode = 0755, .umask = 0}).add_string("d");
    const Message rename = Message().add(wire::RenameIn{.newdir = 1});
    const auto ext = [&](std::uint32_t size, std::uint32_t type, std::size_t rest) {
        Message made = mkdir;
        made.add(wire::ExtHeader{.size = size, .type = type}).fill(rest);
        return with_extensions(Opcode::mkdir, made, static_cast<std::uint16_t>((8 + rest) / 8));
    };
    const auto groups = [&](std::uint32_t count) {
        Message made = mkdir;
        made.add(wire::ExtHeader{.size = 16, .type = wire::ext_groups})
            .add(wire::SuppGroups{.nr_groups = count})
            .fill(4);
        return with_extensions(Opcode::mkdir, made, 2);
    };
    const auto label = [&](std::uint32_t value_size, std::string_view name) {
        Message made = mkdir;
        made.add(wire::ExtHeader{.size = 40, .type = 1})
            .add(wire::SecCtx{.size = value_size, .padding = 0})
            .add_string(name)
            .fill(23 - name.size());
        return with_extensions(Opcode::mkdir, made, 5);
    };
    return {
        {"empty_name", lookup(Message().add_string("")), EINVAL},
        {"name_with_slash", lookup(Message().add_string("a/b")), EINVAL},
        {"name_dot", lookup(Message().add_string(".")), EINVAL},
        {"name_dot_dot", lookup(Message().add_string("..")), EINVAL},
        {"name_without_nul", lookup(Message().add_text("abc")), EINVAL},
        {"name_with_nul_inside", lookup(Message().add_string("a").add_string("b")), EINVAL},
        {"name_of_256_bytes",
         lookup(Message().fill(256, std::byte{'n'}).fill(1)),
         ENAMETOOLONG},
        {"name_of_64_kib", lookup(Message().fill(65536, std::byte{'n'}).fill(1)), ENAMETOOLONG},
        {"endless_name", lookup(Message().fill(300, std::byte{'n'})), ENAMETOOLONG},
        {"unlink_dot_dot", make_request(Opcode::unlink, Message().add_string("..")), EINVAL},
        {"rmdir_slash", make_request(Opcode::rmdir, Message().add_string("/")), EINVAL},
        {"rename_to_dot_dot",
         make_request(Opcode::rename, Message(rename).add_string("a").add_string("..")),
         EINVAL},
        {"rename_without_target",
         make_request(Opcode::rename, Message(rename).add_string("abc")),
         EINVAL},
        {"rename_with_three_names",
         make_request(Opcode::rename,
                      Message(rename).add_string("a").add_string("b").add_string("c")),
         EINVAL},
        {"symlink_without_target",
         make_request(Opcode::symlink, Message().add_string("l")),
         EINVAL},
        {"symlink_to_nothing",
         make_request(Opcode::symlink, Message().add_string("l").add_string("")),
         ENOENT},
        {"symlink_to_4096_bytes",
         make_request(Opcode::symlink,
                      Message().add_string("l").fill(4096, std::byte{'t'}).fill(1)),
         ENAMETOOLONG},
        {"extensions_larger_than_request", with_extensions(Opcode::mkdir, mkdir, 9), EINVAL},
        {"extensions_that_eat_the_name", with_extensions(Opcode::mkdir, mkdir, 1), EINVAL},
        {"extension_of_size_0", ext(0, wire::ext_groups, 8), EINVAL},
        {"extension_larger_than_area", ext(24, wire::ext_groups, 8), EINVAL},
        {"extension_groups_without_count", ext(8, wire::ext_groups, 0), EINVAL},
        {"extension_of_more_groups_than_it_holds", groups(2), EINVAL},
        {"extension_of_4_billion_groups", groups(0xffff'ffff), EINVAL},
        {"extension_label_longer_than_area", label(24, "security.selinux"), EINVAL},
        {"extension_label_not_of_security", label(3, "user.x"), EINVAL},
        {"extension_label_without_name", label(3, ""), EINVAL},
    };
}

wire::ReadIn read_of(std::uint64_t offset, std::uint32_t size) {
    return {.fh = 1,
            .offset = offset,
            .size = size,
            .read_flags = 0,
            .lock_owner = 0,
            .flags = 0,
            .padding = 0};
}

Bytes write_of(std::uint64_t offset, std::uint32_t size, std::size_t data) {
    const wire::WriteIn in{.fh = 1,
                           .offset = offset,
                           .size = size,
                           .write_flags = 0,
                           .lock_owner = 0,
                           .flags = 0,
                           .padding = 0};
    return make_request(Opcode::write, Message().add(in).fill(data));
}

Bytes lock_of(std::uint32_t type, std::uint64_t start, std::uint64_t end) {
    return make_request(
        Opcode::setlk,
        Message().add(wire::LkIn{.fh = 1,
                                 .owner = 1,
                                 .lk = {.start = start, .end = end, .type = type, .pid = 0},
                                 .lk_flags = 0,
                                 .padding = 0}));
}

Bytes fallocate_of(std::uint32_t mode, std::uint64_t offset, std::uint64_t length) {
    return make_request(
        Opcode::fallocate,
        Message().add(wire::FallocateIn{
            .fh = 1, .offset = offset, .length = length, .mode = mode, .padding = 0}));
}

Bytes copy_of(std::uint64_t from, std::uint64_t size, std::uint64_t flags) {
    return make_request(Opcode::copy_file_range_64,
                        Message().add(wire::CopyFileRangeIn{.fh_in = 1,
                                                            .off_in = from,
                                                            .nodeid_out = 1,
                                                            .fh_out = 1,
                                                            .off_out = 0,
                                                            .len = size,
                                                            .flags = flags}));
}

Bytes ioctl_of(std::uint32_t flags, std::uint32_t in_size, std::uint32_t out_size) {
    return make_request(Opcode::ioctl,
                        Message().add(wire::IoctlIn{.fh = 1,
                                                    .flags = flags,
                                                    .cmd = 1,
                                                    .arg = 1,
                                                    .in_size = in_size,
                                                    .out_size = out_size}));
}

std::vector<Wrong> wrong_numbers() {
    const std::uint64_t top = INT64_MAX;
    const auto read = [](const wire::ReadIn& in) {
        return make_request(Opcode::read, Message().add(in));
    };
    return {
        {"read_larger_than_its_room", read(read_of(0, 4081)), EINVAL},
        {"read_of_4_gib", read(read_of(0, 0xffff'ffff)), EINVAL},
        {"read_at_a_negative_offset", read(read_of(top + 1, 1)), EINVAL},
        {"read_over_the_largest_offset", read(read_of(top, 1)), EINVAL},
        {"write_of_more_than_it_brings", write_of(0, 9, 8), EINVAL},
        {"write_of_more_than_init_allowed",
         write_of(0, write_size_max + 1, write_size_max + 1),
         EINVAL},
        {"write_over_the_largest_offset", write_of(top - 7, 8, 8), EINVAL},
        {"lock_of_an_unknown_type", lock_of(3, 0, 1), EINVAL},
        {"lock_that_ends_before_it_starts", lock_of(F_RDLCK, 2, 1), EINVAL},
        {"lock_beyond_offset_max", lock_of(F_RDLCK, 0, top + 1), EINVAL},
        {"fallocate_of_nothing", fallocate_of(0, 0, 0), EINVAL},
        {"fallocate_of_an_unknown_mode", fallocate_of(0x8, 0, 1), EOPNOTSUPP},
        {"fallocate_over_the_largest_offset", fallocate_of(0, top, 2), EFBIG},
        {"lseek_to_the_end",
         make_request(Opcode::lseek,
                      Message().add(wire::LseekIn{
                          .fh = 1, .offset = 0, .whence = SEEK_END, .padding = 0})),
         EINVAL},
        {"lseek_to_a_negative_offset",
         make_request(Opcode::lseek,
                      Message().add(wire::LseekIn{
                          .fh = 1, .offset = top + 1, .whence = SEEK_DATA, .padding = 0})),
         ENXIO},
        {"copy_with_flags", copy_of(0, 1, 1), EINVAL},
        {"copy_over_the_largest_offset", copy_of(top, 2, 0), EINVAL},
        {"unrestricted_ioctl", ioctl_of(wire::ioctl_flag::unrestricted, 0, 0), EINVAL},
        {"ioctl_with_more_input_than_it_brings", ioctl_of(0, 1, 0), EINVAL},
        {"ioctl_with_more_output_than_room", ioctl_of(0, 0, 4065), EINVAL},
        {"ioctl_of_4_gib", ioctl_of(0, 0xffff'ffff, 0xffff'ffff), EINVAL},
        {"bmap_of_blocks_of_size_0",
         make_request(Opcode::bmap,
                      Message().add(wire::BmapIn{.block = 1, .blocksize = 0, .padding = 0})),
         EINVAL},
        {"access_of_an_unknown_kind",
         make_request(Opcode::access, Message().add(wire::AccessIn{.mask = 8, .padding = 0})),
         EINVAL},
    };
}

Bytes setattr_of(std::uint32_t valid, std::uint64_t size, std::uint32_t nanoseconds) {
    wire::SetattrIn in{};
    in.valid = valid;
    in.size = size;
    in.mtimensec = nanoseconds;
    return make_request(Opcode::setattr, Message().add(in));
}

Bytes setxattr_of(std::uint32_t size, std::uint32_t flags, const Message& rest) {
    Message made;
    made.add(wire::SetxattrIn{.size = size, .flags = flags, .setxattr_flags = 0, .padding = 0})
        .add_bytes(rest.bytes());
    return make_request(Opcode::setxattr, made);
}

std::vector<Wrong> wrong_rest() {
    const Message name = Message().add_string("user.a");
    const Message long_name = Message().fill(256, std::byte{'x'}).fill(1);
    return {
        {"unknown_opcode", make_request(Opcode{54}, {}), ENOSYS},
        {"opcode_with_a_hole", make_request(Opcode{7}, {}), ENOSYS},
        {"opcode_of_cuse", make_request(Opcode{4096}, {}), ENOSYS},
        {"opcode_of_the_other_endian", make_request(Opcode{436207616}, {}), ENOSYS},
        {"setupmapping", make_request(Opcode::setupmapping, Message().fill(40)), ENOSYS},
        {"notify_reply", make_request(Opcode::notify_reply, Message().fill(40)), ENOSYS},
        {"header_of_no_length", with_len(lookup(Message().add_string("n")), 0), EIO},
        {"header_shorter_than_itself", with_len(lookup(Message().add_string("n")), 39), EIO},
        {"header_longer_than_the_request",
         with_len(lookup(Message().add_string("n")), 43),
         EIO},
        {"header_of_4_gib", with_len(lookup(Message().add_string("n")), 0xffff'ffff), EIO},
        {"header_that_leaves_the_name_out",
         with_len(lookup(Message().add_string("n")), 40),
         EINVAL},
        {"mknod_of_a_directory",
         make_request(
             Opcode::mknod,
             Message()
                 .add(wire::MknodIn{.mode = S_IFDIR, .rdev = 0, .umask = 0, .padding = 0})
                 .add_string("d")),
         EINVAL},
        {"rename2_with_unknown_flags",
         make_request(Opcode::rename2,
                      Message()
                          .add(wire::Rename2In{.newdir = 1, .flags = 8, .padding = 0})
                          .add_string("a")
                          .add_string("b")),
         EINVAL},
        {"rename2_that_exchanges_and_does_not",
         make_request(Opcode::rename2,
                      Message()
                          .add(wire::Rename2In{.newdir = 1, .flags = 3, .padding = 0})
                          .add_string("a")
                          .add_string("b")),
         EINVAL},
        {"setattr_to_a_negative_size",
         setattr_of(wire::fattr::size, std::uint64_t{1} << 63, 0),
         EINVAL},
        {"setattr_of_a_second_of_nanoseconds",
         setattr_of(wire::fattr::mtime, 0, 1'000'000'000),
         EINVAL},
        {"setxattr_with_unknown_flags", setxattr_of(0, 4, name), EINVAL},
        {"setxattr_over_64_kib", setxattr_of(65537, 0, Message(name).fill(65537)), E2BIG},
        {"setxattr_longer_than_it_says", setxattr_of(2, 0, Message(name).fill(3)), EINVAL},
        {"setxattr_without_name", setxattr_of(0, 0, Message().add_string("")), ERANGE},
        {"setxattr_of_a_long_name", setxattr_of(0, 0, long_name), ERANGE},
        {"removexattr_of_a_long_name", make_request(Opcode::removexattr, long_name), ERANGE},
        {"getxattr_larger_than_its_room",
         make_request(Opcode::getxattr,
                      Message(Message().add(wire::GetxattrIn{.size = 4081, .padding = 0}))
                          .add_bytes(name.bytes())),
         EINVAL},
        {"getxattr_of_two_names",
         make_request(Opcode::getxattr,
                      Message()
                          .add(wire::GetxattrIn{.size = 8, .padding = 0})
                          .add_string("user.a")
                          .add_string("user.b")),
         EINVAL},
    };
}

std::string name_of_wrong(const testing::TestParamInfo<Wrong>& info) {
    return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(Names, Catalogue, testing::ValuesIn(wrong_names()), name_of_wrong);
INSTANTIATE_TEST_SUITE_P(Numbers, Catalogue, testing::ValuesIn(wrong_numbers()), name_of_wrong);
INSTANTIATE_TEST_SUITE_P(Rest, Catalogue, testing::ValuesIn(wrong_rest()), name_of_wrong);

TEST(Malformed, batch_forget_that_lies_about_its_count_forgets_nothing) {
    SessionFixture fixture;
    fixture.mount();
    const auto request =
        fixture.ask(make_request(Opcode::batch_forget,
                                 Message()
                                     .add(wire::BatchForgetIn{.count = 0xffff'ffff, .dummy = 0})
                                     .add(wire::ForgetOne{.nodeid = 8, .nlookup = 2})),
                    0);
    EXPECT_EQ(request->completions, 1);
    EXPECT_EQ(request->size, 0U);
    EXPECT_THAT(fixture.files.calls, IsEmpty());
}

TEST(Malformed, forget_never_has_a_reply_even_where_there_is_room) {
    SessionFixture fixture;
    fixture.mount();
    const auto request = fixture.ask(
        make_request(Opcode::forget, Message().add(wire::ForgetIn{.nlookup = 1})), 64);
    EXPECT_EQ(request->size, 0U);
}

TEST(Malformed, a_request_of_nothing_at_all_is_completed) {
    SessionFixture fixture;
    fixture.mount();
    EXPECT_EQ(fixture.ask({}, 0)->size, 0U);
    EXPECT_EQ(fixture.ask({}, 15)->size, 0U);
    EXPECT_EQ(fixture.ask({}, 16)->size, 16U);
}

TEST(Malformed, bytes_behind_the_length_are_no_part_of_the_request) {
    SessionFixture fixture;
    fixture.mount();
    Bytes request = lookup(Message().add_string("n"));
    request.resize(request.size() + 100, std::byte{'x'});
    EXPECT_EQ(fixture.ask(request)->out_header().error, 0);
    EXPECT_THAT(fixture.files.calls, testing::ElementsAre("lookup 1 n"));
}

}  // namespace
}  // namespace dpfs::fuse::test
