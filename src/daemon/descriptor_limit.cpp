// SPDX-License-Identifier: Apache-2.0
#include "daemon/descriptor_limit.hpp"

#include <algorithm>
#include <sys/resource.h>

namespace dpfs::daemon {
namespace {

/// More are of no use, and "unlimited" must not become a table of 2^63 entries.
constexpr rlim_t descriptor_count_limit = 1U << 24;

}  // namespace

std::size_t raise_descriptor_limit() noexcept {
    rlimit limit = {};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
    const rlim_t before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) limit.rlim_cur = before;
    return std::min(limit.rlim_cur, descriptor_count_limit);
}

void share_descriptors(Config& config, std::size_t descriptor_count_max) {
    const auto mirror_count = static_cast<std::size_t>(std::ranges::count_if(
        config.devices,
        [](const DeviceConfig& device) { return contains(mirror_backends, device.backend); }));
    if (mirror_count == 0) return;
    const std::size_t share = descriptor_count_max / mirror_count;
    for (DeviceConfig& device : config.devices) {
        mirror::MirrorOptions& options = device.mirror;
        if (options.inode_descriptor_count_max == 0) {
            options.inode_descriptor_count_max = std::max<std::size_t>(share / 2, 16);
        }
        if (options.open_file_count_max == 0) {
            options.open_file_count_max = std::max<std::size_t>(share / 4, 16);
        }
    }
}

}  // namespace dpfs::daemon
