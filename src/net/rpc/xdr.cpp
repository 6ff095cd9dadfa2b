// SPDX-License-Identifier: Apache-2.0
#include "net/rpc/xdr.hpp"

#include "base/as_text.hpp"
#include "base/assert.hpp"

#include <cstring>

namespace dpfs::rpc {

void XdrWriter::fixed(std::span<const std::byte> bytes) {
    out_->insert(out_->end(), bytes.begin(), bytes.end());
    out_->resize(out_->size() + padding_of(bytes.size()));
}

void XdrWriter::opaque(std::span<const std::byte> bytes) {
    u32(static_cast<std::uint32_t>(bytes.size()));
    fixed(bytes);
}

void XdrWriter::patch_u32(std::size_t position, std::uint32_t value) noexcept {
    DPFS_ASSERT(position + sizeof value <= out_->size());
    const be<std::uint32_t> wire(value);
    std::memcpy(out_->data() + position, &wire, sizeof wire);
}

std::span<const std::byte> XdrReader::fixed(std::size_t size) noexcept {
    const std::size_t padded = size + padding_of(size);
    if (padded < size || padded > rest_.size()) {
        fail();
        return {};
    }
    const auto taken = rest_.first(size);
    rest_ = rest_.subspan(padded);
    return taken;
}

bool XdrReader::boolean() noexcept {
    const std::uint32_t value = u32();
    if (value > 1) fail();
    return value == 1 && ok();
}

std::span<const std::byte> XdrReader::opaque(std::size_t size_max) noexcept {
    const std::uint32_t size = u32();
    if (size > size_max) {
        fail();
        return {};
    }
    return fixed(size);
}

std::string_view XdrReader::string(std::size_t size_max) noexcept {
    return as_text(opaque(size_max));
}

std::uint32_t XdrReader::count(std::size_t item_size_min) noexcept {
    const std::uint32_t count = u32();
    if (count > left() / item_size_min) {
        fail();
        return 0;
    }
    return count;
}

}  // namespace dpfs::rpc
