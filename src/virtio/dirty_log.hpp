// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "virtio/guest_memory.hpp"

#include <cstdint>
#include <span>
#include <sys/uio.h>

namespace dpfs::virtio {

/// While a guest migrates, whoever copies its memory must know which pages we have written
/// since. One bit for each 4 KiB page, lowest bit of the lowest byte first, in memory that the
/// front end shares with us and clears as it copies (vhost-user, VHOST_USER_SET_LOG_BASE).
///
/// Thread    any: bits are set atomically. Mark after the write, never before: a bit that is
///           taken away between mark and write would lose the write.
class DirtyLog {
  public:
    static constexpr std::uint64_t page_size = 4096;

    DirtyLog(Mapping bits, std::uint64_t size) noexcept : bits_(std::move(bits)), size_(size) {}

    /// Sets the bits of all pages that the range touches. False if some are beyond the log: the
    /// front end made it too small, and the migration cannot be trusted.
    bool mark(std::uint64_t guest_address, std::uint64_t length) const noexcept;

    /// Marks the first `written` bytes of a chain's writable buffers, which were translated by
    /// `memory`. False as above, or where a buffer is not from this memory.
    bool mark_buffers(const GuestMemory& memory,
                      std::span<const iovec> writable,
                      std::uint64_t written) const noexcept;

  private:
    Mapping bits_;
    std::uint64_t size_;  // bytes
};

}  // namespace dpfs::virtio
