// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <cstring>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>

namespace dpfs {

/// The path of a local socket, as bind(2) and connect(2) take it.
class UnixAddress {
  public:
    static constexpr std::size_t path_size_max = sizeof(sockaddr_un::sun_path) - 1;
    static constexpr socklen_t size = sizeof(sockaddr_un);

    /// Errors: EINVAL (no path), ENAMETOOLONG.
    static Result<UnixAddress> of(std::string_view path) noexcept {
        if (path.empty()) return fail(Errno::invalid);
        if (path.size() > path_size_max) return fail(Errno::name_too_long);
        UnixAddress address;
        std::memcpy(address.either_.local.sun_path, path.data(), path.size());
        return address;
    }

    [[nodiscard]] const sockaddr* get() const noexcept { return &either_.any; }
    [[nodiscard]] const char* path() const noexcept { return either_.local.sun_path; }

  private:
    UnixAddress() noexcept : either_{.local = {}} { either_.local.sun_family = AF_UNIX; }

    /// The same bytes under the name that the system calls have for every family.
    union Either {
        sockaddr_un local;
        sockaddr any;
    };
    Either either_;
};

}  // namespace dpfs
