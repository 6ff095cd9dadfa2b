// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/wire_struct.hpp"
#include "fuse/types.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

/// Requests and replies about names and inodes. Source: include/uapi/linux/fuse.h.
/// struct fuse_attr is fuse::Attributes.
namespace dpfs::fuse::wire {

struct EntryOut {
    std::uint64_t nodeid;
    std::uint64_t generation;
    std::uint64_t entry_valid;  // seconds
    std::uint64_t attr_valid;
    std::uint32_t entry_valid_nsec;
    std::uint32_t attr_valid_nsec;
    Attributes attr;
};
static_assert(wire_struct<EntryOut> && sizeof(EntryOut) == 128);

struct ForgetIn {
    std::uint64_t nlookup;
};
static_assert(wire_struct<ForgetIn> && sizeof(ForgetIn) == 8);

struct ForgetOne {
    std::uint64_t nodeid;
    std::uint64_t nlookup;
};
static_assert(wire_struct<ForgetOne> && sizeof(ForgetOne) == 16);

/// Followed by `count` ForgetOne.
struct BatchForgetIn {
    std::uint32_t count;
    std::uint32_t dummy;
};
static_assert(wire_struct<BatchForgetIn> && sizeof(BatchForgetIn) == 8);

struct GetattrIn {
    std::uint32_t getattr_flags;
    std::uint32_t dummy;
    std::uint64_t fh;
};
static_assert(wire_struct<GetattrIn> && sizeof(GetattrIn) == 16);

/// GetattrIn::getattr_flags: fh is valid.
inline constexpr std::uint32_t getattr_fh = 1U << 0;

struct AttrOut {
    std::uint64_t attr_valid;  // seconds
    std::uint32_t attr_valid_nsec;
    std::uint32_t dummy;
    Attributes attr;
};
static_assert(wire_struct<AttrOut> && sizeof(AttrOut) == 104);

/// Attributes::flags
inline constexpr std::uint32_t attr_submount = 1U << 0;
inline constexpr std::uint32_t attr_dax = 1U << 1;

struct SetattrIn {
    std::uint32_t valid;
    std::uint32_t padding;
    std::uint64_t fh;
    std::uint64_t size;
    std::uint64_t lock_owner;
    std::uint64_t atime;
    std::uint64_t mtime;
    std::uint64_t ctime;
    std::uint32_t atimensec;
    std::uint32_t mtimensec;
    std::uint32_t ctimensec;
    std::uint32_t mode;
    std::uint32_t unused4;
    std::uint32_t uid;
    std::uint32_t gid;
    std::uint32_t unused5;
};
static_assert(wire_struct<SetattrIn> && sizeof(SetattrIn) == 88);

/// SetattrIn::valid
namespace fattr {
inline constexpr std::uint32_t mode = 1U << 0;
inline constexpr std::uint32_t uid = 1U << 1;
inline constexpr std::uint32_t gid = 1U << 2;
inline constexpr std::uint32_t size = 1U << 3;
inline constexpr std::uint32_t atime = 1U << 4;
inline constexpr std::uint32_t mtime = 1U << 5;
inline constexpr std::uint32_t fh = 1U << 6;
inline constexpr std::uint32_t atime_now = 1U << 7;
inline constexpr std::uint32_t mtime_now = 1U << 8;
inline constexpr std::uint32_t lockowner = 1U << 9;
inline constexpr std::uint32_t ctime = 1U << 10;
inline constexpr std::uint32_t kill_suidgid = 1U << 11;
}  // namespace fattr

struct SxTime {
    std::int64_t tv_sec;
    std::uint32_t tv_nsec;
    std::int32_t reserved;
};
static_assert(wire_struct<SxTime> && sizeof(SxTime) == 16);

/// As struct statx of statx(2).
struct Statx {
    std::uint32_t mask;
    std::uint32_t blksize;
    std::uint64_t attributes;
    std::uint32_t nlink;
    std::uint32_t uid;
    std::uint32_t gid;
    std::uint16_t mode;
    std::array<std::uint16_t, 1> spare0;
    std::uint64_t ino;
    std::uint64_t size;
    std::uint64_t blocks;
    std::uint64_t attributes_mask;
    SxTime atime;
    SxTime btime;
    SxTime ctime;
    SxTime mtime;
    std::uint32_t rdev_major;
    std::uint32_t rdev_minor;
    std::uint32_t dev_major;
    std::uint32_t dev_minor;
    std::array<std::uint64_t, 14> spare2;
};
static_assert(wire_struct<Statx> && sizeof(Statx) == 256);

struct StatxIn {
    std::uint32_t getattr_flags;
    std::uint32_t reserved;
    std::uint64_t fh;
    std::uint32_t sx_flags;
    std::uint32_t sx_mask;
};
static_assert(wire_struct<StatxIn> && sizeof(StatxIn) == 24);

struct StatxOut {
    std::uint64_t attr_valid;  // seconds
    std::uint32_t attr_valid_nsec;
    std::uint32_t flags;
    std::array<std::uint64_t, 2> spare;
    Statx stat;
};
static_assert(wire_struct<StatxOut> && sizeof(StatxOut) == 288);

/// Followed by the name, as are the next five.
struct MknodIn {
    std::uint32_t mode;
    std::uint32_t rdev;
    std::uint32_t umask;
    std::uint32_t padding;
};
static_assert(wire_struct<MknodIn> && sizeof(MknodIn) == 16);

struct MkdirIn {
    std::uint32_t mode;
    std::uint32_t umask;
};
static_assert(wire_struct<MkdirIn> && sizeof(MkdirIn) == 8);

/// CREATE, and TMPFILE (whose name means nothing).
struct CreateIn {
    std::uint32_t flags;
    std::uint32_t mode;
    std::uint32_t umask;
    std::uint32_t open_flags;
};
static_assert(wire_struct<CreateIn> && sizeof(CreateIn) == 16);

/// The nodeid of the header is the new directory.
struct LinkIn {
    std::uint64_t oldnodeid;
};
static_assert(wire_struct<LinkIn> && sizeof(LinkIn) == 8);

/// Followed by the old name and the new one, as is Rename2In.
struct RenameIn {
    std::uint64_t newdir;
};
static_assert(wire_struct<RenameIn> && sizeof(RenameIn) == 8);

struct Rename2In {
    std::uint64_t newdir;
    std::uint32_t flags;
    std::uint32_t padding;
};
static_assert(wire_struct<Rename2In> && sizeof(Rename2In) == 16);

struct AccessIn {
    std::uint32_t mask;
    std::uint32_t padding;
};
static_assert(wire_struct<AccessIn> && sizeof(AccessIn) == 8);

struct StatfsOut {
    std::uint64_t blocks;
    std::uint64_t bfree;
    std::uint64_t bavail;
    std::uint64_t files;
    std::uint64_t ffree;
    std::uint32_t bsize;
    std::uint32_t namelen;
    std::uint32_t frsize;
    std::uint32_t padding;
    std::array<std::uint32_t, 6> spare;
};
static_assert(wire_struct<StatfsOut> && sizeof(StatfsOut) == 80);

/// Followed by the name and `size` bytes of value. Without setxattr_ext only the first two
/// fields are sent.
struct SetxattrIn {
    std::uint32_t size;
    std::uint32_t flags;
    std::uint32_t setxattr_flags;
    std::uint32_t padding;
};
static_assert(wire_struct<SetxattrIn> && sizeof(SetxattrIn) == 16);
inline constexpr std::size_t compat_setxattr_in_size = 8;
inline constexpr std::uint32_t setxattr_acl_kill_sgid = 1U << 0;

/// Followed by the name; LISTXATTR has none. `size` 0 asks for the size, as GetxattrOut.
struct GetxattrIn {
    std::uint32_t size;
    std::uint32_t padding;
};
static_assert(wire_struct<GetxattrIn> && sizeof(GetxattrIn) == 8);

struct GetxattrOut {
    std::uint32_t size;
    std::uint32_t padding;
};
static_assert(wire_struct<GetxattrOut> && sizeof(GetxattrOut) == 8);

}  // namespace dpfs::fuse::wire
