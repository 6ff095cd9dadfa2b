// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"

#include <array>

namespace dpfs::mirror {

/// The name of descriptor `fd` in /proc/self/fd, or its whole path: some system calls reach an
/// inode that is in hand as an O_PATH descriptor only that way. The kernel follows the link to
/// the inode itself, not to a path that somebody may have changed.
class FdName {
  public:
    explicit FdName(int fd) noexcept;
    /// "17", below a descriptor of /proc/self/fd.
    [[nodiscard]] const char* c_str() const noexcept { return text_.data() + number_offset; }
    /// "/proc/self/fd/17".
    [[nodiscard]] const char* path() const noexcept { return text_.data(); }

  private:
    static constexpr int number_offset = 14;
    std::array<char, 32> text_;
};

/// Opens the inode of the O_PATH descriptor `fd` again. `fd` must be known to be a regular file
/// or a directory: opening anything else may have effects. O_NOCTTY and O_CLOEXEC are implied.
[[nodiscard]] Result<UniqueFd> reopen(int proc_fd, int fd, int flags) noexcept;

}  // namespace dpfs::mirror
