// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace dpfs::daemon {

/// The candidate that `word` is most likely a typing error of; empty where none is near.
[[nodiscard]] std::string_view nearest(std::string_view word,
                                       std::span<const std::string_view> candidates);

/// "; did you mean 'queues'?", or nothing where no candidate is near.
[[nodiscard]] std::string suggestion(std::string_view word,
                                     std::span<const std::string_view> candidates);

/// "null, uring or aio": for "write null, uring or aio".
[[nodiscard]] std::string listing(std::span<const std::string_view> words);

}  // namespace dpfs::daemon
