// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/errno.hpp"

#include <cstdint>
#include <string_view>

namespace dpfs::virtio {

/// What a driver did that the specification forbids, so that a device can say in its log why it
/// was stopped. Numbers are sections of virtio 1.2.
enum class Violation : std::uint8_t {
    none,
    available_index_jumped,   // 2.7.13.3: by more than the ring holds
    too_many_in_flight,       // 2.7, 2.8: more buffers offered than the ring holds
    head_out_of_range,        // 2.7.6
    next_out_of_range,        // 2.7.5
    chain_too_long,           // 2.7.5.3.1, 2.8.17: a loop, or over the limit
    readable_after_writable,  // 2.7.4.2, 2.8.17
    indirect_not_negotiated,  // 2.7.5.3.1, 2.8.19
    indirect_nested,          // 2.7.5.3.1
    indirect_with_next,       // 2.7.5.3.1, 2.8.19
    indirect_table_size,      // 2.7.5.3: empty, not a multiple of 16, over the limit
    address_not_mapped,       // 2.7.5, 2.8.4
    total_length,             // 2.7.5.2: over 2^32 bytes
};

/// For a log line: "descriptor chain loops or is too long (2.7.5.3.1)".
[[nodiscard]] std::string_view describe(Violation violation) noexcept;

/// EFAULT for an address, EPROTO for all else.
[[nodiscard]] Errno to_errno(Violation violation) noexcept;

}  // namespace dpfs::virtio
