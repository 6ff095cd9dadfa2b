// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/iovec_cursor.hpp"
#include "fuse/arguments.hpp"
#include "fuse/directory_writer.hpp"
#include "fuse/types.hpp"
#include "fuse/wire.hpp"
#include "hal/request.hpp"
#include "reactor/cancel.hpp"

#include <cstddef>
#include <optional>
#include <vector>

namespace dpfs::fuse {

struct Operation;

/// One request on its way through the session, from its delivery to its reply: the duty to
/// complete it, the checked copy of its header, and all memory that its handler needs across
/// waits. Pooled for each reactor, so that a warm session does not allocate for it.
///
/// Thread    its reactor's.
struct Call {
    /// Where strings, names and values end up, at most; SETXATTR has its own limit.
    static constexpr std::size_t text_size_max = 16384;

    explicit Call(reactor::Reactor& reactor)
        : context{.reactor = reactor, .cancel = cancel, .caller = {}} {}
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

    /// Takes the request, its header and its limits. Error: EIO, for a header that is not there
    /// or that counts more bytes than there are; `header.unique` is then as far as it came.
    Result<void> receive(hal::RequestHandle handle) noexcept;

    [[nodiscard]] wire::Opcode opcode() const noexcept { return wire::Opcode{header.opcode}; }
    [[nodiscard]] NodeId node() const noexcept { return NodeId{header.nodeid}; }
    /// Whether a reply with that much behind its header would fit.
    [[nodiscard]] bool has_room_for(std::size_t payload_size) const noexcept {
        return reply_size_max >= sizeof(wire::OutHeader) + payload_size;
    }

    /// A copy of the arguments' rest, up to `size_max` bytes of it.
    Text take_text(std::size_t size_max = text_size_max);

    /// The data of a WRITE, which are the next `size` bytes of the arguments, where the tenant
    /// has them. Error: EINVAL, if there are fewer.
    Result<std::span<const iovec>> data_to_write(std::size_t size);
    /// Where the tenant wants the data of a READ. Error: EINVAL, if that is less than `size`.
    Result<std::span<const iovec>> room_to_read(std::size_t size);

    /// Writes the next part of the reply's payload. Error: EIO, where there is no room.
    template <wire_struct T>
    Result<std::size_t> put(const T& value) noexcept {
        return put_bytes(std::as_bytes(std::span(&value, 1)));
    }
    Result<std::size_t> put_bytes(std::span<const std::byte> bytes) noexcept {
        if (!payload.copy_in(bytes)) return fail(Errno::io_error);
        return bytes.size();
    }

    std::optional<hal::RequestHandle> request;
    std::span<const iovec> readable;  ///< the request's
    std::span<const iovec> writable;
    wire::InHeader header{};
    const Operation* operation = nullptr;  ///< nullptr: an opcode that nobody defines
    Arguments arguments;

    reactor::CancelSource cancel;
    Context context;

    IovecCursor out_header{{}};    ///< the reply's start
    IovecCursor payload{{}};       ///< what follows its header
    std::size_t request_size = 0;  ///< of the readable memory; not less than header.len
    std::size_t reply_size_max = 0;
    std::size_t payload_size_max = 0;  ///< what the handler may answer with

    std::vector<iovec> data;   ///< of a READ or WRITE whose descriptors had to be cut
    Buffer<char> text;         ///< the copy that take_text() made
    Buffer<std::byte> output;  ///< what is put together before it goes to the tenant
    std::optional<DirectoryWriter> directory;

    bool malformed = false;  ///< no request at all, or no room for a reply to it

    // The lane's.
    Call* previous = nullptr;
    Call* next = nullptr;
    bool pending = false;  ///< in the lane's list of calls that wait for something
};

}  // namespace dpfs::fuse
