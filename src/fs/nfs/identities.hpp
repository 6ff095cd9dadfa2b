// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fs/ids/id_map.hpp"
#include "fs/nfs/nfs_options.hpp"
#include "net/rpc/message.hpp"
#include "reactor/credentials.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dpfs::nfs {

/// Whom the server takes a request to come from.
struct ServerIdentity {
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::uint32_t group_count = 0;
    std::array<std::uint32_t, rpc::AuthSys::group_count_max> groups = {};

    /// Lifetime: a view of this object.
    operator rpc::AuthSys() const noexcept {
        return {.machine = "dpfs",
                .uid = uid,
                .gid = gid,
                .groups = std::span(groups).first(group_count)};
    }
};

/// Users and groups of the tenant in the server's terms, and the reverse: maps of ids, names of
/// owners, squashing, and the groups that FUSE does not tell.
///
/// Thread    any: it does not change.
class Identities {
  public:
    explicit Identities(const NfsOptions& options);
    /// Why `options` cannot be followed; empty: they can.
    [[nodiscard]] static std::string check(const NfsOptions& options);

    /// Who is not in the map comes as the anonymous user or group.
    [[nodiscard]] ServerIdentity of(const reactor::Credentials& who) const noexcept;

    /// What the tenant is shown: IdMap::overflow_id for what it has no number for.
    [[nodiscard]] std::uint32_t shown_user(std::string_view owner) const noexcept;
    [[nodiscard]] std::uint32_t shown_group(std::string_view owner) const noexcept;

    /// What the server is told in chown(2). Error: EINVAL: not in the map, as of Linux for an
    /// owner that a file system cannot express.
    [[nodiscard]] Result<std::string> sent_user(std::uint32_t uid) const;
    [[nodiscard]] Result<std::string> sent_group(std::uint32_t gid) const;

  private:
    void add_group(ServerIdentity& to, std::uint32_t group) const noexcept;

    const ids::IdMap uids_, gids_;
    const std::vector<OwnerName> user_names_, group_names_;
    std::vector<UserGroups> groups_;  // by uid
    const Squash squash_;
    const std::uint32_t anonymous_uid_, anonymous_gid_;
};

}  // namespace dpfs::nfs
