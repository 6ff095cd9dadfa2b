// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/wire_struct.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

/// Requests and replies about open files and directories. Source: include/uapi/linux/fuse.h.
namespace dpfs::fuse::wire {

struct OpenIn {
    std::uint32_t flags;
    std::uint32_t open_flags;
};
static_assert(wire_struct<OpenIn> && sizeof(OpenIn) == 8);

/// OpenIn::open_flags, CreateIn::open_flags
inline constexpr std::uint32_t open_kill_suidgid = 1U << 0;

struct OpenOut {
    std::uint64_t fh;
    std::uint32_t open_flags;
    std::int32_t backing_id;
};
static_assert(wire_struct<OpenOut> && sizeof(OpenOut) == 16);

/// OpenOut::open_flags
namespace fopen {
inline constexpr std::uint32_t direct_io = 1U << 0;
inline constexpr std::uint32_t keep_cache = 1U << 1;
inline constexpr std::uint32_t nonseekable = 1U << 2;
inline constexpr std::uint32_t cache_dir = 1U << 3;
inline constexpr std::uint32_t stream = 1U << 4;
inline constexpr std::uint32_t noflush = 1U << 5;
inline constexpr std::uint32_t parallel_direct_writes = 1U << 6;
inline constexpr std::uint32_t passthrough = 1U << 7;
}  // namespace fopen

struct ReleaseIn {
    std::uint64_t fh;
    std::uint32_t flags;
    std::uint32_t release_flags;
    std::uint64_t lock_owner;
};
static_assert(wire_struct<ReleaseIn> && sizeof(ReleaseIn) == 24);

/// ReleaseIn::release_flags
inline constexpr std::uint32_t release_flush = 1U << 0;
inline constexpr std::uint32_t release_flock_unlock = 1U << 1;

struct FlushIn {
    std::uint64_t fh;
    std::uint32_t unused;
    std::uint32_t padding;
    std::uint64_t lock_owner;
};
static_assert(wire_struct<FlushIn> && sizeof(FlushIn) == 24);

/// READ, READDIR and READDIRPLUS.
struct ReadIn {
    std::uint64_t fh;
    std::uint64_t offset;
    std::uint32_t size;
    std::uint32_t read_flags;
    std::uint64_t lock_owner;
    std::uint32_t flags;
    std::uint32_t padding;
};
static_assert(wire_struct<ReadIn> && sizeof(ReadIn) == 40);

/// Followed by `size` bytes of data.
struct WriteIn {
    std::uint64_t fh;
    std::uint64_t offset;
    std::uint32_t size;
    std::uint32_t write_flags;
    std::uint64_t lock_owner;
    std::uint32_t flags;
    std::uint32_t padding;
};
static_assert(wire_struct<WriteIn> && sizeof(WriteIn) == 40);

/// WriteIn::write_flags
inline constexpr std::uint32_t write_cache = 1U << 0;
inline constexpr std::uint32_t write_lockowner = 1U << 1;
inline constexpr std::uint32_t write_kill_suidgid = 1U << 2;

/// WRITE and COPY_FILE_RANGE.
struct WriteOut {
    std::uint32_t size;
    std::uint32_t padding;
};
static_assert(wire_struct<WriteOut> && sizeof(WriteOut) == 8);

struct FsyncIn {
    std::uint64_t fh;
    std::uint32_t fsync_flags;
    std::uint32_t padding;
};
static_assert(wire_struct<FsyncIn> && sizeof(FsyncIn) == 16);

inline constexpr std::uint32_t fsync_fdatasync = 1U << 0;

struct FileLock {
    std::uint64_t start;
    std::uint64_t end;  // inclusive
    std::uint32_t type;
    std::uint32_t pid;
};
static_assert(wire_struct<FileLock> && sizeof(FileLock) == 24);

struct LkIn {
    std::uint64_t fh;
    std::uint64_t owner;
    FileLock lk;
    std::uint32_t lk_flags;
    std::uint32_t padding;
};
static_assert(wire_struct<LkIn> && sizeof(LkIn) == 48);

inline constexpr std::uint32_t lk_flock = 1U << 0;

struct LkOut {
    FileLock lk;
};
static_assert(wire_struct<LkOut> && sizeof(LkOut) == 24);

struct InterruptIn {
    std::uint64_t unique;
};
static_assert(wire_struct<InterruptIn> && sizeof(InterruptIn) == 8);

struct BmapIn {
    std::uint64_t block;
    std::uint32_t blocksize;
    std::uint32_t padding;
};
static_assert(wire_struct<BmapIn> && sizeof(BmapIn) == 16);

struct BmapOut {
    std::uint64_t block;
};
static_assert(wire_struct<BmapOut> && sizeof(BmapOut) == 8);

/// Followed by `in_size` bytes.
struct IoctlIn {
    std::uint64_t fh;
    std::uint32_t flags;
    std::uint32_t cmd;
    std::uint64_t arg;
    std::uint32_t in_size;
    std::uint32_t out_size;
};
static_assert(wire_struct<IoctlIn> && sizeof(IoctlIn) == 32);

/// IoctlIn::flags
namespace ioctl_flag {
inline constexpr std::uint32_t compat = 1U << 0;
inline constexpr std::uint32_t unrestricted = 1U << 1;
inline constexpr std::uint32_t retry = 1U << 2;
inline constexpr std::uint32_t is_32bit = 1U << 3;
inline constexpr std::uint32_t dir = 1U << 4;
inline constexpr std::uint32_t compat_x32 = 1U << 5;
}  // namespace ioctl_flag

/// Followed by the call's output, up to IoctlIn::out_size bytes.
struct IoctlOut {
    std::int32_t result;
    std::uint32_t flags;
    std::uint32_t in_iovs;
    std::uint32_t out_iovs;
};
static_assert(wire_struct<IoctlOut> && sizeof(IoctlOut) == 16);

struct PollIn {
    std::uint64_t fh;
    std::uint64_t kh;
    std::uint32_t flags;
    std::uint32_t events;
};
static_assert(wire_struct<PollIn> && sizeof(PollIn) == 24);

inline constexpr std::uint32_t poll_schedule_notify = 1U << 0;

struct PollOut {
    std::uint32_t revents;
    std::uint32_t padding;
};
static_assert(wire_struct<PollOut> && sizeof(PollOut) == 8);

struct FallocateIn {
    std::uint64_t fh;
    std::uint64_t offset;
    std::uint64_t length;
    std::uint32_t mode;
    std::uint32_t padding;
};
static_assert(wire_struct<FallocateIn> && sizeof(FallocateIn) == 32);

struct LseekIn {
    std::uint64_t fh;
    std::uint64_t offset;
    std::uint32_t whence;
    std::uint32_t padding;
};
static_assert(wire_struct<LseekIn> && sizeof(LseekIn) == 24);

struct LseekOut {
    std::uint64_t offset;
};
static_assert(wire_struct<LseekOut> && sizeof(LseekOut) == 8);

/// The nodeid of the header is the source.
struct CopyFileRangeIn {
    std::uint64_t fh_in;
    std::uint64_t off_in;
    std::uint64_t nodeid_out;
    std::uint64_t fh_out;
    std::uint64_t off_out;
    std::uint64_t len;
    std::uint64_t flags;
};
static_assert(wire_struct<CopyFileRangeIn> && sizeof(CopyFileRangeIn) == 56);

/// COPY_FILE_RANGE_64; the older opcode answers with WriteOut.
struct CopyFileRangeOut {
    std::uint64_t bytes_copied;
};
static_assert(wire_struct<CopyFileRangeOut> && sizeof(CopyFileRangeOut) == 8);

struct SyncfsIn {
    std::uint64_t padding;
};
static_assert(wire_struct<SyncfsIn> && sizeof(SyncfsIn) == 8);

/// A directory entry: followed by the name without NUL, and padded to record_alignment.
/// READDIRPLUS puts an EntryOut before it.
struct Dirent {
    std::uint64_t ino;
    std::uint64_t off;
    std::uint32_t namelen;
    std::uint32_t type;
};
static_assert(wire_struct<Dirent> && sizeof(Dirent) == 24);

struct SetupmappingIn {
    std::uint64_t fh;
    std::uint64_t foffset;
    std::uint64_t len;
    std::uint64_t flags;
    std::uint64_t moffset;
};
static_assert(wire_struct<SetupmappingIn> && sizeof(SetupmappingIn) == 40);

/// Followed by `count` RemovemappingOne.
struct RemovemappingIn {
    std::uint32_t count;
};
static_assert(wire_struct<RemovemappingIn> && sizeof(RemovemappingIn) == 4);

struct RemovemappingOne {
    std::uint64_t moffset;
    std::uint64_t len;
};
static_assert(wire_struct<RemovemappingOne> && sizeof(RemovemappingOne) == 16);

}  // namespace dpfs::fuse::wire
