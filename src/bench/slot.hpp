// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "base/wire_struct.hpp"
#include "fuse/wire.hpp"
#include "hal/vhost_user/user_driver.hpp"
#include "virtio/driver_ring.hpp"
#include "virtio/shared_access.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace dpfs::bench {

/// What a request looks like, all but the arguments themselves. Sizes in bytes.
struct RequestShape {
    fuse::wire::Opcode opcode = {};
    std::uint64_t nodeid = 0;
    std::uint32_t arguments_size = 0;  ///< structs and names before the data
    std::uint32_t reply_size = 0;      ///< structs of the reply before the data
    std::uint32_t data_in_size = 0;    ///< of a WRITE
    std::uint32_t data_out_size = 0;   ///< of a READ or READDIR: what may come
    bool one_piece = false;            ///< the data is in one descriptor, not one for each page
};

/// One request at a time: its memory in the guest, laid out as a Linux guest does it (header,
/// arguments, each page of data: a descriptor each), and what a work knows about it. prepare()
/// lays out a request; to send it again with other numbers only these change.
class Slot {
  public:
    /// Bytes of guest memory that a slot with so much room for data takes.
    static std::uint64_t memory_size(std::uint64_t data_size) noexcept;

    /// `guest_address`, a multiple of 4096, is where memory_size(data_size) bytes begin.
    Slot(const hal::vhost_user::SharedMemory& memory,
         std::uint64_t guest_address,
         std::uint64_t data_size,
         bool scatter,
         std::uint64_t first_unique);

    void prepare(const RequestShape& shape);

    /// Writes the structs and names of the request; gives their size.
    template <wire_struct T>
    std::uint32_t put_arguments(const T& value) noexcept {
        std::memcpy(memory_ + arguments_at, &value, sizeof(value));
        return sizeof(value);
    }
    std::uint32_t put_name(std::uint32_t at, std::string_view name) noexcept;
    /// The arguments as they stand, to change some.
    template <wire_struct T>
    [[nodiscard]] T& arguments() noexcept {
        return *virtio::shared_array<T>(memory_ + arguments_at);
    }
    [[nodiscard]] std::span<std::byte> argument_bytes() noexcept {
        return {memory_ + arguments_at, reply_at - arguments_at};
    }

    /// Gives the request a new number; before each sending.
    void renew() noexcept { in_header().unique = unique_ += 2; }

    /// Whether a reply to this request is there, without an error and `size` bytes long after
    /// its header.
    [[nodiscard]] bool succeeded(std::uint32_t written, std::uint32_t size) const noexcept {
        const auto header = reply_header();
        return header.unique == unique_ && header.error == 0 && header.len == written &&
               header.len == sizeof(fuse::wire::OutHeader) + size;
    }
    /// Bytes after the reply's header. Errors: the reply's; EPROTO: it is none to this request.
    [[nodiscard]] Result<std::uint32_t> reply_size(std::uint32_t written) const noexcept;
    /// A copy of what follows the reply's header.
    template <wire_struct T>
    [[nodiscard]] T reply() const noexcept {
        T value;
        std::memcpy(&value, memory_ + reply_at + reply_gap, sizeof(value));
        return value;
    }

    /// Page `index` of the data.
    [[nodiscard]] std::span<std::byte> page(std::uint32_t index) noexcept {
        return {data_ + place_of(index), page_size};
    }
    /// All of the data of a request that is in one piece.
    [[nodiscard]] std::span<std::byte> data() noexcept { return {data_, data_size_}; }

    [[nodiscard]] virtio::ChainRequest chain(bool indirect) const noexcept {
        return {.readable = readable_, .writable = writable_, .indirect = indirect};
    }
    [[nodiscard]] fuse::wire::Opcode opcode() const noexcept { return opcode_; }

    static constexpr std::uint32_t page_size = 4096;

    // What the work and its measurement keep here.
    std::int64_t started_ns = 0;
    std::uint64_t number = 0;  ///< which one of its kind the work is at: a block, a name
    std::uint64_t nodeid = 0;
    std::uint64_t handle = 0;
    std::uint64_t position = 0;

  private:
    // Places in the header page. A reply's parts are apart, so that no two buffers touch.
    static constexpr std::uint32_t arguments_at = 64;
    static constexpr std::uint32_t reply_at = 2048;
    static constexpr std::uint32_t reply_gap = 64;

    [[nodiscard]] fuse::wire::InHeader& in_header() noexcept {
        return *virtio::shared_array<fuse::wire::InHeader>(memory_);
    }
    [[nodiscard]] fuse::wire::OutHeader reply_header() const noexcept {
        fuse::wire::OutHeader header;
        std::memcpy(&header, memory_ + reply_at, sizeof(header));
        return header;
    }
    [[nodiscard]] std::uint64_t place_of(std::uint32_t page) const noexcept {
        return std::uint64_t{scatter_ ? page_count_ - 1 - page : page} * page_size;
    }
    void add_data(std::vector<virtio::Segment>& to, std::uint32_t size, bool one_piece);

    std::byte* memory_;
    std::byte* data_;
    std::uint64_t guest_address_;
    std::uint64_t data_size_;
    std::uint32_t page_count_;
    bool scatter_;
    std::uint64_t unique_;
    fuse::wire::Opcode opcode_ = {};
    std::vector<virtio::Segment> readable_;
    std::vector<virtio::Segment> writable_;
};

}  // namespace dpfs::bench
