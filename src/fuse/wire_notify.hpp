// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/wire_struct.hpp"

#include <cstdint>

/// Messages that a server sends unasked: an OutHeader with unique 0 and a NotifyCode in
/// `error`, then one of these. Source: include/uapi/linux/fuse.h. Over virtio they need the
/// notification queue (virtio 1.2, 5.11.2), which stock Linux does not have; /dev/fuse takes
/// them.
namespace dpfs::fuse::wire {

enum class NotifyCode : std::int32_t {
    poll = 1,
    inval_inode = 2,
    inval_entry = 3,
    store = 4,
    retrieve = 5,
    remove = 6,  ///< FUSE_NOTIFY_DELETE
    resend = 7,
    inc_epoch = 8,
    prune = 9,
};

struct NotifyPollWakeupOut {
    std::uint64_t kh;
};
static_assert(wire_struct<NotifyPollWakeupOut> && sizeof(NotifyPollWakeupOut) == 8);

struct NotifyInvalInodeOut {
    std::uint64_t ino;
    std::int64_t off;
    std::int64_t len;
};
static_assert(wire_struct<NotifyInvalInodeOut> && sizeof(NotifyInvalInodeOut) == 24);

/// Followed by the name with its NUL, as is NotifyDeleteOut.
struct NotifyInvalEntryOut {
    std::uint64_t parent;
    std::uint32_t namelen;
    std::uint32_t flags;
};
static_assert(wire_struct<NotifyInvalEntryOut> && sizeof(NotifyInvalEntryOut) == 16);

inline constexpr std::uint32_t expire_only = 1U << 0;

struct NotifyDeleteOut {
    std::uint64_t parent;
    std::uint64_t child;
    std::uint32_t namelen;
    std::uint32_t padding;
};
static_assert(wire_struct<NotifyDeleteOut> && sizeof(NotifyDeleteOut) == 24);

/// Followed by `size` bytes.
struct NotifyStoreOut {
    std::uint64_t nodeid;
    std::uint64_t offset;
    std::uint32_t size;
    std::uint32_t padding;
};
static_assert(wire_struct<NotifyStoreOut> && sizeof(NotifyStoreOut) == 24);

struct NotifyRetrieveOut {
    std::uint64_t notify_unique;
    std::uint64_t nodeid;
    std::uint64_t offset;
    std::uint32_t size;
    std::uint32_t padding;
};
static_assert(wire_struct<NotifyRetrieveOut> && sizeof(NotifyRetrieveOut) == 32);

/// The tenant's answer to it (opcode notify_reply): as long as WriteIn, followed by the data.
struct NotifyRetrieveIn {
    std::uint64_t dummy1;
    std::uint64_t offset;
    std::uint32_t size;
    std::uint32_t dummy2;
    std::uint64_t dummy3;
    std::uint64_t dummy4;
};
static_assert(wire_struct<NotifyRetrieveIn> && sizeof(NotifyRetrieveIn) == 40);

/// Followed by `count` nodeids.
struct NotifyPruneOut {
    std::uint32_t count;
    std::uint32_t padding;
    std::uint64_t spare;
};
static_assert(wire_struct<NotifyPruneOut> && sizeof(NotifyPruneOut) == 16);

}  // namespace dpfs::fuse::wire
