// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "base/wire_struct.hpp"

#include <cstddef>
#include <span>
#include <sys/uio.h>
#include <vector>

namespace dpfs {

/// Total length in bytes.
[[nodiscard]] std::size_t total_size(std::span<const iovec> buffers) noexcept;

/// A position in memory that is scattered over iovecs. Where one buffer ends and the next
/// begins means nothing to its users: a struct may lie across any number of them.
///
/// Lifetime  the iovecs, and what they point to, outlive the cursor.
class IovecCursor {
  public:
    explicit IovecCursor(std::span<const iovec> buffers) noexcept;

    [[nodiscard]] std::size_t left() const noexcept { return left_; }

    /// Moves on by `size` bytes. Errors: EBADMSG when fewer are left; nothing is moved then.
    Result<void> skip(std::size_t size) noexcept;

    /// The next bytes as `out.size()` bytes of a copy. Errors: as skip().
    Result<void> copy_out(std::span<std::byte> out) noexcept;

    /// The next bytes as a wire struct, copied: memory that a guest shares may change under us.
    template <wire_struct T>
    Result<T> take() noexcept {
        T value;
        const Result<void> copied = copy_out(std::as_writable_bytes(std::span(&value, 1)));
        if (!copied) return fail(copied.error());
        return value;
    }

    /// Writes at the position and moves on. Errors: as skip(). For writable buffers only.
    Result<void> copy_in(std::span<const std::byte> in) noexcept;

    template <wire_struct T>
    Result<void> put(const T& value) noexcept {
        return copy_in(std::as_bytes(std::span(&value, 1)));
    }

    /// Appends the next `size` bytes, as iovecs into the same memory, to `out`, and moves on.
    /// Errors: as skip().
    Result<void> take_iovecs(std::size_t size, std::vector<iovec>& out);

  private:
    /// The unread part of the current buffer, at most `size_max` bytes of it.
    [[nodiscard]] std::span<std::byte> chunk(std::size_t size_max) const noexcept;
    void advance(std::size_t size) noexcept;

    std::span<const iovec> buffers_;
    std::size_t offset_ = 0;  // in buffers_.front()
    std::size_t left_;
};

}  // namespace dpfs
