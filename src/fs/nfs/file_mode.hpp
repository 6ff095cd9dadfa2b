// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "net/nfs4/wire.hpp"

#include <cstdint>

namespace dpfs::nfs {

// A file's type, mode and device number: the server's on one side, on the other those of the
// tenant's kernel (stat(2), and FUSE's 32-bit form of a device number, new_encode_dev).

/// What of a mode is not the type.
inline constexpr std::uint32_t permission_bits = 07777;

/// S_IF….
[[nodiscard]] std::uint32_t type_bits_of(nfs4::FileType type) noexcept;

/// DT_….
[[nodiscard]] std::uint32_t dirent_type_of(nfs4::FileType type) noexcept;

/// Of the mode in mknod(2): none is a regular file. Errors: EINVAL: not for mknod(2).
[[nodiscard]] Result<nfs4::FileType> made_type_of(std::uint32_t mode) noexcept;

/// What a write by another than root takes away from a file's mode (Linux:
/// setattr_should_drop_suidgid): set-group-id without the group's right to execute stays.
[[nodiscard]] std::uint32_t set_id_bits(std::uint32_t mode) noexcept;

struct DeviceNumber {
    std::uint32_t major = 0;  ///< the tenant's kernel: 12 bits
    std::uint32_t minor = 0;  ///< 20 bits
};
[[nodiscard]] std::uint32_t encode(DeviceNumber device) noexcept;
[[nodiscard]] DeviceNumber decode_device(std::uint32_t rdev) noexcept;

}  // namespace dpfs::nfs
