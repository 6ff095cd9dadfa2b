// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "daemon/config.hpp"

#include <cstddef>

namespace dpfs::daemon {

/// Raises RLIMIT_NOFILE to its hard limit; gives what it is now. The soft limit is small for
/// the sake of select(2), which nothing here uses.
std::size_t raise_descriptor_limit() noexcept;

/// Divides `descriptor_count_max` between the devices that leave their share to us (0): half of
/// all for inodes, a quarter for open files, and the rest for everything else.
void share_descriptors(Config& config, std::size_t descriptor_count_max);

}  // namespace dpfs::daemon
