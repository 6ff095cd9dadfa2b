// SPDX-License-Identifier: Apache-2.0
// What a server refuses in words of its own becomes an errno that a program knows, or one with
// which the tenant's kernel does the work itself.
#include "nfs_fixture.hpp"

namespace dpfs::nfs {
namespace {

using nfs4::Op;
using nfs4::Status;

class NfsRefusalTest : public NfsTest {
  protected:
    Result<void> set_attribute(fuse::NodeId node, std::size_t size) {
        const std::vector<std::byte> value(size, std::byte{'v'});
        return run(fs().setxattr(context(), node, "user.name", value, 0, false));
    }
    Result<std::size_t> copy(fuse::NodeId node,
                             fuse::FileHandle handle,
                             std::uint64_t from_offset,
                             std::uint64_t size) {
        fuse::CopyRequest request = {};
        request.from = request.to = node;
        request.from_handle = request.to_handle = handle;
        request.from_offset = from_offset;
        request.to_offset = 0;
        request.size = size;
        return run(fs().copy_file_range(context(), request));
    }
};

TEST_F(NfsRefusalTest, an_attribute_that_the_server_cannot_read_is_too_big) {
    peer.add_file("a");
    const fuse::NodeId node = look_up("a");
    peer.cannot_read(Op::setxattr);
    EXPECT_EQ(set_attribute(node, 8192).error(), Errno::too_big);
    EXPECT_TRUE(open(node)) << "the slot goes on";
}

TEST_F(NfsRefusalTest, many_attributes_that_the_server_cannot_read_are_few_lines_in_the_log) {
    peer.add_file("a");
    const fuse::NodeId node = look_up("a");
    peer.cannot_read(Op::setxattr);
    const int before = log_line_count();
    for (int i = 0; i < 200; ++i) ASSERT_FALSE(set_attribute(node, 8192));
    const int count = log_line_count() - before;
    EXPECT_GE(count, 1);
    EXPECT_LT(count, 100) << "four, and one for each second";
}

TEST_F(NfsRefusalTest, an_attribute_that_is_badxdr_is_too_big) {
    peer.add_file("a");
    const fuse::NodeId node = look_up("a");
    peer.answer(Op::setxattr, Status::badxdr);
    EXPECT_EQ(set_attribute(node, 8192).error(), Errno::too_big);
}

TEST_F(NfsRefusalTest, no_server_is_asked_for_attributes_of_a_fifo) {
    peer.add_fifo("a");
    const fuse::NodeId node = look_up("a");
    peer.take_record();
    EXPECT_EQ(run(fs().listxattr(context(), node, {})).value(), 0U);
    EXPECT_EQ(run(fs().getxattr(context(), node, "user.name", {})).error(), Errno::no_data);
    EXPECT_EQ(set_attribute(node, 1).error(), Errno::not_permitted);
    EXPECT_EQ(run(fs().removexattr(context(), node, "user.name")).error(),
              Errno::not_permitted);
    EXPECT_TRUE(peer.take_record().empty());
}

TEST_F(NfsRefusalTest, a_version_without_attributes_has_an_empty_list_of_them) {
    options.client.minor_version = 1;
    peer.add_file("a");
    const fuse::NodeId node = look_up("a");
    EXPECT_EQ(run(fs().listxattr(context(), node, {})).value(), 0U);
    EXPECT_EQ(set_attribute(node, 1).error(), Errno::not_implemented);
}

TEST_F(NfsRefusalTest, a_copy_within_a_file_is_left_to_the_tenant) {
    peer.add_file("a");
    const fuse::NodeId node = look_up("a");
    const auto file = open(node);
    ASSERT_TRUE(write(node, file->handle, 0, "0123456789"));
    peer.answer(Op::copy, Status::inval);
    EXPECT_EQ(copy(node, file->handle, 5, 5).error(), Errno::not_supported);
}

TEST_F(NfsRefusalTest, a_copy_onto_itself_is_invalid) {
    peer.add_file("a");
    const fuse::NodeId node = look_up("a");
    const auto file = open(node);
    ASSERT_TRUE(write(node, file->handle, 0, "0123456789"));
    peer.answer(Op::copy, Status::inval);
    EXPECT_EQ(copy(node, file->handle, 4, 5).error(), Errno::invalid);
}

}  // namespace
}  // namespace dpfs::nfs
