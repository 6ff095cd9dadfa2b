// SPDX-License-Identifier: Apache-2.0
#include "base/iovec_cursor.hpp"

#include <algorithm>
#include <cstring>

namespace dpfs {

std::size_t total_size(std::span<const iovec> buffers) noexcept {
    std::size_t size = 0;
    for (const iovec& buffer : buffers) size += buffer.iov_len;
    return size;
}

IovecCursor::IovecCursor(std::span<const iovec> buffers) noexcept
    : buffers_(buffers), left_(total_size(buffers)) {}

std::span<std::byte> IovecCursor::chunk(std::size_t size_max) const noexcept {
    const iovec& buffer = buffers_.front();
    return {static_cast<std::byte*>(buffer.iov_base) + offset_,
            std::min(buffer.iov_len - offset_, size_max)};
}

void IovecCursor::advance(std::size_t size) noexcept {
    offset_ += size;
    left_ -= size;
    if (offset_ == buffers_.front().iov_len) {
        buffers_ = buffers_.subspan(1);
        offset_ = 0;
    }
}

Result<void> IovecCursor::skip(std::size_t size) noexcept {
    if (size > left_) return fail(Errno::bad_message);
    while (size > 0) {
        const std::size_t step = chunk(size).size();
        advance(step);
        size -= step;
    }
    return {};
}

Result<void> IovecCursor::copy_out(std::span<std::byte> out) noexcept {
    if (out.size() > left_) return fail(Errno::bad_message);
    while (!out.empty()) {
        const auto source = chunk(out.size());
        std::memcpy(out.data(), source.data(), source.size());
        out = out.subspan(source.size());
        advance(source.size());
    }
    return {};
}

Result<void> IovecCursor::copy_in(std::span<const std::byte> in) noexcept {
    if (in.size() > left_) return fail(Errno::bad_message);
    while (!in.empty()) {
        const auto target = chunk(in.size());
        std::memcpy(target.data(), in.data(), target.size());
        in = in.subspan(target.size());
        advance(target.size());
    }
    return {};
}

Result<void> IovecCursor::take_iovecs(std::size_t size, std::vector<iovec>& out) {
    if (size > left_) return fail(Errno::bad_message);
    while (size > 0) {
        const auto part = chunk(size);
        if (!part.empty()) out.push_back({part.data(), part.size()});
        advance(part.size());
        size -= part.size();
    }
    return {};
}

}  // namespace dpfs
