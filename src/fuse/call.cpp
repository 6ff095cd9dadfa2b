// SPDX-License-Identifier: Apache-2.0
#include "fuse/call.hpp"

#include "base/assert.hpp"

#include <algorithm>

namespace dpfs::fuse {
namespace {

/// Whom a request acts as whose caller the tenant's kernel did not name.
constexpr std::uint32_t nobody = 65534;

std::uint32_t known(std::uint32_t id) noexcept {
    return id == wire::invalid_uid_gid ? nobody : id;
}

/// The buffers behind the first `size` bytes, if one of them starts there: as it is with Linux,
/// whose headers lie in descriptors of their own. Then the transport's array serves as it is,
/// which saves a copy of 256 iovecs for a request of 1 MiB. Else nothing.
std::span<const iovec> buffers_behind(std::span<const iovec> buffers,
                                      std::size_t size) noexcept {
    std::size_t index = 0;
    for (; size > 0; ++index) {
        if (buffers[index].iov_len > size) return {};
        size -= buffers[index].iov_len;
    }
    return buffers.subspan(index);
}

}  // namespace

Result<void> Call::receive(hal::RequestHandle handle) noexcept {
    readable = handle->readable;
    writable = handle->writable;
    request.emplace(std::move(handle));

    out_header = payload = IovecCursor(writable);
    reply_size_max = payload.left();
    if (!payload.skip(sizeof(wire::OutHeader))) payload = IovecCursor({});
    payload_size_max = payload.left();

    IovecCursor start(readable);
    const std::size_t size = request_size = start.left();
    header = {};
    const auto header_bytes = std::as_writable_bytes(std::span(&header, 1));
    const auto copied = start.copy_out(header_bytes.first(std::min(size, sizeof(header))));
    DPFS_ASSERT(copied);
    if (header.len < sizeof(header) || header.len > size) {
        arguments = {};
        return fail(Errno::io_error);
    }
    arguments = Arguments(start, header.len - sizeof(header));

    context.unique = header.unique;
    context.pid = header.pid;
    context.caller.uid = known(header.uid);
    context.caller.gid = known(header.gid);
    context.caller.group_count = 0;
    return {};
}

Result<std::span<const iovec>> Call::data_to_write(std::size_t size) {
    if (size > 0 && size == arguments.left() && header.len == request_size) {
        const auto whole = buffers_behind(readable, header.len - size);
        if (!whole.empty()) return whole;
    }
    if (const auto taken = arguments.take_iovecs(size, data); !taken)
        return fail(taken.error());
    return data;
}

Result<std::span<const iovec>> Call::room_to_read(std::size_t size) {
    if (size > 0 && size == payload.left()) {
        const auto whole = buffers_behind(writable, sizeof(wire::OutHeader));
        if (!whole.empty()) return whole;
    }
    if (!payload.take_iovecs(size, data)) return fail(Errno::invalid);
    return data;
}

Text Call::take_text(std::size_t size_max) {
    const auto bytes = text.get(std::min(arguments.left(), size_max));
    const auto copied = arguments.copy_out(std::as_writable_bytes(bytes));
    DPFS_ASSERT(copied);  // not more than what is left
    return Text(std::string_view(bytes.data(), bytes.size()));
}

}  // namespace dpfs::fuse
