// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace dpfs::daemon {

/// Which file system a device serves, and on which reactors.
enum class Backend : std::uint8_t { null, uring, aio, nfs };

inline constexpr std::array<std::string_view, 4> backend_names = {
    "null", "uring", "aio", "nfs"};

[[nodiscard]] constexpr std::string_view name_of(Backend backend) {
    return backend_names[static_cast<std::size_t>(backend)];
}

/// What `--help` says about each.
[[nodiscard]] constexpr std::string_view summary_of(Backend backend) {
    switch (backend) {
        case Backend::null:
            return "answers at once, stores nothing: for measuring the framework";
        case Backend::uring:
            return "a local directory, by io_uring";
        case Backend::aio:
            return "a local directory, where io_uring is forbidden (epoll and libaio)";
        case Backend::nfs:
            return "an export of an NFS server (NFSv4.1 and 4.2); experimental";
    }
    return {};
}

/// A set of back ends, as bits.
using BackendSet = std::uint8_t;
[[nodiscard]] constexpr BackendSet only(Backend backend) {
    return static_cast<BackendSet>(1U << static_cast<unsigned>(backend));
}
inline constexpr BackendSet all_backends =
    only(Backend::null) | only(Backend::uring) | only(Backend::aio) | only(Backend::nfs);
inline constexpr BackendSet mirror_backends = only(Backend::uring) | only(Backend::aio);
/// Those that serve files of somebody else's, and leave caches to the tenant.
inline constexpr BackendSet file_backends = mirror_backends | only(Backend::nfs);

[[nodiscard]] constexpr bool contains(BackendSet set, Backend backend) {
    return (set & only(backend)) != 0;
}

}  // namespace dpfs::daemon
