// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/time.hpp"
#include "fs/ids/id_map.hpp"
#include "net/nfs4/client_options.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace dpfs::nfs {

/// How much the tenant may keep in its own caches.
enum class CachePolicy : std::uint8_t {
    never,      ///< nothing: each request asks the server
    automatic,  ///< "auto": names and attributes for a second, data until the file has changed
    always,     ///< everything, for a day: only where nobody else changes the export
};

/// When written data must have reached the server's disk.
enum class WriteMode : std::uint8_t {
    unstable,  ///< at an fsync, and when the file is closed; kept here until then
    stable,    ///< before a write is answered
};

/// What becomes of a file that the tenant removes while it has it open.
enum class SillyRename : std::uint8_t {
    never,      ///< it is removed: it lives as long as the server does
    automatic,  ///< "auto": it gets a hidden name until it is closed, if the server needs that
};

/// Whose requests go to the server as somebody else's.
enum class Squash : std::uint8_t {
    none,
    root,  ///< uid 0 and gid 0 of the tenant become the anonymous ones
    all,   ///< everybody does
};

/// How the server calls an owner whom it does not name by number.
struct OwnerName {
    std::string name = {};
    std::uint32_t id = 0;  ///< the owner's at the server
};

/// The supplementary groups of a tenant's user, in the tenant's terms.
struct UserGroups {
    static constexpr std::size_t group_count_max = 16;  ///< AUTH_SYS has no room for more

    std::uint32_t uid = 0;
    std::vector<std::uint32_t> groups = {};
};

/// What an NfsFs serves, and how. Every field has a usable default but the server and export.
struct NfsOptions {
    nfs4::ClientOptions client = {};
    /// Those of one name use one client, whose options they agree on. Empty: one of its own.
    std::string shared_client = {};
    std::string export_path = {};  ///< from the server's (pseudo) root
    bool read_only = false;

    CachePolicy cache = CachePolicy::automatic;
    std::optional<Duration> entry_valid = {};       ///< unset: as the policy says
    std::optional<Duration> attributes_valid = {};  ///< the same

    /// Reads by READ_PLUS where there is one (minor version 2): holes are not sent.
    bool read_plus = false;

    SillyRename silly_rename = SillyRename::never;
    /// Read delegations are taken where the server gives them; not by those who share a client.
    bool delegations = true;
    WriteMode writes = WriteMode::unstable;
    /// Bytes kept, over all files, to be sent again; what goes beyond is written stably.
    std::size_t uncommitted_size_max = std::size_t{64} << 20;

    std::vector<ids::IdRange> uid_map = {};  ///< empty: the same ids on both sides
    std::vector<ids::IdRange> gid_map = {};
    std::vector<OwnerName> user_names = {};
    std::vector<OwnerName> group_names = {};
    std::vector<UserGroups> groups = {};
    Squash squash = Squash::none;
    std::uint32_t anonymous_uid = 65534;
    std::uint32_t anonymous_gid = 65534;

    std::size_t inode_count_max = 1'000'000;  ///< more get ENFILE
    std::size_t open_file_count_max = 65536;  ///< the same
};

}  // namespace dpfs::nfs
