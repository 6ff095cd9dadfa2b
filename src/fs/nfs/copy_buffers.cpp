// SPDX-License-Identifier: Apache-2.0
#include "fs/nfs/copy_buffers.hpp"

#include <utility>

namespace dpfs::nfs {
namespace {

constexpr bool is_kept(std::size_t size) noexcept {
    return size >= CopyBuffers::size_step && size <= CopyBuffers::kept_size_max;
}

constexpr std::size_t index_of(std::size_t size) noexcept {
    return (size - 1) / CopyBuffers::size_step;
}

constexpr std::size_t capacity_of(std::size_t index) noexcept {
    return (index + 1) * CopyBuffers::size_step;
}

}  // namespace

CopyBuffers::Buffer::Buffer(Buffer&& from) noexcept
    : owner_(from.owner_),
      memory_(std::move(from.memory_)),
      size_(std::exchange(from.size_, 0)) {}

CopyBuffers::Buffer& CopyBuffers::Buffer::operator=(Buffer&& from) noexcept {
    std::swap(owner_, from.owner_);
    std::swap(memory_, from.memory_);
    std::swap(size_, from.size_);
    return *this;
}

CopyBuffers::Buffer::~Buffer() {
    if (memory_ != nullptr) owner_->give_back(std::move(memory_), size_);
}

CopyBuffers::Buffer CopyBuffers::take(std::size_t size) {
    std::size_t capacity = size;
    if (is_kept(size)) {
        capacity = capacity_of(index_of(size));
        const std::lock_guard guard(mutex_);
        Spare& spare = spares_[index_of(size)];
        if (!spare.empty()) {
            Memory memory = std::move(spare.back());
            spare.pop_back();
            spare_size_ -= capacity;
            return {*this, std::move(memory), size};
        }
    }
    return {*this, std::make_unique_for_overwrite<std::byte[]>(capacity), size};
}

void CopyBuffers::give_back(Memory memory, std::size_t size) noexcept {
    if (!is_kept(size)) return;
    const std::size_t capacity = capacity_of(index_of(size));
    const std::lock_guard guard(mutex_);
    Spare& spare = spares_[index_of(size)];
    make_room(capacity, spare);
    if (spare_size_ + capacity > spare_size_max_) return;
    spare.push_back(std::move(memory));
    spare_size_ += capacity;
}

void CopyBuffers::make_room(std::size_t capacity, const Spare& but_not) noexcept {
    for (std::size_t i = 0; i < spares_.size(); ++i) {
        if (&spares_[i] == &but_not) continue;
        while (spare_size_ + capacity > spare_size_max_ && !spares_[i].empty()) {
            spares_[i].pop_back();
            spare_size_ -= capacity_of(i);
        }
    }
}

void CopyBuffers::trim() noexcept {
    const std::lock_guard guard(mutex_);
    spares_ = {};
    spare_size_ = 0;
}

std::size_t CopyBuffers::spare_size() const noexcept {
    const std::lock_guard guard(mutex_);
    return spare_size_;
}

}  // namespace dpfs::nfs
