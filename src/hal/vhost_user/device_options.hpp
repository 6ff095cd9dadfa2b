// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "hal/vhost_user/listener.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

namespace dpfs::hal::vhost_user {

constexpr std::size_t tag_size_max = 36;
constexpr std::uint16_t request_queue_count_max = 64;
constexpr std::uint16_t ring_size_max = 1024;

struct DeviceOptions {
    std::string socket_path;
    std::string tag;                        ///< what the tenant mounts: 1 to 36 bytes
    std::uint16_t request_queue_count = 1;  ///< 1 to 64; the high-priority queue comes on top
    std::uint16_t queue_size_max = ring_size_max;  ///< entries: a power of two, at most 1024
    SocketOwnership socket_ownership = {};
    bool fixed_buffers = false;  ///< the guest's memory is registered with the reactors
};

}  // namespace dpfs::hal::vhost_user
