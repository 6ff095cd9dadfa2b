// SPDX-License-Identifier: Apache-2.0
#include "virtio/dirty_log.hpp"

#include "virtio/shared_access.hpp"

#include <algorithm>
#include <atomic>
#include <limits>

namespace dpfs::virtio {

bool DirtyLog::mark(std::uint64_t guest_address, std::uint64_t length) const noexcept {
    if (length == 0) return true;
    const std::uint64_t last_address = guest_address + (length - 1);
    if (last_address < guest_address) return false;

    const std::uint64_t last_page = last_address / page_size;
    for (std::uint64_t page = guest_address / page_size; page <= last_page; ++page) {
        if (page / 8 >= size_) return false;
        // Never skipped when the bit is set already: that load could come before our write is
        // visible, and the front end may take the bit away in between.
        const auto bit = static_cast<std::uint8_t>(1U << (page % 8));
        auto* const bits = shared_array<std::uint8_t>(bits_.get());
        std::atomic_ref(bits[page / 8]).fetch_or(bit, std::memory_order_release);
    }
    return true;
}

bool DirtyLog::mark_buffers(const GuestMemory& memory,
                            std::span<const iovec> writable,
                            std::uint64_t written) const noexcept {
    bool all = true;
    for (const iovec& buffer : writable) {
        if (written == 0) break;
        const std::uint64_t size = std::min<std::uint64_t>(written, buffer.iov_len);
        const auto address = memory.guest_address_of(buffer.iov_base);
        all = address && mark(*address, size) && all;
        written -= size;
    }
    return all;
}

}  // namespace dpfs::virtio
