// SPDX-License-Identifier: Apache-2.0
#include "virtio/chain_reader.hpp"

#include "virtio/shared_access.hpp"

#include <algorithm>

namespace dpfs::virtio {
namespace {

constexpr std::uint64_t total_length_max = 1ULL << 32;  // 2.7.5.2

// 2.7.5.3.1 forbids a chain longer than the ring; drivers exceed it with indirect tables on
// small rings all the same (Linux only refuses that without indirect descriptors), and have
// been tested against 1024, the limit of other devices.
constexpr std::uint32_t indirect_count_min = 1024;

// `next` has 16 bits: nothing beyond can be reached.
constexpr std::uint32_t split_table_count_max = 65536;

/// An indirect table in guest memory. Most often it lies in one piece, aligned; it need not.
template <wire_struct T>
class IndirectTable {
  public:
    IndirectTable(const GuestMemory& memory, std::uint64_t address, std::uint32_t length)
        : memory_(memory), address_(address) {
        const MemoryRegion* const region = memory.find(address);
        if (!region || !region->contains(address, length)) return;
        if (address % alignof(T) != 0) return;
        in_place_ = shared_array<T>(region->at(address));
    }

    Result<T> fetch(std::uint32_t index) const {
        if (in_place_) return load_once(in_place_[index]);
        T copy;
        const auto read = memory_.read(address_ + std::uint64_t{index} * sizeof(T),
                                       std::as_writable_bytes(std::span(&copy, 1)));
        if (!read) return fail(read.error());
        return copy;
    }

