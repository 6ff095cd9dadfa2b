// SPDX-License-Identifier: Apache-2.0
#include "bench/pattern.hpp"

#include "bench/random.hpp"

#include <cstring>

namespace dpfs::bench {
namespace {

std::uint64_t word_at(const Pattern& pattern, std::uint64_t offset) noexcept {
    const std::uint64_t written = std::uint64_t{pattern.version} << 40;
    return mixed_bits((offset ^ written) + mixed_bits(pattern.file + 1));
}

}  // namespace

void Pattern::fill(std::span<std::byte> to, std::uint64_t offset) const noexcept {
    for (std::size_t at = 0; at + sizeof(std::uint64_t) <= to.size(); at += 8) {
        const std::uint64_t word = word_at(*this, offset + at);
        std::memcpy(to.data() + at, &word, sizeof(word));
    }
}

std::optional<std::size_t> Pattern::find_mismatch(std::span<const std::byte> bytes,
                                                  std::uint64_t offset) const noexcept {
    for (std::size_t at = 0; at + sizeof(std::uint64_t) <= bytes.size(); at += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, bytes.data() + at, sizeof(word));
        if (word != word_at(*this, offset + at)) return at;
    }
    return std::nullopt;
}

}  // namespace dpfs::bench
