// SPDX-License-Identifier: Apache-2.0
#include "fs/ids/id_map.hpp"

#include <fmt/format.h>

namespace dpfs::ids {
namespace {

bool overlap(std::uint64_t a, std::uint64_t a_count, std::uint64_t b, std::uint64_t b_count) {
    return a < b + b_count && b < a + a_count;
}

}  // namespace

std::string IdMap::check(const std::vector<IdRange>& ranges) {
    constexpr std::uint64_t id_end = 0xffff'ffff;  // -1 is no id
    for (std::size_t i = 0; i < ranges.size(); ++i) {
        const IdRange& range = ranges[i];
        if (range.count == 0) return fmt::format("range {} is empty", i + 1);
        if (std::uint64_t{range.guest} + range.count > id_end ||
            std::uint64_t{range.host} + range.count > id_end) {
            return fmt::format("range {} goes beyond the largest id, {}", i + 1, id_end - 1);
        }
        for (std::size_t j = 0; j < i; ++j) {
            const IdRange& other = ranges[j];
            if (overlap(range.guest, range.count, other.guest, other.count) ||
                overlap(range.host, range.count, other.host, other.count)) {
                return fmt::format("ranges {} and {} overlap", j + 1, i + 1);
            }
        }
    }
    return {};
}

Result<std::uint32_t> IdMap::to_host(std::uint32_t guest) const noexcept {
    if (ranges_.empty()) return guest;
    for (const IdRange& range : ranges_) {
        // Unsigned: an id below the range wraps to beyond its end.
        if (guest - range.guest < range.count) return range.host + (guest - range.guest);
    }
    return fail(Errno::overflow);
}

std::uint32_t IdMap::to_guest(std::uint32_t host) const noexcept {
    if (ranges_.empty()) return host;
    for (const IdRange& range : ranges_) {
        if (host - range.host < range.count) return range.guest + (host - range.host);
    }
    return overflow_id;
}

}  // namespace dpfs::ids
