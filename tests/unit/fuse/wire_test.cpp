// SPDX-License-Identifier: Apache-2.0
// Goal: our declarations are the kernel's. Method: sizes, places and numbers compared with the
// installed header, which is older (7.38 on Debian 12); what came later is asserted by size
// where it is declared.
#include "fuse/wire.hpp"

#include "fuse/wire_file.hpp"
#include "fuse/wire_init.hpp"
#include "fuse/wire_inode.hpp"
#include "fuse/wire_notify.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <linux/fuse.h>
#include <utility>

namespace dpfs::fuse::test {
namespace {

template <class Ours, class Theirs>
constexpr bool same_size = sizeof(Ours) == sizeof(Theirs);

static_assert(same_size<wire::InHeader, fuse_in_header>);
static_assert(same_size<wire::OutHeader, fuse_out_header>);
static_assert(same_size<wire::InitIn, fuse_init_in>);
static_assert(same_size<wire::InitOut, fuse_init_out>);
static_assert(same_size<Attributes, fuse_attr>);
static_assert(same_size<wire::EntryOut, fuse_entry_out>);
static_assert(same_size<wire::AttrOut, fuse_attr_out>);
static_assert(same_size<wire::SetattrIn, fuse_setattr_in>);
static_assert(same_size<wire::StatfsOut, fuse_statfs_out>);
static_assert(same_size<wire::SetxattrIn, fuse_setxattr_in>);
static_assert(same_size<wire::ReadIn, fuse_read_in>);
static_assert(same_size<wire::WriteIn, fuse_write_in>);
static_assert(same_size<wire::LkIn, fuse_lk_in>);
static_assert(same_size<wire::IoctlIn, fuse_ioctl_in>);
static_assert(same_size<wire::CopyFileRangeIn, fuse_copy_file_range_in>);
static_assert(same_size<wire::NotifyRetrieveIn, fuse_notify_retrieve_in>);
static_assert(same_size<wire::NotifyInvalEntryOut, fuse_notify_inval_entry_out>);
static_assert(same_size<wire::ExtHeader, fuse_ext_header>);
static_assert(same_size<wire::SecCtx, fuse_secctx>);

TEST(Wire, fields_lie_where_the_kernel_has_them) {
    EXPECT_EQ(offsetof(wire::InHeader, total_extlen), offsetof(fuse_in_header, total_extlen));
    EXPECT_EQ(offsetof(wire::InHeader, uid), offsetof(fuse_in_header, uid));
    EXPECT_EQ(offsetof(wire::InitIn, flags2), offsetof(fuse_init_in, flags2));
    EXPECT_EQ(offsetof(wire::InitOut, max_write), offsetof(fuse_init_out, max_write));
    EXPECT_EQ(offsetof(wire::InitOut, max_pages), offsetof(fuse_init_out, max_pages));
    EXPECT_EQ(offsetof(wire::InitOut, flags2), offsetof(fuse_init_out, flags2));
    EXPECT_EQ(offsetof(Attributes, blksize), offsetof(fuse_attr, blksize));
    EXPECT_EQ(offsetof(Attributes, mode), offsetof(fuse_attr, mode));
    EXPECT_EQ(offsetof(wire::SetattrIn, mode), offsetof(fuse_setattr_in, mode));
    EXPECT_EQ(offsetof(wire::SetattrIn, gid), offsetof(fuse_setattr_in, gid));
    EXPECT_EQ(offsetof(wire::ReadIn, lock_owner), offsetof(fuse_read_in, lock_owner));
    EXPECT_EQ(offsetof(wire::WriteIn, flags), offsetof(fuse_write_in, flags));
    EXPECT_EQ(offsetof(wire::LkIn, lk_flags), offsetof(fuse_lk_in, lk_flags));
    EXPECT_EQ(offsetof(wire::StatfsOut, frsize), offsetof(fuse_statfs_out, st.frsize));
    EXPECT_EQ(offsetof(wire::Dirent, type), offsetof(fuse_dirent, type));
    EXPECT_EQ(sizeof(wire::Dirent), FUSE_NAME_OFFSET);
    EXPECT_EQ(sizeof(wire::EntryOut) + sizeof(wire::Dirent), FUSE_NAME_OFFSET_DIRENTPLUS);
}

TEST(Wire, numbers_are_the_kernels) {
    EXPECT_EQ(std::to_underlying(wire::Opcode::lookup), FUSE_LOOKUP);
    EXPECT_EQ(std::to_underlying(wire::Opcode::tmpfile), FUSE_TMPFILE);
    EXPECT_EQ(std::to_underlying(wire::Opcode::copy_file_range), FUSE_COPY_FILE_RANGE);
    EXPECT_EQ(std::to_underlying(wire::Opcode::batch_forget), FUSE_BATCH_FORGET);
    EXPECT_EQ(std::to_underlying(wire::NotifyCode::remove), FUSE_NOTIFY_DELETE);
    EXPECT_EQ(wire::init::async_read, FUSE_ASYNC_READ);
    EXPECT_EQ(wire::init::posix_acl, FUSE_POSIX_ACL);
    EXPECT_EQ(wire::init::handle_killpriv_v2, FUSE_HANDLE_KILLPRIV_V2);
    EXPECT_EQ(wire::init::security_ctx, FUSE_SECURITY_CTX);
    EXPECT_EQ(wire::init::has_expire_only, FUSE_HAS_EXPIRE_ONLY);
    EXPECT_EQ(wire::fattr::kill_suidgid, FATTR_KILL_SUIDGID);
    EXPECT_EQ(wire::fopen::parallel_direct_writes, FOPEN_PARALLEL_DIRECT_WRITES);
    EXPECT_EQ(wire::write_kill_suidgid, FUSE_WRITE_KILL_SUIDGID);
    EXPECT_EQ(wire::release_flock_unlock, FUSE_RELEASE_FLOCK_UNLOCK);
    EXPECT_EQ(wire::record_align(157), FUSE_DIRENT_ALIGN(157));
}

}  // namespace
}  // namespace dpfs::fuse::test
