// SPDX-License-Identifier: Apache-2.0
#include "daemon/schema.hpp"

#include <algorithm>

namespace dpfs::daemon {

std::string flag_of(std::string_view key) {
    std::string flag = "--";
    flag += key;
    std::ranges::replace(flag, '_', '-');
    return flag;
}

}  // namespace dpfs::daemon
