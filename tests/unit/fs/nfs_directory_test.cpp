// SPDX-License-Identifier: Apache-2.0
// Listings of a directory that changes.
#include "nfs_fixture.hpp"

#include <gmock/gmock.h>

namespace dpfs::nfs {
namespace {

class NfsDirectoryTest : public NfsTest {
  protected:
    /// Bytes of a listing from its beginning.
    std::size_t list(fuse::FileHandle handle) {
        std::array<std::byte, 4096> room = {};
        const iovec to = {.iov_base = room.data(), .iov_len = room.size()};
        fuse::DirectoryWriter out(IovecCursor(std::span(&to, 1)), room.size(), false);
        EXPECT_TRUE(run(fs().readdir(context(), fuse::root_node, handle, 0, out)));
        return out.size();
    }
};

TEST_F(NfsDirectoryTest, a_listing_that_begins_again_shows_what_came_into_an_empty_one) {
    start();
    const auto dir = run(fs().opendir(context(), fuse::root_node, {}));
    const std::size_t dots = list(dir->handle);
    peer.add_file("new");
    EXPECT_GT(list(dir->handle), dots);
    EXPECT_TRUE(run(fs().releasedir(context(), fuse::root_node, dir->handle)));
}

TEST_F(NfsDirectoryTest, a_name_that_goes_meanwhile_does_not_end_a_listing) {
    peer.add_file("a");
    start();
    const auto dir = run(fs().opendir(context(), fuse::root_node, {}));
    const std::size_t whole = list(dir->handle);
    peer.answer(nfs4::Op::readdir, nfs4::Status::noent, 2);
    EXPECT_EQ(list(dir->handle), whole);
    EXPECT_TRUE(run(fs().releasedir(context(), fuse::root_node, dir->handle)));
}

TEST_F(NfsDirectoryTest, a_listing_that_fails_is_not_taken_for_its_end) {
    start();
    const auto dir = run(fs().opendir(context(), fuse::root_node, {}));
    peer.answer(nfs4::Op::readdir, nfs4::Status::noent, 1000);
    std::array<std::byte, 4096> room = {};
    const iovec to = {.iov_base = room.data(), .iov_len = room.size()};
    fuse::DirectoryWriter out(IovecCursor(std::span(&to, 1)), room.size(), false);
    constexpr std::uint64_t behind_dots = 2;
    EXPECT_EQ(
        run(fs().readdir(context(), fuse::root_node, dir->handle, behind_dots, out)).error(),
        Errno::io_error);
    EXPECT_TRUE(run(fs().releasedir(context(), fuse::root_node, dir->handle)));
}

}  // namespace
}  // namespace dpfs::nfs
