// SPDX-License-Identifier: Apache-2.0
#include "fs/nfs/uncommitted_writes.hpp"

#include <algorithm>
#include <utility>

namespace dpfs::nfs {

UncommittedWrites::Pointer UncommittedWrites::copy_of(CopyBuffers& buffers,
                                                      std::uint64_t offset,
                                                      std::span<const iovec> from,
                                                      std::size_t size,
                                                      const nfs4::Verifier& verifier) {
    auto copy = std::make_shared<Write>();
    copy->offset = offset;
    copy->verifier = verifier;
    copy->data = buffers.take(size);
    std::byte* to = copy->data.data();
    for (const iovec& part : from) {
        const std::size_t part_size = std::min(part.iov_len, size);
        to = std::copy_n(static_cast<const std::byte*>(part.iov_base), part_size, to);
        size -= part_size;
    }
    return copy;
}

void UncommittedWrites::add(Pointer write) {
    write->number = ++last_number_;
    size_ += write->data.size();
    list_.push_back(std::move(write));
}

std::size_t UncommittedWrites::committed(std::uint64_t number, const nfs4::Verifier& verifier) {
    std::vector<const Write*> lost;
    return erase([&](const Write& write) {
        if (write.number > number) return false;
        const bool is_overtaken = std::ranges::any_of(
            lost, [&write](const Write* earlier) { return earlier->overlaps(write); });
        if (write.verifier == verifier && !is_overtaken) return true;
        lost.push_back(&write);
        return false;
    });
}

std::size_t UncommittedWrites::drop_of(std::uint64_t file) {
    return erase([file](const Write& write) { return write.file == file; });
}

template <class Condition>
std::size_t UncommittedWrites::erase(Condition condition) {
    const std::size_t before = size_;
    std::erase_if(list_, [&](const Pointer& write) {
        const bool goes = condition(*write);
        if (goes) size_ -= write->data.size();
        return goes;
    });
    return before - size_;
}

bool UncommittedWrites::has_any_until(std::uint64_t number) const noexcept {
    return std::ranges::any_of(
        list_, [number](const Pointer& write) { return write->number <= number; });
}

std::size_t UncommittedWrites::drop() {
    list_.clear();
    return std::exchange(size_, 0);
}

}  // namespace dpfs::nfs
