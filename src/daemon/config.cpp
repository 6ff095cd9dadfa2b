// SPDX-License-Identifier: Apache-2.0
#include "daemon/config.hpp"

namespace dpfs::daemon {

void Places::set(std::string_view key, std::string place) {
    places_.insert_or_assign(std::string(key), std::move(place));
}

std::string Places::of(std::string_view key) const {
    const auto found = places_.find(key);
    return found != places_.end() ? found->second : fallback_;
}

}  // namespace dpfs::daemon
