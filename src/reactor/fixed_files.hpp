// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

struct io_uring;

namespace dpfs::reactor {

/// The files that one ring has registered, by their descriptors (IORING_REGISTER_FILES2): a
/// request that names a place in this table spares the kernel taking and giving back a
/// reference to the file. The table keeps each file open until it is removed.
///
/// Thread    the reactor's.
class FixedFiles {
  public:
    static constexpr int none = -1;

    explicit FixedFiles(io_uring& ring) noexcept : ring_(ring) {}

    /// `count`: 1 to 32768. Errors: EMFILE (beyond RLIMIT_NOFILE), ENOMEM, EINVAL (Linux
    /// before 5.19).
    Result<void> make_table(unsigned count);

    /// `fd` is not in it. Errors: EOPNOTSUPP (no table), ENOSPC (full), EBADF.
    Result<void> add(int fd);
    /// What is queued for the kernel must have been submitted before; `fd` is in it.
    void remove(int fd) noexcept;

    [[nodiscard]] int find(int fd) const noexcept {
        const auto index = static_cast<std::size_t>(fd);
        return index < slots_.size() ? slots_[index] - 1 : none;
    }
    [[nodiscard]] bool empty() const noexcept { return slots_.empty(); }

  private:
    io_uring& ring_;
    bool has_table_ = false;
    std::vector<std::uint16_t> slots_;  // by descriptor: place in the kernel's table + 1
    std::vector<std::uint16_t> free_;
};

}  // namespace dpfs::reactor
