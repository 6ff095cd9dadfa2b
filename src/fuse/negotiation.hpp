// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "fuse/file_system.hpp"
#include "fuse/session_options.hpp"
#include "fuse/wire_init.hpp"

#include <cstddef>
#include <cstdint>

namespace dpfs::fuse {

/// What INIT agreed on: a plain value, which a mount's whole life depends on.
struct Negotiation {
    std::uint32_t minor = 0;             ///< the smaller of both sides'
    std::uint64_t flags = 0;             ///< wire::init::*, those in force
    std::uint32_t request_size_max = 0;  ///< bytes of a WRITE's data
    std::uint32_t pages_max = 0;         ///< of a READ's or WRITE's data, in the tenant's size

    [[nodiscard]] bool has(std::uint64_t flag) const noexcept { return (flags & flag) != 0; }
    /// Bytes of a READ's data: the limit that the tenant knows is in pages, and its pages may
    /// be larger than 4 KiB (64 KiB at most).
    [[nodiscard]] std::uint64_t read_size_max() const noexcept {
        return std::uint64_t{pages_max} * 65536;
    }
};

/// The oldest minor version that is served: from it on all structs but fuse_init_out and
/// fuse_setxattr_in have today's sizes. virtio-fs came with 7.31.
inline constexpr std::uint32_t minor_version_min = 12;

/// How much of struct fuse_init_out a version has.
[[nodiscard]] constexpr std::size_t init_out_size(std::uint32_t minor) noexcept {
    return minor < 23 ? wire::compat_22_init_out_size : sizeof(wire::InitOut);
}

/// Flags that only inform the server of what the tenant's kernel can do; replies leave them
/// out.
inline constexpr std::uint64_t informative_flags =
    wire::init::has_ioctl_dir | wire::init::no_open_support | wire::init::no_opendir_support |
    wire::init::submounts | wire::init::has_expire_only;

/// Flags that docs/fuse-opcodes.md decides to use, as far as `options` want them.
[[nodiscard]] std::uint64_t wanted_flags(const SessionOptions& options) noexcept;

/// What may be offered to the file system: both sides' flags, and the limits.
/// Errors: EPROTO (older than 7.minor_version_min).
[[nodiscard]] Result<Capabilities> offer(const wire::InitIn& in,
                                         const SessionOptions& options) noexcept;

/// What is in force after the file system has removed from `offered` what it does not want.
/// Flags that it added are dropped, limits that it raised are lowered again.
[[nodiscard]] Negotiation agree(const wire::InitIn& in,
                                const Capabilities& offered,
                                const Capabilities& chosen) noexcept;

[[nodiscard]] wire::InitOut init_reply(const wire::InitIn& in,
                                       const Negotiation& agreed,
                                       const Capabilities& chosen,
                                       const SessionOptions& options) noexcept;

}  // namespace dpfs::fuse
