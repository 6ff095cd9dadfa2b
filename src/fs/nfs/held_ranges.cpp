// SPDX-License-Identifier: Apache-2.0
#include "fs/nfs/held_ranges.hpp"

#include <algorithm>
#include <utility>

namespace dpfs::nfs {

void HeldRanges::lock(Range range) {
    unlock(range.start, range.end);
    ranges_.push_back(range);
}

void HeldRanges::unlock(std::uint64_t start, std::uint64_t end) {
    std::vector<Range> left;
    for (const Range& held : ranges_) {
        if (held.end < start || held.start > end) {
            left.push_back(held);
            continue;
        }
        if (held.start < start) left.push_back({held.start, start - 1, held.exclusive});
        if (held.end > end) left.push_back({end + 1, held.end, held.exclusive});
    }
    ranges_ = std::move(left);
}

std::vector<HeldRanges::Range> HeldRanges::within(std::uint64_t start,
                                                  std::uint64_t end) const {
    std::vector<Range> parts;
    for (const Range& held : ranges_) {
        if (held.end < start || held.start > end) continue;
        parts.push_back({std::max(held.start, start), std::min(held.end, end), held.exclusive});
    }
    return parts;
}

}  // namespace dpfs::nfs
