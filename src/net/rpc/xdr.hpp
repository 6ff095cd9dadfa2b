// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/endian.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace dpfs::rpc {

/// Bytes that follow `size` bytes of opaque data, so that the next item begins at a multiple of
/// four. Source: RFC 4506, 3 and 4.10.
[[nodiscard]] constexpr std::size_t padding_of(std::size_t size) noexcept {
    return (4 - size % 4) % 4;
}

/// Appends XDR items to a buffer. Source: RFC 4506, 4.
///
/// Lifetime  the buffer outlives the writer.
class XdrWriter {
  public:
    explicit XdrWriter(std::vector<std::byte>& out) noexcept : out_(&out) {}

    void u32(std::uint32_t value) { put(be<std::uint32_t>(value)); }
    void u64(std::uint64_t value) { put(be<std::uint64_t>(value)); }
    void boolean(bool value) { u32(value ? 1 : 0); }
    /// Fixed length: no size in front (4.9).
    void fixed(std::span<const std::byte> bytes);
    /// Variable length (4.10).
    void opaque(std::span<const std::byte> bytes);
    void string(std::string_view text) { opaque(std::as_bytes(std::span(text))); }

    [[nodiscard]] std::size_t position() const noexcept { return out_->size(); }
    /// Overwrites what an earlier u32() wrote at `position`.
    void patch_u32(std::size_t position, std::uint32_t value) noexcept;

  private:
    /// resize() and a copy are half of what insert() costs; most of a message is put by this.
    template <class Wire>
    void put(Wire wire) {
        const std::size_t at = out_->size();
        out_->resize(at + sizeof wire);
        std::memcpy(out_->data() + at, &wire, sizeof wire);
    }

    std::vector<std::byte>* out_;
};

/// Reads XDR items from a message that a peer sent. Nothing outside the message is ever read:
/// an item that is not all there, or a size that its reader does not allow, makes the reader
/// fail, and from then on every item is zero or empty. So a parser reads on, and asks ok()
/// once, or before it loops over a count.
///
/// Lifetime  the message outlives the reader and the views it gives.
class XdrReader {
  public:
    XdrReader() = default;
    explicit XdrReader(std::span<const std::byte> message) noexcept : rest_(message) {}

    [[nodiscard]] bool ok() const noexcept { return !failed_; }
    /// For what only the parser can see to be wrong.
    void fail() noexcept {
        failed_ = true;
        rest_ = {};
    }
    [[nodiscard]] std::size_t left() const noexcept { return rest_.size(); }

    std::uint32_t u32() noexcept { return take<std::uint32_t>(); }
    std::uint64_t u64() noexcept { return take<std::uint64_t>(); }
    /// Anything but 0 and 1 is a failure (4.4).
    bool boolean() noexcept;
    std::span<const std::byte> fixed(std::size_t size) noexcept;
    std::span<const std::byte> opaque(std::size_t size_max) noexcept;
    std::string_view string(std::size_t size_max) noexcept;
    /// A count of items that take at least `item_size_min` bytes each, so that nobody allocates
    /// for, or loops over, more than the message can hold.
    std::uint32_t count(std::size_t item_size_min) noexcept;

  private:
    template <class Number>
    Number take() noexcept {
        be<Number> wire = 0;
        if (rest_.size() < sizeof wire) {
            fail();
            return 0;
        }
        std::memcpy(&wire, rest_.data(), sizeof wire);
        rest_ = rest_.subspan(sizeof wire);
        return wire;
    }

    std::span<const std::byte> rest_;
    bool failed_ = false;
};

}  // namespace dpfs::rpc
