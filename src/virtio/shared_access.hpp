// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "virtio/wire.hpp"

#include <atomic>
#include <concepts>
#include <type_traits>

/// Reads and writes of memory that the other side of a ring uses at the same time. Each access
/// is an atomic one of its own, so the compiler can neither repeat nor tear it: what was
/// checked is what is used. All of them are plain moves on x86 and ARM.
namespace dpfs::virtio {

template <std::unsigned_integral T>
T load_relaxed(le<T>& field) noexcept {
    static_assert(std::atomic_ref<le<T>>::is_always_lock_free);
    return std::atomic_ref(field).load(std::memory_order_relaxed);
}

template <std::unsigned_integral T>
T load_acquire(le<T>& field) noexcept {
    return std::atomic_ref(field).load(std::memory_order_acquire);
}

template <std::unsigned_integral T>
void store_relaxed(le<T>& field, std::type_identity_t<T> value) noexcept {
    std::atomic_ref(field).store(value, std::memory_order_relaxed);
}

template <std::unsigned_integral T>
void store_release(le<T>& field, std::type_identity_t<T> value) noexcept {
    std::atomic_ref(field).store(value, std::memory_order_release);
}

/// Shared bytes as an array of wire structs. Who made the pointer has checked size and
/// alignment.
template <wire_struct T>
T* shared_array(std::byte* bytes) noexcept {
    // NOLINTNEXTLINE(bugprone-casting-through-void): the one place that names shared bytes
    return static_cast<T*>(static_cast<void*>(bytes));
}

inline Descriptor load_once(Descriptor& shared) noexcept {
    return {.addr = load_relaxed(shared.addr),
            .len = load_relaxed(shared.len),
            .flags = load_relaxed(shared.flags),
            .next = load_relaxed(shared.next)};
}

inline PackedDescriptor load_once(PackedDescriptor& shared) noexcept {
    return {.addr = load_relaxed(shared.addr),
            .len = load_relaxed(shared.len),
            .id = load_relaxed(shared.id),
            .flags = load_relaxed(shared.flags)};
}

/// Between "I have published" and "does the other side want to know": 2.7.13.4.1
/// and 2.8.21.3.1. A store must be seen before a later load is made, which only a full barrier
/// gives.
inline void full_barrier() noexcept {
    std::atomic_thread_fence(std::memory_order_seq_cst);
}

}  // namespace dpfs::virtio
