// SPDX-License-Identifier: Apache-2.0
#include "virtio/virtqueue.hpp"

#include "virtio/packed_ring.hpp"
#include "virtio/split_ring.hpp"

namespace dpfs::virtio {
namespace {

constexpr std::uint32_t wrap_bit = 1U << 15;

}  // namespace

RingState RingState::from_vring_base(std::uint32_t base, bool packed) noexcept {
    RingState state{.resumed = true};
    if (!packed) {
        state.next_available = static_cast<std::uint16_t>(base);
        state.used_from_ring = true;
        return state;
    }
    const std::uint32_t available = base & 0xFFFF;
    const std::uint32_t used = base >> 16;
    state.next_available = static_cast<std::uint16_t>(available & ~wrap_bit);
    state.available_wrap = (available & wrap_bit) != 0;
    state.next_used = static_cast<std::uint16_t>(used & ~wrap_bit);
    state.used_wrap = (used & wrap_bit) != 0;
    return state;
}

std::uint32_t RingState::to_vring_base(bool packed) const noexcept {
    if (!packed) return next_available;
    const std::uint32_t available = next_available | (available_wrap ? wrap_bit : 0);
    const std::uint32_t used = next_used | (used_wrap ? wrap_bit : 0);
    return available | used << 16;
}

namespace {

template <class Ring>
Result<std::unique_ptr<Virtqueue>> on_heap(Result<Ring> ring) {
    if (!ring) return fail(ring.error());
    return std::make_unique<Ring>(std::move(*ring));
}

}  // namespace

Result<std::unique_ptr<Virtqueue>> make_virtqueue(const GuestMemory& memory,
                                                  const RingConfig& config) {
    if ((config.features & feature_ring_packed) != 0) {
        return on_heap(make_packed_ring(memory, config));
    }
    return on_heap(make_split_ring(memory, config));
}

}  // namespace dpfs::virtio
