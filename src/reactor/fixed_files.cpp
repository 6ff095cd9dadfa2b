// SPDX-License-Identifier: Apache-2.0
#include "reactor/fixed_files.hpp"

#include "base/assert.hpp"

#include <liburing.h>

namespace dpfs::reactor {

Result<void> FixedFiles::make_table(unsigned count) {
    DPFS_ASSERT(!has_table_ && count <= 32768);
    const int made = ::io_uring_register_files_sparse(&ring_, count);
    if (made < 0) return fail(static_cast<Errno>(-made));
    has_table_ = true;
    free_.reserve(count);
    for (unsigned slot = count; slot > 0; --slot) {
        free_.push_back(static_cast<std::uint16_t>(slot - 1));
    }
    return {};
}

Result<void> FixedFiles::add(int fd) {
    if (!has_table_) return fail(Errno::not_supported);
    if (free_.empty()) return fail(Errno::no_space);
    const std::uint16_t slot = free_.back();
    const int done = ::io_uring_register_files_update(&ring_, slot, &fd, 1);
    if (done < 0) return fail(static_cast<Errno>(-done));
    free_.pop_back();
    const auto index = static_cast<std::size_t>(fd);
    if (slots_.size() <= index) slots_.resize(index + 1);
    DPFS_ASSERT(slots_[index] == 0);
    slots_[index] = static_cast<std::uint16_t>(slot + 1);
    return {};
}

void FixedFiles::remove(int fd) noexcept {
    DPFS_ASSERT(find(fd) != none);
    std::uint16_t& registered = slots_[static_cast<std::size_t>(fd)];
    const auto slot = static_cast<std::uint16_t>(registered - 1);
    registered = 0;
    const int nothing = -1;
    ::io_uring_register_files_update(&ring_, slot, &nothing, 1);
    free_.push_back(slot);
}

}  // namespace dpfs::reactor
