// SPDX-License-Identifier: Apache-2.0
#include "chain_model.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>

namespace dpfs::virtio::test {

template <class T>
std::optional<T> ChainModel::load(std::uint64_t address) const {
    std::array<std::byte, sizeof(T)> bytes;
    for (std::byte& byte : bytes) {
        const MemoryRegion* const region = memory_.find(address);
        if (region == nullptr) return std::nullopt;
        byte = *region->at(address++);
    }
    return std::bit_cast<T>(bytes);
}

/// A chain is at most as long as its ring (2.7.5.3.1); with an indirect table 1024 are
/// tolerated on smaller rings, as drivers do it.
std::uint32_t ChainModel::length_max() const {
    return std::max(ring_.size, 1024U);
}

bool ChainModel::is_indirect_legal(std::uint16_t flags) const {
    return (ring_.features & feature_indirect_desc) != 0 && (flags & descriptor_next) == 0;
}

std::optional<ModelChain> ChainModel::split(std::uint16_t head) const {
    std::vector<Buffer> buffers;
    for (std::uint32_t index = head;;) {
        if (index >= ring_.size || buffers.size() == ring_.size) return std::nullopt;
        const auto entry = load<Descriptor>(ring_.descriptors + index * sizeof(Descriptor));
        if (!entry) return std::nullopt;
        const std::uint16_t flags = entry->flags;
        if ((flags & descriptor_indirect) != 0) {
            if (!is_indirect_legal(flags)) return std::nullopt;
            if (!read_split_table(entry->addr, entry->len, buffers)) return std::nullopt;
            break;
        }
        buffers.push_back({entry->addr, entry->len, flags});
        if ((flags & descriptor_next) == 0) break;
        index = entry->next;
    }
    ModelChain chain = {.id = head, .slots = 1, .readable = {}, .writable = {}};
    if (!judge(buffers, chain)) return std::nullopt;
    return chain;
}

bool ChainModel::read_split_table(std::uint64_t address,
                                  std::uint32_t length,
                                  std::vector<Buffer>& buffers) const {
    const std::uint32_t count = length / sizeof(Descriptor);
    if (length % sizeof(Descriptor) != 0 || count == 0 || count > 65536) return false;
    for (std::uint32_t index = 0;;) {
        if (index >= count || buffers.size() == length_max()) return false;
        const auto entry = load<Descriptor>(address + index * sizeof(Descriptor));
        if (!entry || (entry->flags & descriptor_indirect) != 0) return false;
        buffers.push_back({entry->addr, entry->len, entry->flags});
        if ((entry->flags & descriptor_next) == 0) return true;
        index = entry->next;
    }
}

std::optional<ModelChain> ChainModel::packed(std::uint32_t first) const {
    std::vector<Buffer> buffers;
    ModelChain chain;
    for (std::uint32_t slot = first;; slot = (slot + 1) % ring_.size) {
        if (buffers.size() == ring_.size) return std::nullopt;
        const auto entry =
            load<PackedDescriptor>(ring_.descriptors + slot * sizeof(PackedDescriptor));
        if (!entry) return std::nullopt;
        chain.id = entry->id;
        chain.slots = static_cast<std::uint32_t>(buffers.size() + 1);
        if ((entry->flags & descriptor_indirect) != 0) {
            if (!is_indirect_legal(entry->flags) || !buffers.empty()) return std::nullopt;
            if (!read_packed_table(entry->addr, entry->len, buffers)) return std::nullopt;
            break;
        }
        buffers.push_back({entry->addr, entry->len, entry->flags});
        if ((entry->flags & descriptor_next) == 0) break;
    }
    if (!judge(buffers, chain)) return std::nullopt;
    return chain;
}

bool ChainModel::read_packed_table(std::uint64_t address,
                                   std::uint32_t length,
                                   std::vector<Buffer>& buffers) const {
    const std::uint32_t count = length / sizeof(PackedDescriptor);
    if (length % sizeof(PackedDescriptor) != 0 || count == 0 || count > length_max()) {
        return false;
    }
    for (std::uint32_t index = 0; index < count; ++index) {
        const auto entry = load<PackedDescriptor>(address + index * sizeof(PackedDescriptor));
        if (!entry) return false;
        buffers.push_back({entry->addr, entry->len, entry->flags});
    }
    return true;
}

/// 2.7.4.2: all readable buffers first; 2.7.5.2: at most 2^32 bytes. Empty buffers carry
/// nothing, wherever they point to.
bool ChainModel::judge(std::span<const Buffer> buffers, ModelChain& chain) const {
    std::vector<Piece> readable;
    std::vector<Piece> writable;
    std::uint64_t total = 0;
    bool writable_seen = false;
    for (const Buffer& buffer : buffers) {
        const bool is_writable = (buffer.flags & descriptor_write) != 0;
        if (writable_seen && !is_writable) return false;
        writable_seen = is_writable;
        total += buffer.length;
        (is_writable ? writable : readable).push_back({buffer.address, buffer.length});
    }
    auto cut_readable = pieces(readable);
    auto cut_writable = pieces(writable);
    if (total > 1ULL << 32 || !cut_readable || !cut_writable) return false;
    chain.readable = std::move(*cut_readable);
    chain.writable = std::move(*cut_writable);
    return true;
}

std::optional<std::vector<Piece>> ChainModel::pieces(std::span<const Piece> from) const {
    std::vector<Piece> all;
    for (Piece rest : from) {
        while (rest.length > 0) {
            const MemoryRegion* const region = memory_.find(rest.address);
            if (region == nullptr) return std::nullopt;
            const std::uint64_t left = region->guest_address + region->size - rest.address;
            const Piece piece = {rest.address, std::min(rest.length, left)};
            const bool continues = !all.empty() &&
                                   all.back().address + all.back().length == piece.address &&
                                   memory_.find(all.back().address) == region;
            if (continues) {
                all.back().length += piece.length;
            } else {
                all.push_back(piece);
            }
            rest.address += piece.length;
            rest.length -= piece.length;
        }
    }
    return all;
}

}  // namespace dpfs::virtio::test
