// SPDX-License-Identifier: Apache-2.0
#include "base/frame_pool.hpp"

#include <array>
#include <cstdlib>
#include <new>

namespace dpfs {
namespace {

constexpr std::size_t granule = 64;  // bytes; a cache line
constexpr std::size_t class_count = 32;
[[maybe_unused]] constexpr std::size_t pooled_size_max = granule * class_count;
/// Of one class and thread; what is above it goes back to malloc, so that a burst is not kept.
[[maybe_unused]] constexpr std::size_t kept_count_max = 4096;

struct FreeFrame {
    FreeFrame* next;
};

struct FreeList {
    FreeFrame* head = nullptr;
    std::size_t count = 0;
};

struct ThreadPool {
    std::array<FreeList, class_count> lists;

    ~ThreadPool() {
        for (FreeList& list : lists) {
            while (list.head != nullptr) {
                FreeFrame* const frame = list.head;
                list.head = frame->next;
                std::free(frame);
            }
        }
    }
};

[[maybe_unused]] ThreadPool& thread_pool() {
    thread_local ThreadPool pool;
    return pool;
}

void* checked_malloc(std::size_t size) {
    void* const memory = std::malloc(size);
    if (memory == nullptr) throw std::bad_alloc();  // ends the process: nothing catches it
    return memory;
}

}  // namespace

#ifdef DPFS_SANITIZED

void* allocate_frame(std::size_t size) {
    return checked_malloc(size);
}
void release_frame(void* frame, std::size_t) noexcept {
    std::free(frame);
}

#else

void* allocate_frame(std::size_t size) {
    const std::size_t size_class = (size + granule - 1) / granule;  // 1-based
    if (size_class > class_count) return checked_malloc(size);

    FreeList& list = thread_pool().lists[size_class - 1];
    if (list.head == nullptr) return checked_malloc(size_class * granule);
    FreeFrame* const frame = list.head;
    list.head = frame->next;
    --list.count;
    return frame;
}

void release_frame(void* frame, std::size_t size) noexcept {
    if (size > pooled_size_max) return std::free(frame);

    FreeList& list = thread_pool().lists[(size + granule - 1) / granule - 1];
    if (list.count == kept_count_max) return std::free(frame);
    list.head = ::new (frame) FreeFrame{list.head};
    ++list.count;
}

#endif

}  // namespace dpfs
