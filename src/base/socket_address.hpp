// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/socket.h>

namespace dpfs {

/// An address of one family as the type that calls for sockets of all families take: the one
/// place that names an object by another type, as POSIX asks (sys/socket.h).
template <class Address>
[[nodiscard]] sockaddr* as_sockaddr(Address& address) noexcept {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): see above
    return reinterpret_cast<sockaddr*>(&address);
}
template <class Address>
[[nodiscard]] const sockaddr* as_sockaddr(const Address& address) noexcept {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): see above
    return reinterpret_cast<const sockaddr*>(&address);
}

}  // namespace dpfs
