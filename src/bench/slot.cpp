// SPDX-License-Identifier: Apache-2.0
#include "bench/slot.hpp"

#include <algorithm>

namespace dpfs::bench {

using fuse::wire::InHeader;
using fuse::wire::OutHeader;

namespace {

std::uint64_t whole_pages(std::uint64_t size) noexcept {
    return (size + Slot::page_size - 1) / Slot::page_size * Slot::page_size;
}

}  // namespace

std::uint64_t Slot::memory_size(std::uint64_t data_size) noexcept {
    return page_size + whole_pages(data_size);
}

Slot::Slot(const hal::vhost_user::SharedMemory& memory,
           std::uint64_t guest_address,
           std::uint64_t data_size,
           bool scatter,
           std::uint64_t first_unique)
    : memory_(memory.at(guest_address)),
      data_(memory_ + page_size),
      guest_address_(guest_address),
      data_size_(whole_pages(data_size)),
      page_count_(static_cast<std::uint32_t>(data_size_ / page_size)),
      scatter_(scatter),
      unique_(first_unique) {
    // Header, arguments and all pages: later there is no allocation.
    readable_.reserve(2 + page_count_);
    writable_.reserve(2 + page_count_);
}

void Slot::prepare(const RequestShape& shape) {
    opcode_ = shape.opcode;
    in_header() = {
        .len = static_cast<std::uint32_t>(sizeof(InHeader)) + shape.arguments_size +
               shape.data_in_size,
        .opcode = std::to_underlying(shape.opcode),
        .unique = unique_,
        .nodeid = shape.nodeid,
        .uid = 0,
        .gid = 0,
        .pid = 1,
        .total_extlen = 0,
        .padding = 0,
    };
    readable_.clear();
    readable_.push_back({guest_address_, sizeof(InHeader)});
    if (shape.arguments_size > 0) {
        readable_.push_back({guest_address_ + arguments_at, shape.arguments_size});
    }
    add_data(readable_, shape.data_in_size, shape.one_piece);

    writable_.clear();
    const bool is_forget = shape.opcode == fuse::wire::Opcode::forget ||
                           shape.opcode == fuse::wire::Opcode::batch_forget;
    if (is_forget) return;
    writable_.push_back({guest_address_ + reply_at, sizeof(OutHeader)});
    if (shape.reply_size > 0) {
        writable_.push_back({guest_address_ + reply_at + reply_gap, shape.reply_size});
    }
    add_data(writable_, shape.data_out_size, shape.one_piece);
}

void Slot::add_data(std::vector<virtio::Segment>& to, std::uint32_t size, bool one_piece) {
    const std::uint64_t data = guest_address_ + page_size;
    if (one_piece && size > 0) {
        to.push_back({data, size});
        return;
    }
    for (std::uint32_t done = 0; done < size; done += page_size) {
        to.push_back({data + place_of(done / page_size), std::min(page_size, size - done)});
    }
}

std::uint32_t Slot::put_name(std::uint32_t at, std::string_view name) noexcept {
    std::byte* const to = memory_ + arguments_at + at;
    std::memcpy(to, name.data(), name.size());
    to[name.size()] = std::byte{0};
    return at + static_cast<std::uint32_t>(name.size()) + 1;
}

Result<std::uint32_t> Slot::reply_size(std::uint32_t written) const noexcept {
    const OutHeader header = reply_header();
    if (header.unique != unique_ || header.len < sizeof(OutHeader) || header.len != written ||
        header.error > 0 || header.error <= -4096) {
        return fail(Errno::protocol);
    }
    if (header.error < 0) return fail(static_cast<Errno>(-header.error));
    return header.len - static_cast<std::uint32_t>(sizeof(OutHeader));
}

}  // namespace dpfs::bench
