// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "virtio/guest_memory.hpp"
#include "virtio/wire.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace dpfs::virtio::test {

/// A range of guest addresses inside one region.
struct Piece {
    std::uint64_t address = 0;
    std::uint64_t length = 0;

    bool operator==(const Piece&) const = default;
};

/// What a chain is, by virtio 1.2 and nothing else.
struct ModelChain {
    std::uint16_t id = 0;
    std::uint32_t slots = 1;  // packed: of the ring
    std::vector<Piece> readable;
    std::vector<Piece> writable;
};

/// The ring that chains are read from.
struct ModelRing {
    std::uint32_t size = 0;
    std::uint64_t features = 0;
    std::uint64_t descriptors = 0;  // guest address
};

/// Reads chains the plain way: whole tables first, a byte at a time, and judges them
/// afterwards. It shares no code with ChainReader, so that the two do not err alike.
class ChainModel {
  public:
    ChainModel(const GuestMemory& memory, const ModelRing& ring)
        : memory_(memory), ring_(ring) {}

    /// The chain that begins at `head`; nullopt where the driver broke the rules.
    [[nodiscard]] std::optional<ModelChain> split(std::uint16_t head) const;
    [[nodiscard]] std::optional<ModelChain> packed(std::uint32_t first) const;

    /// Ranges as pieces: cut where a region ends, joined where one continues the other.
    [[nodiscard]] std::optional<std::vector<Piece>> pieces(std::span<const Piece> from) const;

  private:
    struct Buffer {
        std::uint64_t address;
        std::uint32_t length;
        std::uint16_t flags;
    };
    template <class T>
    [[nodiscard]] std::optional<T> load(std::uint64_t address) const;
    [[nodiscard]] bool read_split_table(std::uint64_t address,
                                        std::uint32_t length,
                                        std::vector<Buffer>& buffers) const;
    [[nodiscard]] bool read_packed_table(std::uint64_t address,
                                         std::uint32_t length,
                                         std::vector<Buffer>& buffers) const;
    [[nodiscard]] bool judge(std::span<const Buffer> buffers, ModelChain& chain) const;
    [[nodiscard]] std::uint32_t length_max() const;
    [[nodiscard]] bool is_indirect_legal(std::uint16_t flags) const;

    const GuestMemory& memory_;
    const ModelRing& ring_;
};

}  // namespace dpfs::virtio::test
