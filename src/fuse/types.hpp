// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "base/time.hpp"
#include "base/wire_struct.hpp"
#include "reactor/credentials.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace dpfs::reactor {
class CancelSource;
class Reactor;
}  // namespace dpfs::reactor

namespace dpfs::fuse {

/// What a tenant calls an inode; given out by the file system, 1 is the root (FUSE_ROOT_ID).
enum class NodeId : std::uint64_t {};
inline constexpr NodeId root_node{1};

/// What a tenant calls an open file or directory; given out by the file system.
enum class FileHandle : std::uint64_t {};

/// Who owns a POSIX lock in the tenant: its kernel's opaque value.
enum class LockOwner : std::uint64_t {};

/// One path component that has been checked: 1 to 255 bytes, no '/', no NUL inside, NUL behind
/// it, neither "." nor "..". A view: its bytes are a copy that lives as long as the request.
class Name {
  public:
    static constexpr std::size_t size_max = 255;  // bytes, without the NUL

    /// `text` must be followed by a NUL byte.
    /// Errors: EINVAL (empty, '/' or NUL inside, "." or ".."), ENAMETOOLONG.
    static Result<Name> check(std::string_view text) noexcept;

    [[nodiscard]] const char* c_str() const noexcept { return text_.data(); }
    [[nodiscard]] std::string_view view() const noexcept { return text_; }

  private:
    explicit Name(std::string_view text) noexcept : text_(text) {}
    std::string_view text_;
};

/// What a file system may want to know about the request it answers. One lives for each
/// request, until its reply is written; handlers get it by reference and may keep that
/// reference.
struct Context {
    reactor::Reactor& reactor;      ///< the request's queue's; the handler runs on its thread
    reactor::CancelSource& cancel;  ///< fired on reset, shutdown and queue stop: end waits
    std::uint64_t unique = 0;       ///< the request's number, for messages
    std::uint32_t pid = 0;          ///< in the tenant's own terms; for messages only
    /// uid and gid of the caller; groups as far as the request says them (only creating
    /// requests do, with FUSE_CREATE_SUPP_GROUP), else none.
    reactor::Credentials caller;
};

/// Attributes of an inode. Layout: struct fuse_attr, include/uapi/linux/fuse.h (since 7.9,
/// `flags` since 7.32).
struct Attributes {
    std::uint64_t ino;
    std::uint64_t size;    // bytes
    std::uint64_t blocks;  // of 512 bytes
    std::uint64_t atime;   // seconds since the epoch, as are the next two
    std::uint64_t mtime;
    std::uint64_t ctime;
    std::uint32_t atimensec;
    std::uint32_t mtimensec;
    std::uint32_t ctimensec;
    std::uint32_t mode;  // type and permissions, as st_mode
    std::uint32_t nlink;
    std::uint32_t uid;
    std::uint32_t gid;
    std::uint32_t rdev;  // the kernel's 32-bit encoding (new_encode_dev)
    std::uint32_t blksize;
    std::uint32_t flags;  // FUSE_ATTR_SUBMOUNT, FUSE_ATTR_DAX
};
static_assert(wire_struct<Attributes> && sizeof(Attributes) == 88);

/// Attributes, and how long the tenant may take them for true.
struct TimedAttributes {
    Attributes attributes;
    Duration valid;
};

/// The answer to everything that finds or makes a name. The tenant then owns one reference to
/// `node`, which it gives back with forget().
struct Entry {
    NodeId node;
    std::uint64_t generation;  ///< node and generation together are never used twice
    Attributes attributes;
    Duration entry_valid;  ///< how long the name may be cached
    Duration attributes_valid;
};

/// Names that were not found may be cached too: an Entry with this node and an entry_valid > 0.
inline constexpr NodeId negative_node{0};

}  // namespace dpfs::fuse
