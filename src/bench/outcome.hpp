// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <expected>
#include <string>
#include <utility>

namespace dpfs::bench {

/// A value, or one line that tells the operator what went wrong.
template <class T>
using Outcome = std::expected<T, std::string>;

[[nodiscard]] inline std::unexpected<std::string> failed(std::string message) {
    return std::unexpected(std::move(message));
}

}  // namespace dpfs::bench
