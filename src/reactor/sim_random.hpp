// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace dpfs::reactor {

/// The one source of chance in a simulation (splitmix64: any seed is a good one).
class SimRandom {
  public:
    explicit SimRandom(std::uint64_t seed) noexcept : state_(seed) {}

    std::uint64_t next() noexcept {
        std::uint64_t z = (state_ += 0x9e3779b97f4a7c15);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }
    /// In [0, bound); bound > 0.
    std::uint64_t below(std::uint64_t bound) noexcept { return next() % bound; }
    /// True `per_thousand` times in a thousand.
    bool chance(std::uint32_t per_thousand) noexcept { return below(1000) < per_thousand; }

  private:
    std::uint64_t state_;
};

}  // namespace dpfs::reactor
