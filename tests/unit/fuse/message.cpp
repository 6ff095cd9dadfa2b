// SPDX-License-Identifier: Apache-2.0
#include "message.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace dpfs::fuse::test {
namespace {

std::vector<std::size_t> cut(std::size_t size, std::size_t header_size, Layout layout) {
    const std::size_t header = std::min(size, header_size);
    std::vector<std::size_t> parts;
    switch (layout) {
        case Layout::linux_like:
            parts = {header, size - header};
            break;
        case Layout::one_descriptor:
            parts = {size};
            break;
        case Layout::one_byte_each:
            for (std::size_t i = 0; i < size; ++i) {
                parts.push_back(1);
                if (i % 7 == 0) parts.push_back(0);
            }
            break;
        case Layout::header_split: {
            const std::size_t first = header - std::min<std::size_t>(header, 3);
            parts = {first, size - first};
            break;
        }
        case Layout::header_overlaps: {
            const std::size_t first = std::min(size, header + 5);
            parts = {first, size - first};
            break;
        }
    }
    std::erase_if(
        parts, [&](std::size_t part) { return part == 0 && layout != Layout::one_byte_each; });
    return parts;
}

std::vector<iovec> allocate(std::span<const std::size_t> parts,
                            std::vector<std::unique_ptr<std::byte[]>>& memory) {
    std::vector<iovec> iovecs;
    for (const std::size_t part : parts) {
        memory.push_back(std::make_unique<std::byte[]>(part));
        iovecs.push_back({memory.back().get(), part});
    }
    return iovecs;
}

}  // namespace

// Out of line: inlined into every test, GCC 12 at -O2 sees overflows that are not there.
Message& Message::add_bytes(std::span<const std::byte> bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return *this;
}

Message& Message::fill(std::size_t size, std::byte with) {
    bytes_.insert(bytes_.end(), size, with);
    return *this;
}

Bytes make_request(wire::Opcode opcode, const Message& arguments, wire::InHeader header) {
    header.len = static_cast<std::uint32_t>(sizeof(header) + arguments.size());
    header.opcode = std::to_underlying(opcode);
    return Message().add(header).add_bytes(arguments.bytes()).bytes();
}

TestRequest::TestRequest(hal::Queue& on,
                         std::span<const std::byte> request,
                         std::size_t reply_room,
                         Layout layout)
    : TestRequest(on,
                  request,
                  cut(request.size(), sizeof(wire::InHeader), layout),
                  cut(reply_room, sizeof(wire::OutHeader), layout)) {}

TestRequest::TestRequest(hal::Queue& on,
                         std::span<const std::byte> request,
                         std::span<const std::size_t> readable_parts,
                         std::span<const std::size_t> writable_parts)
    : readable_iovecs_(allocate(readable_parts, memory_)),
      writable_iovecs_(allocate(writable_parts, memory_)) {
    for (const iovec& part : readable_iovecs_) {
        std::memcpy(part.iov_base, request.data(), part.iov_len);
        request = request.subspan(part.iov_len);
    }
    for (const iovec& part : writable_iovecs_) {
        std::memset(part.iov_base, std::to_integer<int>(untouched), part.iov_len);
    }
    readable = readable_iovecs_;
    writable = writable_iovecs_;
    queue = &on;
}

Bytes TestRequest::reply() const {
    Bytes bytes;
    for (const iovec& part : writable_iovecs_) {
        const auto* const base = static_cast<const std::byte*>(part.iov_base);
        bytes.insert(bytes.end(), base, base + part.iov_len);
    }
    return bytes;
}

wire::OutHeader TestRequest::out_header() const {
    wire::OutHeader header{};
    const Bytes bytes = reply();
    if (bytes.size() >= sizeof(header)) std::memcpy(&header, bytes.data(), sizeof(header));
    return header;
}

Bytes TestRequest::payload() const {
    const Bytes bytes = reply();
    if (size < sizeof(wire::OutHeader)) return {};
    return Bytes(bytes.begin() + sizeof(wire::OutHeader), bytes.begin() + size);
}

}  // namespace dpfs::fuse::test
