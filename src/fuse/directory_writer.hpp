// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/iovec_cursor.hpp"
#include "fuse/types.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace dpfs::fuse {

/// Writes directory entries into a READDIR's or READDIRPLUS's reply, in the tenant's memory.
/// Source: struct fuse_dirent and fuse_direntplus, include/uapi/linux/fuse.h; entries are
/// padded to 8 bytes.
class DirectoryWriter {
  public:
    struct Item {
        std::string_view name;  ///< any that the file system has, also "." and ".."
        std::uint64_t ino;
        std::uint32_t type;         ///< DT_*
        std::uint64_t next_offset;  ///< where the listing goes on after this entry
    };

    /// `size_max`: how much the tenant asked for, at most what `reply` has left.
    DirectoryWriter(IovecCursor reply, std::size_t size_max, bool plus) noexcept;

    /// Whether an entry with a name of this length would still fit: to be asked before work is
    /// done, or references are taken, for it.
    [[nodiscard]] bool has_room_for(std::size_t name_size) const noexcept;

    /// False if it does not fit; nothing is written then. For plain READDIR.
    [[nodiscard]] bool add(const Item& item) noexcept;
    /// For READDIRPLUS; an entry with node 0 tells the tenant nothing but the name.
    [[nodiscard]] bool add(const Item& item, const Entry& entry) noexcept;

    [[nodiscard]] bool plus() const noexcept { return plus_; }
    /// Bytes written so far.
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

  private:
    void put_dirent(const Item& item) noexcept;
    void put(std::span<const std::byte> bytes) noexcept;

    IovecCursor reply_;
    std::size_t size_max_;
    std::size_t size_ = 0;
    bool plus_;
};

}  // namespace dpfs::fuse
