// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <concepts>

namespace dpfs {

namespace detail {

/// An integer stored in one byte order, whatever the host's: reading and writing converts.
template <std::unsigned_integral T, std::endian order>
class Ordered {
  public:
    Ordered() = default;
    constexpr Ordered(T value) noexcept
        : raw_(convert(value)) {}  // NOLINT: an integer to its users
    constexpr operator T() const noexcept { return convert(raw_); }  // NOLINT: the same

  private:
    static constexpr T convert(T value) noexcept {
        if constexpr (order == std::endian::native) return value;
        return std::byteswap(value);
    }

    T raw_;
};

}  // namespace detail

/// Little-endian on the wire (virtio, vhost-user, RAMCloud).
template <std::unsigned_integral T>
using le = detail::Ordered<T, std::endian::little>;

/// Big-endian on the wire (XDR).
template <std::unsigned_integral T>
using be = detail::Ordered<T, std::endian::big>;

}  // namespace dpfs
