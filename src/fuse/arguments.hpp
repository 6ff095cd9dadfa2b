// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/iovec_cursor.hpp"
#include "base/result.hpp"
#include "fuse/types.hpp"

#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace dpfs::fuse {

/// What follows a request's header, in the tenant's memory, up to the length that the header
/// says: what a descriptor has beyond it is not part of the request.
///
/// Errors    EINVAL where the request is too short.
class Arguments {
  public:
    Arguments() noexcept : cursor_({}) {}
    /// `size`: at most what the cursor has left.
    Arguments(IovecCursor cursor, std::size_t size) noexcept : cursor_(cursor), left_(size) {}

    [[nodiscard]] std::size_t left() const noexcept { return left_; }

    template <wire_struct T>
    Result<T> take() noexcept {
        T value;
        const auto copied = copy_out(std::as_writable_bytes(std::span(&value, 1)));
        if (!copied) return fail(copied.error());
        return value;
    }

    Result<void> copy_out(std::span<std::byte> out) noexcept {
        if (out.size() > left_) return fail(Errno::invalid);
        left_ -= out.size();
        return cursor_.copy_out(out);
    }

    Result<void> take_iovecs(std::size_t size, std::vector<iovec>& out) {
        if (size > left_) return fail(Errno::invalid);
        left_ -= size;
        return cursor_.take_iovecs(size, out);
    }

  private:
    IovecCursor cursor_;
    std::size_t left_ = 0;
};

/// Memory of a call that is kept for the next one.
template <class Byte>
class Buffer {
  public:
    /// `size` bytes; what was there before, or anything.
    std::span<Byte> get(std::size_t size) {
        if (bytes_.size() < size) bytes_.resize(size);
        return std::span(bytes_).first(size);
    }
    /// Lets go of more than most calls need.
    void trim() noexcept {
        constexpr std::size_t kept_size_max = 8192;
        if (bytes_.size() > kept_size_max) std::vector<Byte>().swap(bytes_);
    }

  private:
    std::vector<Byte> bytes_;
};

/// The names and values at a request's end, as a copy: what has been checked stays as it was.
class Text {
  public:
    explicit Text(std::string_view bytes) noexcept : left_(bytes) {}

    /// The next NUL-terminated string; the view's NUL is behind it.
    /// Errors: EINVAL (no NUL), ENAMETOOLONG (longer than `size_max`).
    Result<std::string_view> string(std::size_t size_max) noexcept;
    /// The next string as a name. Errors: as Name::check().
    Result<Name> name() noexcept;
    /// The next string as the name of an extended attribute.
    /// Errors: EINVAL (no NUL), ERANGE (empty, or longer than 255 bytes), as setxattr(2).
    Result<std::string_view> xattr_name() noexcept;

    [[nodiscard]] std::string_view left() const noexcept { return left_; }
    /// Error: EINVAL, if anything is left: a NUL was inside what should have been one name.
    [[nodiscard]] Result<void> end() const noexcept {
        if (!left_.empty()) return fail(Errno::invalid);
        return {};
    }
    /// Splits off the last `size` bytes. Error: EINVAL.
    Result<std::string_view> take_tail(std::size_t size) noexcept;

  private:
    std::string_view left_;
};

}  // namespace dpfs::fuse
