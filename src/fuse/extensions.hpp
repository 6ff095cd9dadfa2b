// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "fuse/file_system.hpp"
#include "reactor/credentials.hpp"

#include <string_view>

namespace dpfs::fuse {

/// What a request that makes an inode may carry after its names: the security context of the
/// new inode (FUSE_SECURITY_CTX) and the supplementary group of the caller that matters
/// (FUSE_CREATE_SUPP_GROUP), each at most once; unknown extensions are skipped.
///
/// In        `bytes`: the extensions' area, a copy that outlives the result.
/// Out       `caller.groups`.
/// Errors    EINVAL: a size that does not fit, more than Credentials::group_count_max groups, a
///           label whose name does not start with "security.".
/// Source    include/uapi/linux/fuse.h, fuse_ext_header, fuse_secctx_header, fuse_supp_groups;
///           fs/fuse/dir.c, get_create_ext.
[[nodiscard]] Result<SecurityContext> parse_extensions(std::string_view bytes,
                                                       reactor::Credentials& caller) noexcept;

}  // namespace dpfs::fuse
