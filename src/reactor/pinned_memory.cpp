// SPDX-License-Identifier: Apache-2.0
#include "reactor/pinned_memory.hpp"

#include <algorithm>
#include <vector>

namespace dpfs::reactor {

Result<std::shared_ptr<const PinnedMemory>> PinnedMemory::make(
    std::shared_ptr<std::byte> memory, std::size_t size) {
    std::shared_ptr<PinnedMemory> made(new PinnedMemory(std::move(memory), size));
    if (const Result<void> pinned = made->pin(); !pinned) return fail(pinned.error());
    return made;
}

PinnedMemory::~PinnedMemory() {
    if (ring_exists_) ::io_uring_queue_exit(&ring_);
}

Result<void> PinnedMemory::pin() {
    // Disabled for good: nothing is ever submitted to it.
    const int made = ::io_uring_queue_init(1, &ring_, IORING_SETUP_R_DISABLED);
    if (made < 0) return fail(static_cast<Errno>(-made));
    ring_exists_ = true;

    std::vector<iovec> pieces;
    for (std::size_t at = 0; at < size_; at += piece_size_max) {
        pieces.push_back({memory_.get() + at, std::min(size_ - at, piece_size_max)});
    }
    const int registered = ::io_uring_register_buffers(
        &ring_, pieces.data(), static_cast<unsigned>(pieces.size()));
    if (registered < 0) return fail(static_cast<Errno>(-registered));
    return {};
}

}  // namespace dpfs::reactor
