// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace dpfs::bench {

/// Spreads the bits of a number over all of the result; equal for equal numbers.
/// Source: the finaliser of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number
/// generators, 2014).
[[nodiscard]] constexpr std::uint64_t mixed_bits(std::uint64_t x) noexcept {
    x = (x ^ (x >> 30)) * 0xbf58'476d'1ce4'e5b9;
    x = (x ^ (x >> 27)) * 0x94d0'49bb'1331'11eb;
    return x ^ (x >> 31);
}

/// Random numbers in a nanosecond each, the same ones for the same seed.
class Random {
  public:
    explicit Random(std::uint64_t seed) noexcept : state_(mixed_bits(seed)) {}

    std::uint64_t next() noexcept { return mixed_bits(state_ += 0x9e37'79b9'7f4a'7c15); }
    /// Less than `bound`, which is below 2^32.
    std::uint64_t below(std::uint64_t bound) noexcept { return ((next() >> 32) * bound) >> 32; }

  private:
    std::uint64_t state_;
};

}  // namespace dpfs::bench
