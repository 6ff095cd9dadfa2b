// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "fs/ids/id_map.hpp"

#include <cstddef>
#include <span>

namespace dpfs::mirror {

/// Maps the users and groups that a POSIX ACL names, in the form of its extended attribute.
/// Source: struct posix_acl_xattr_header and _entry, include/uapi/linux/posix_acl_xattr.h.
/// Errors: EINVAL (no ACL, or an id that the map does not know).
[[nodiscard]] Result<void> acl_ids_to_host(std::span<std::byte> acl,
                                           const ids::IdMap& uids,
                                           const ids::IdMap& gids) noexcept;
void acl_ids_to_guest(std::span<std::byte> acl,
                      const ids::IdMap& uids,
                      const ids::IdMap& gids) noexcept;

}  // namespace dpfs::mirror
