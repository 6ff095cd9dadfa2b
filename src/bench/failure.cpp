// SPDX-License-Identifier: Apache-2.0
#include "bench/failure.hpp"

#include <fmt/format.h>

namespace dpfs::bench {

std::string explain(Errno error) {
    const bool gone = error == Errno::connection_reset || error == Errno::broken_pipe;
    if (gone) return "the device has closed the connection";
    if (error == Errno::timed_out) return "the device does not answer";
    if (error == Errno::protocol) return "the device has answered with what is no answer";
    return fmt::format("the device answers {}", errno_name(error));
}

}  // namespace dpfs::bench
