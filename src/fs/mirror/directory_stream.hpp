// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "fs/mirror/async_mutex.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace dpfs::mirror {

/// An open directory's position: entries that the kernel has given and the tenant has not taken
/// yet. Offsets are the host kernel's own (d_off), so a listing goes on where it stopped, also
/// after entries have come and gone.
///
/// Thread    who holds `mutex`: a tenant may list one handle on several queues at once.
class DirectoryStream {
  public:
    struct Entry {
        std::string_view name;  ///< NUL-terminated; valid until the next fill() or seek()
        std::uint64_t ino;
        std::uint64_t next_offset;
        std::uint8_t type;  ///< DT_*
    };
    static constexpr std::size_t buffer_size = 64 << 10;  // bytes

    AsyncMutex mutex;

    /// Whether the next entry to give is the one after `offset` already.
    [[nodiscard]] bool is_at(std::uint64_t offset) const noexcept {
        return positioned_ && offset == offset_ && offset != 0;
    }
    /// Whether fill() must be called before next().
    [[nodiscard]] bool empty() const noexcept { return at_ == size_; }

    /// Goes to `offset` and reads on. May block.
    Result<void> seek(int fd, std::uint64_t offset) noexcept;
    /// Reads more; empty() afterwards means the end. May block.
    Result<void> fill(int fd) noexcept;

    /// The entry at the position. Errors: EIO (the kernel gave nonsense).
    Result<Entry> peek() const noexcept;
    void pop() noexcept;

    /// A position to come back to, until the next fill() or seek().
    struct Mark {
        std::size_t at;
        std::uint64_t offset;
    };
    [[nodiscard]] Mark mark() const noexcept { return {at_, offset_}; }
    void go_back(Mark mark) noexcept {
        at_ = mark.at;
        offset_ = mark.offset;
    }

  private:
    std::unique_ptr<std::byte[]> buffer_;
    std::size_t at_ = 0;
    std::size_t size_ = 0;
    std::uint64_t offset_ = 0;  // of the entry at at_
    bool positioned_ = false;
};

}  // namespace dpfs::mirror
