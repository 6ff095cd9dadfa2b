// SPDX-License-Identifier: Apache-2.0
#include "base/errno.hpp"

#include <cstring>
#include <utility>

namespace dpfs {

std::string_view errno_name(Errno error) noexcept {
    const char* name = ::strerrorname_np(std::to_underlying(error));
    return name != nullptr ? name : "E?";
}

}  // namespace dpfs
