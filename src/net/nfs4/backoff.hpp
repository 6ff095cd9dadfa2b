// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/time.hpp"

#include <algorithm>

namespace dpfs::nfs4 {

/// The pauses between attempts at what a server does not do yet: doubled, up to a bound.
class Backoff {
  public:
    [[nodiscard]] Duration next() noexcept {
        const Duration pause = next_;
        next_ = std::min(Duration{pause.ns * 2}, seconds(2));
        return pause;
    }

  private:
    Duration next_ = milliseconds(20);
};

}  // namespace dpfs::nfs4
