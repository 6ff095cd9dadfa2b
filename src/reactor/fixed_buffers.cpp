// SPDX-License-Identifier: Apache-2.0
#include "reactor/fixed_buffers.hpp"

#include "base/assert.hpp"

#include <liburing.h>

#include <algorithm>
#include <bit>
#include <sys/syscall.h>
#include <unistd.h>

namespace dpfs::reactor {
namespace {

// Younger than the header of liburing 2.3. Source: include/uapi/linux/io_uring.h.
constexpr unsigned register_clone_buffers = 30;  // Linux 6.12
constexpr std::uint32_t clone_replaces = 2;      // IORING_REGISTER_DST_REPLACE, Linux 6.13

struct CloneBuffers {  // struct io_uring_clone_buffers
    std::uint32_t src_fd;
    std::uint32_t flags;
    std::uint32_t src_off;
    std::uint32_t dst_off;
    std::uint32_t nr;
    std::uint32_t pad[3];
};
static_assert(sizeof(CloneBuffers) == 32);

bool is(const PinnedMemory& a, const std::shared_ptr<const PinnedMemory>& b) noexcept {
    return &a == b.get();
}

}  // namespace

Result<void> FixedBuffers::add(std::shared_ptr<const PinnedMemory> memory) {
    const auto known = std::ranges::find_if(
        entries_, [&](const Entry& entry) { return is(*memory, entry.memory); });
    if (known != entries_.end()) {
        ++known->users;
        return {};
    }
    if (const auto made = make_table(); !made) return made;
    const std::uint32_t count = memory->piece_count();
    if (slot_count_ - end_ < count) pack();
    if (slot_count_ - end_ < count) return fail(Errno::no_space);
    if (const auto copied = copy_to(*memory, end_); !copied) return copied;
    entries_.push_back({.memory = std::move(memory), .users = 1, .slot = end_});
    end_ += count;
    return {};
}

void FixedBuffers::remove(const PinnedMemory& memory) noexcept {
    const auto known = std::ranges::find_if(
        entries_, [&](const Entry& entry) { return is(memory, entry.memory); });
    if (known == entries_.end() || --known->users > 0) return;
    clear(known->slot, memory.piece_count());
    entries_.erase(known);
    if (entries_.empty()) end_ = 0;
}

int FixedBuffers::find(std::span<const iovec> buffers) const noexcept {
    const auto first = std::bit_cast<std::uintptr_t>(buffers.front().iov_base);
    for (const Entry& entry : entries_) {
        const auto start = std::bit_cast<std::uintptr_t>(entry.memory->begin());
        const std::uintptr_t into = first - start;
        if (first < start || into >= entry.memory->size()) continue;
        const std::size_t piece = into / PinnedMemory::piece_size_max;
        const std::uintptr_t begin = start + piece * PinnedMemory::piece_size_max;
        const std::size_t size =
            std::min(entry.memory->size() - (begin - start), PinnedMemory::piece_size_max);
        const bool all = std::ranges::all_of(buffers, [&](const iovec& buffer) {
            const auto at = std::bit_cast<std::uintptr_t>(buffer.iov_base);
            return at >= begin && at - begin <= size && buffer.iov_len <= size - (at - begin);
        });
        return all ? static_cast<int>(entry.slot + piece) : none;
    }
    return none;
}

Result<void> FixedBuffers::make_table() noexcept {
    if (has_table_) return {};
    const int made = ::io_uring_register_buffers_sparse(&ring_, slot_count_);
    if (made == -EINVAL) return fail(Errno::not_supported);
    if (made < 0) return fail(static_cast<Errno>(-made));
    has_table_ = true;
    return {};
}

Result<void> FixedBuffers::copy_to(const PinnedMemory& memory, std::uint32_t slot) noexcept {
    CloneBuffers copy = {.src_fd = static_cast<std::uint32_t>(memory.ring_fd()),
                         .flags = clone_replaces,
                         .src_off = 0,
                         .dst_off = slot,
                         .nr = memory.piece_count(),
                         .pad = {}};
    const long done =
        ::syscall(SYS_io_uring_register, ring_.ring_fd, register_clone_buffers, &copy, 1);
    if (done == 0) return {};
    return errno == EINVAL ? fail(Errno::not_supported) : fail_errno();
}

void FixedBuffers::pack() noexcept {
    clear(0, end_);
    end_ = 0;
    std::erase_if(entries_, [this](Entry& entry) {
        if (!copy_to(*entry.memory, end_)) return true;  // no memory: does without
        entry.slot = end_;
        end_ += entry.memory->piece_count();
        return false;
    });
}

void FixedBuffers::clear(std::uint32_t slot, std::uint32_t count) noexcept {
    const iovec nothing = {};
    const __u64 no_tag = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
        const int cleared =
            ::io_uring_register_buffers_update_tag(&ring_, slot + i, &nothing, &no_tag, 1);
        DPFS_ASSERT(cleared == 1);  // it has no reason to fail
    }
}

}  // namespace dpfs::reactor
