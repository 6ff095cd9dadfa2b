// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "reactor/pinned_memory.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <sys/uio.h>
#include <vector>

struct io_uring;

namespace dpfs::reactor {

/// The buffers that one ring has registered: which memory, and in which places of its table.
///
/// The table is filled from its start, and begins anew when its end is reached: some kernels
/// lose what lies behind a place that is replaced (IORING_REGISTER_DST_REPLACE).
///
/// Thread    the reactor's.
class FixedBuffers {
  public:
    static constexpr int none = -1;

    /// `slot_count`: places in the table, each for a GiB at most.
    FixedBuffers(io_uring& ring, std::uint32_t slot_count) noexcept
        : ring_(ring), slot_count_(slot_count) {}

    /// Counts its users: as many remove() take it out. What is queued for the kernel must have
    /// been submitted before either of them.
    /// Errors: EOPNOTSUPP (Linux before 6.13), ENOSPC (the table is full), ENOMEM.
    Result<void> add(std::shared_ptr<const PinnedMemory> memory);
    /// Nothing, where it is not there.
    void remove(const PinnedMemory& memory) noexcept;

    /// The place that holds all of `buffers` (at least one), else `none`.
    [[nodiscard]] int find(std::span<const iovec> buffers) const noexcept;
    [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }

  private:
    struct Entry {
        std::shared_ptr<const PinnedMemory> memory;
        std::uint32_t users = 0;
        std::uint32_t slot = 0;  // the first of its piece_count()
    };

    [[nodiscard]] Result<void> make_table() noexcept;
    [[nodiscard]] Result<void> copy_to(const PinnedMemory& memory, std::uint32_t slot) noexcept;
    /// Moves what is there to the start of the table.
    void pack() noexcept;
    void clear(std::uint32_t slot, std::uint32_t count) noexcept;

    io_uring& ring_;
    const std::uint32_t slot_count_;
    bool has_table_ = false;
    std::uint32_t end_ = 0;  // behind the last place that was given out
    std::vector<Entry> entries_;
};

}  // namespace dpfs::reactor
