// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/wire_struct.hpp"
#include "fuse/wire.hpp"
#include "hal/request.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace dpfs::fuse::test {

using Bytes = std::vector<std::byte>;

/// Bytes of a request or a reply, put together from structs and strings.
class Message {
  public:
    template <wire_struct T>
    Message& add(const T& value) {
        return add_bytes(std::as_bytes(std::span(&value, 1)));
    }
    /// With its NUL.
    Message& add_string(std::string_view text) {
        add_bytes(std::as_bytes(std::span(text)));
        return fill(1);
    }
    Message& add_text(std::string_view text) {
        return add_bytes(std::as_bytes(std::span(text)));
    }
    Message& add_bytes(std::span<const std::byte> bytes);
    Message& fill(std::size_t size, std::byte with = {});

    [[nodiscard]] const Bytes& bytes() const { return bytes_; }
    [[nodiscard]] std::size_t size() const { return bytes_.size(); }

  private:
    Bytes bytes_;
};

/// A whole request: in_header with the right length, then `arguments`.
Bytes make_request(wire::Opcode opcode,
                   const Message& arguments,
                   wire::InHeader header = {.len = 0,
                                            .opcode = 0,
                                            .unique = 7,
                                            .nodeid = 1,
                                            .uid = 1000,
                                            .gid = 100,
                                            .pid = 42,
                                            .total_extlen = 0,
                                            .padding = 0});

/// How a tenant cuts a request into descriptors. Each is an allocation of its own, so that a
/// sanitizer sees a step over its end.
enum class Layout {
    linux_like,       ///< header, rest | out_header, rest
    one_descriptor,   ///< everything together, both ways
    one_byte_each,    ///< and an empty one now and then
    header_split,     ///< the header's last 3 bytes lie with the arguments
    header_overlaps,  ///< the header's descriptor has the first arguments, too
};
inline constexpr Layout layouts[] = {Layout::linux_like,
                                     Layout::one_descriptor,
                                     Layout::one_byte_each,
                                     Layout::header_split,
                                     Layout::header_overlaps};

/// A request in memory as a transport delivers it, and what became of it.
class TestRequest : public hal::Request {
  public:
    TestRequest(hal::Queue& on,
                std::span<const std::byte> request,
                std::size_t reply_room,
                Layout layout);
    /// Cut at will: sizes of the parts, which together are the request's and the reply's room.
    TestRequest(hal::Queue& on,
                std::span<const std::byte> request,
                std::span<const std::size_t> readable_parts,
                std::span<const std::size_t> writable_parts);

    void completed(std::uint32_t written) {
        ++completions;
        size = written;
    }
    /// All of the writable memory, put together.
    [[nodiscard]] Bytes reply() const;
    [[nodiscard]] wire::OutHeader out_header() const;
    /// What follows the header, up to `size`.
    [[nodiscard]] Bytes payload() const;

    int completions = 0;
    std::uint32_t size = 0;  ///< as the completion said

    /// Writable memory starts as this, so that what was not written is seen.
    static constexpr std::byte untouched{0xee};

  private:
    std::vector<std::unique_ptr<std::byte[]>> memory_;
    std::vector<iovec> readable_iovecs_;
    std::vector<iovec> writable_iovecs_;
};

class TestQueue final : public hal::Queue {
  public:
    using Queue::Queue;

  private:
    void complete(hal::Request& request, std::uint32_t written) noexcept override {
        static_cast<TestRequest&>(request).completed(written);
    }
};

}  // namespace dpfs::fuse::test