  private:
    const GuestMemory& memory_;
    std::uint64_t address_;
    T* in_place_ = nullptr;
};

}  // namespace

ChainLimits::ChainLimits(std::uint32_t queue_size, std::uint64_t features) noexcept
    : ring_descriptors_max(queue_size),
      descriptors_max(std::max(queue_size, indirect_count_min)),
      indirect((features & feature_indirect_desc) != 0) {}

void ChainReader::start() noexcept {
    out_.readable_.clear();
    out_.writable_.clear();
    out_.readable_size_ = 0;
    out_.writable_size_ = 0;
}

Violation ChainReader::read_split(Descriptor* table, std::uint16_t head) {
    if (head >= limits_.ring_descriptors_max) return Violation::head_out_of_range;
    start();
    out_.head_ = {.id = head, .slots = 1};
    for (std::uint32_t index = head; count_ < limits_.ring_descriptors_max;) {
        const Descriptor descriptor = load_once(table[index]);
        if ((descriptor.flags & descriptor_indirect) != 0) {
            if (!limits_.indirect) return Violation::indirect_not_negotiated;
            if ((descriptor.flags & descriptor_next) != 0) return Violation::indirect_with_next;
            return read_split_table(descriptor.addr, descriptor.len);
        }
        const Violation violation = add(descriptor.addr, descriptor.len, descriptor.flags);
        if (violation != Violation::none) return violation;
        if ((descriptor.flags & descriptor_next) == 0) return Violation::none;
        index = descriptor.next;
        if (index >= limits_.ring_descriptors_max) return Violation::next_out_of_range;
    }
    return Violation::chain_too_long;
}

Violation ChainReader::read_split_table(std::uint64_t address, std::uint32_t length) {
    const std::uint32_t table_count = length / sizeof(Descriptor);
    if (table_count == 0 || length % sizeof(Descriptor) != 0 ||
        table_count > split_table_count_max) {
        return Violation::indirect_table_size;
    }
    const IndirectTable<Descriptor> table(memory_, address, length);
    for (std::uint32_t index = 0; count_ < limits_.descriptors_max;) {
        const auto descriptor = table.fetch(index);
        if (!descriptor) return Violation::address_not_mapped;
        if ((descriptor->flags & descriptor_indirect) != 0) return Violation::indirect_nested;
        const Violation violation = add(descriptor->addr, descriptor->len, descriptor->flags);
        if (violation != Violation::none) return violation;
        if ((descriptor->flags & descriptor_next) == 0) return Violation::none;
        index = descriptor->next;
        if (index >= table_count) return Violation::next_out_of_range;
    }
    return Violation::chain_too_long;
}

Violation ChainReader::read_packed(PackedDescriptor* ring, std::uint32_t first) {
    start();
    for (std::uint32_t slot = first; count_ < limits_.ring_descriptors_max;) {
        const PackedDescriptor descriptor = load_once(ring[slot]);
        if ((descriptor.flags & descriptor_indirect) != 0) {
            if (!limits_.indirect) return Violation::indirect_not_negotiated;
            if (count_ != 0 || (descriptor.flags & descriptor_next) != 0) {
                return Violation::indirect_with_next;
            }
            out_.head_ = {.id = descriptor.id, .slots = 1};
            return read_packed_table(descriptor.addr, descriptor.len);
        }
        const Violation violation = add(descriptor.addr, descriptor.len, descriptor.flags);
        if (violation != Violation::none) return violation;
        if ((descriptor.flags & descriptor_next) == 0) {
            // The last descriptor is the one whose id counts (2.8.6).
            out_.head_ = {.id = descriptor.id, .slots = static_cast<std::uint16_t>(count_)};
            return Violation::none;
        }
        if (++slot == limits_.ring_descriptors_max) slot = 0;
    }
    return Violation::chain_too_long;
}

Violation ChainReader::read_packed_table(std::uint64_t address, std::uint32_t length) {
    const std::uint32_t table_count = length / sizeof(PackedDescriptor);
    if (table_count == 0 || length % sizeof(PackedDescriptor) != 0 ||
        table_count > limits_.descriptors_max) {
        return Violation::indirect_table_size;
    }
    const IndirectTable<PackedDescriptor> table(memory_, address, length);
    for (std::uint32_t index = 0; index < table_count; ++index) {
        const auto descriptor = table.fetch(index);
        if (!descriptor) return Violation::address_not_mapped;
        // All entries belong to the chain, and WRITE is the only flag that means something
        // (2.8.7).
        const Violation violation = add(descriptor->addr, descriptor->len, descriptor->flags);
        if (violation != Violation::none) return violation;
    }
    return Violation::none;
}

Violation ChainReader::add(std::uint64_t address, std::uint32_t length, std::uint16_t flags) {
    ++count_;
    const bool writable = (flags & descriptor_write) != 0;
    if (writable_seen_ && !writable) return Violation::readable_after_writable;
    writable_seen_ = writable;
    if (length == 0)
        return Violation::none;  // tolerated: drivers send them, they carry nothing

    (writable ? out_.writable_size_ : out_.readable_size_) += length;
    if (out_.readable_size_ + out_.writable_size_ > total_length_max) {
        return Violation::total_length;
    }
    return add_buffer(address, length, writable ? out_.writable_ : out_.readable_);
}

Violation ChainReader::add_buffer(std::uint64_t address,
                                  std::uint32_t length,
                                  std::vector<iovec>& to) {
    if (!last_region_ || !last_region_->contains(address, length)) {
        last_region_ = memory_.find(address);
        if (!last_region_) return Violation::address_not_mapped;
        if (!last_region_->contains(address, length)) {
            last_in_ = nullptr;
            return memory_.translate(address, length, to) ? Violation::none
                                                          : Violation::address_not_mapped;
        }
    }
    std::byte* const host = last_region_->at(address);
    // Only within one region: regions that happen to be mapped side by side stay apart, as a
    // back end may have registered them one by one.
    if (last_in_ == last_region_ && !to.empty()) {
        iovec& last = to.back();
        if (static_cast<std::byte*>(last.iov_base) + last.iov_len == host) {
            last.iov_len += length;
            return Violation::none;
        }
    }
    to.push_back({host, length});
    last_in_ = last_region_;
    return Violation::none;
}

}  // namespace dpfs::virtio
