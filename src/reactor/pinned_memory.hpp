// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"

#include <liburing.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <sys/uio.h>

namespace dpfs::reactor {

/// Memory whose pages the kernel has looked up and holds for transfers
/// (IORING_REGISTER_BUFFERS), once for all reactors: a ring of its own, which does nothing
/// else, has it registered, and reactors copy the registration (Reactor::use_buffers).
///
/// That is for time, and for limits. Looking up a GiB takes from milliseconds to seconds, which
/// is for the blocking pool; a copy takes microseconds, on the reactor's thread. And the memory
/// counts once against RLIMIT_MEMLOCK, not once for each reactor.
///
/// It is all brought in, and stays: no swapping, no balloon takes it back.
///
/// Thread    a const object: any.
/// Lifetime  holds the memory's mapping.
/// Source    include/uapi/linux/io_uring.h; io_uring_register(2).
class PinnedMemory {
  public:
    /// The kernel takes at most a GiB as one buffer: more becomes several.
    static constexpr std::size_t piece_size_max = std::size_t{1} << 30;

    /// Blocks, for long where pages have to be found.
    /// Errors: ENOMEM (beyond RLIMIT_MEMLOCK, without CAP_IPC_LOCK), EOPNOTSUPP (not memory
    /// that can be pinned), EFAULT, EMFILE, EPERM (io_uring is forbidden).
    static Result<std::shared_ptr<const PinnedMemory>> make(std::shared_ptr<std::byte> memory,
                                                            std::size_t size);
    PinnedMemory(const PinnedMemory&) = delete;
    PinnedMemory& operator=(const PinnedMemory&) = delete;
    ~PinnedMemory();

    [[nodiscard]] const std::byte* begin() const noexcept { return memory_.get(); }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    /// How many buffers it is in a ring's table: each of piece_size_max, the last of the rest.
    [[nodiscard]] std::uint32_t piece_count() const noexcept {
        return static_cast<std::uint32_t>((size_ + piece_size_max - 1) / piece_size_max);
    }
    /// The ring to copy the registration from.
    [[nodiscard]] int ring_fd() const noexcept { return ring_.ring_fd; }

  private:
    PinnedMemory(std::shared_ptr<std::byte> memory, std::size_t size) noexcept
        : memory_(std::move(memory)), size_(size) {}
    Result<void> pin();

    const std::shared_ptr<std::byte> memory_;
    const std::size_t size_;
    io_uring ring_ = {};
    bool ring_exists_ = false;
};

}  // namespace dpfs::reactor
