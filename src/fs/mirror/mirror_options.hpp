// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/time.hpp"
#include "fs/ids/id_map.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace dpfs::mirror {

/// How much the tenant may keep in its own caches.
enum class CachePolicy : std::uint8_t {
    never,      ///< nothing: each request asks the directory; file data bypasses the page cache
    automatic,  ///< "auto": names and attributes for a second, data until the file has changed
    always,     ///< everything, for a day: only where nobody else changes the directory
};

/// Whether files are opened with O_DIRECT here.
enum class DirectPolicy : std::uint8_t {
    passthrough,  ///< as the tenant's program asked
    never,        ///< the host's page cache always serves
    always,       ///< wherever size, offset and memory allow; else the page cache
};

/// What happens at a mount point below the shared directory.
enum class SubmountPolicy : std::uint8_t {
    announce,  ///< crossed, and the tenant sees a file system of its own (st_dev) there
    cross,     ///< crossed; inode numbers of both sides may collide in the tenant
    refuse,    ///< EXDEV
};

/// How the data of READ and WRITE moves.
enum class DataPath : std::uint8_t {
    automatic,  ///< "auto": in place where it cannot wait, or has not lately; else async
    async,      ///< always by the ring (or libaio and the pool)
    in_place,   ///< always by a call on the queue's thread, whatever it waits for
};

/// One rule for the names of extended attributes; the first whose `match` begins the tenant's
/// name decides ("" matches all). No rule: the name passes as it is.
struct XattrRule {
    enum class Action : std::uint8_t {
        pass,    ///< the same name
        prefix,  ///< stored as `host_prefix` + name
        refuse,  ///< EPERM to set, ENODATA to get, never listed
    };
    Action action = Action::pass;
    std::string match = {};
    std::string host_prefix = {};
};

/// What a MirrorFs serves, and how. Every field has a usable default but `directory`.
struct MirrorOptions {
    std::string directory = {};  ///< the shared directory's path; resolved once, at start
    bool read_only = false;

    CachePolicy cache = CachePolicy::automatic;
    // Unset: what the policy says (0 s, 1 s, 1 day; negative names: 0 s).
    std::optional<Duration> entry_valid = {};
    std::optional<Duration> attributes_valid = {};
    std::optional<Duration> negative_valid = {};

    DirectPolicy direct = DirectPolicy::passthrough;
    DataPath data_path = DataPath::automatic;
    SubmountPolicy submounts = SubmountPolicy::announce;
    bool writeback = false;  ///< the tenant may collect writes (one tenant a directory)
    /// The tenant's kernel evaluates and edits POSIX ACLs. Without it their rules do not hold
    /// for the tenant: it decides by the mode bits alone.
    bool posix_acl = true;
    bool xattr = true;  ///< false: EOPNOTSUPP to all of them

    std::vector<XattrRule> xattr_rules = {};
    std::vector<ids::IdRange> uid_map = {};  ///< empty: the same ids on both sides
    std::vector<ids::IdRange> gid_map = {};

    /// Inodes the tenant may know at once; beyond: ENFILE.
    std::size_t inode_count_max = 4'000'000;
    /// O_PATH descriptors kept for known inodes; 0: half of RLIMIT_NOFILE. Where the file
    /// system has no file handles, this also bounds the known inodes.
    std::size_t inode_descriptor_count_max = 0;
    /// Files and directories the tenant may have open; 0: a quarter of RLIMIT_NOFILE.
    std::size_t open_file_count_max = 0;
    /// Lock owners (each has a descriptor) and waiting lock requests; beyond: ENOLCK.
    std::size_t lock_count_max = 4096;

    /// How long a waiting lock request waits before it ends with EDEADLK. Linux cannot
    /// interrupt a request over virtio-fs, so a wait should not be for ever, which 0 makes it.
    Duration lock_wait_max = seconds(30);

    /// GETATTR through the ring, also where a call in place cannot block.
    bool async_getattr = false;
    /// FSYNC through the ring; false makes it in place: for memory file systems only.
    bool async_fsync = true;
    /// Data and metadata calls, whatever the others say, always through the ring and the pool,
    /// never in place: for measuring, and for disks so slow that not even the first wait may be
    /// on the reactor.
    bool always_async = false;
};

}  // namespace dpfs::mirror
