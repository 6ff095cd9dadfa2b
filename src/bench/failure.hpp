// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/errno.hpp"

#include <string>

namespace dpfs::bench {

/// What an error of a device means, for a message: "the device has closed the connection".
[[nodiscard]] std::string explain(Errno error);

}  // namespace dpfs::bench
