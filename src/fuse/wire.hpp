// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/wire_struct.hpp"

#include <cstddef>
#include <cstdint>

/// The FUSE protocol, version 7.45: what travels between a tenant's kernel and us. Fields keep
/// the specification's names; integers are in the tenant's byte order, which is ours.
/// Source: include/uapi/linux/fuse.h. This file: headers, opcodes and request extensions;
/// wire_init.hpp, wire_inode.hpp, wire_file.hpp and wire_notify.hpp have the rest.
namespace dpfs::fuse::wire {

inline constexpr std::uint32_t kernel_version = 7;
inline constexpr std::uint32_t kernel_minor_version = 45;

enum class Opcode : std::uint32_t {
    lookup = 1,
    forget = 2,  ///< no reply
    getattr = 3,
    setattr = 4,
    readlink = 5,
    symlink = 6,
    mknod = 8,
    mkdir = 9,
    unlink = 10,
    rmdir = 11,
    rename = 12,
    link = 13,
    open = 14,
    read = 15,
    write = 16,
    statfs = 17,
    release = 18,
    fsync = 20,
    setxattr = 21,
    getxattr = 22,
    listxattr = 23,
    removexattr = 24,
    flush = 25,
    init = 26,
    opendir = 27,
    readdir = 28,
    releasedir = 29,
    fsyncdir = 30,
    getlk = 31,
    setlk = 32,
    setlkw = 33,
    access = 34,
    create = 35,
    interrupt = 36,  ///< no reply
    bmap = 37,
    destroy = 38,
    ioctl = 39,
    poll = 40,
    notify_reply = 41,
    batch_forget = 42,  ///< no reply
    fallocate = 43,
    readdirplus = 44,
    rename2 = 45,
    lseek = 46,
    copy_file_range = 47,
    setupmapping = 48,
    removemapping = 49,
    syncfs = 50,
    tmpfile = 51,
    statx = 52,
    copy_file_range_64 = 53,
};
/// One more than the largest opcode.
inline constexpr std::size_t opcode_count = 54;

/// Starts every request. `len` counts it and all that follows.
struct InHeader {
    std::uint32_t len;
    std::uint32_t opcode;
    std::uint64_t unique;
    std::uint64_t nodeid;
    std::uint32_t uid;
    std::uint32_t gid;
    std::uint32_t pid;
    std::uint16_t total_extlen;  // of 8 bytes each, at the request's end; since 7.38
    std::uint16_t padding;
};
static_assert(wire_struct<InHeader> && sizeof(InHeader) == 40);
static_assert(offsetof(InHeader, total_extlen) == 36);

/// Starts every reply. `error` is 0 or a negative errno greater than -512.
struct OutHeader {
    std::uint32_t len;
    std::int32_t error;
    std::uint64_t unique;
};
static_assert(wire_struct<OutHeader> && sizeof(OutHeader) == 16);

/// InHeader::uid and gid where the tenant's kernel did not say them: with FUSE_ALLOW_IDMAP in
/// every request that makes no inode.
inline constexpr std::uint32_t invalid_uid_gid = 0xffff'ffff;
/// InHeader::unique: the request had been sent before (FUSE_HAS_RESEND).
inline constexpr std::uint64_t unique_resend = std::uint64_t{1} << 63;

/// Variable-length records are padded to this many bytes.
inline constexpr std::size_t record_alignment = 8;
constexpr std::size_t record_align(std::size_t size) noexcept {
    return (size + record_alignment - 1) & ~(record_alignment - 1);
}

// --- extensions of requests that make an inode (SYMLINK, MKNOD, MKDIR, CREATE, TMPFILE)

/// Starts an extension; `size` counts it. A `type` up to max_nr_secctx is no type but the
/// number of security contexts that follow (struct fuse_secctx_header, which came first).
struct ExtHeader {
    std::uint32_t size;
    std::uint32_t type;
};
static_assert(wire_struct<ExtHeader> && sizeof(ExtHeader) == 8);

inline constexpr std::uint32_t max_nr_secctx = 31;
inline constexpr std::uint32_t ext_groups = 32;

/// Followed by the attribute's name with its NUL and by `size` bytes of value; padded.
struct SecCtx {
    std::uint32_t size;
    std::uint32_t padding;
};
static_assert(wire_struct<SecCtx> && sizeof(SecCtx) == 8);

/// Followed by `nr_groups` group ids of 4 bytes; padded.
struct SuppGroups {
    std::uint32_t nr_groups;
};
static_assert(wire_struct<SuppGroups> && sizeof(SuppGroups) == 4);

}  // namespace dpfs::fuse::wire
