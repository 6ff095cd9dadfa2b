// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/time.hpp"

#include <algorithm>

namespace dpfs {

/// Bounds what somebody else can make us log: a few lines at once, then one a second. Silent
/// about what it leaves out, as that would be a line too.
///
/// Thread    one at a time.
class LogQuota {
  public:
    static constexpr int burst = 4;

    /// Whether one more line may be written. `now` never goes back.
    [[nodiscard]] bool take(Instant now) noexcept {
        const std::int64_t earned = (now - last_).ns / seconds(1).ns;
        if (earned > 0) {
            left_ = static_cast<int>(std::min<std::int64_t>(burst, left_ + earned));
            last_ = now;
        }
        if (left_ == 0) return false;
        --left_;
        return true;
    }

  private:
    int left_ = burst;
    Instant last_;
};

}  // namespace dpfs
