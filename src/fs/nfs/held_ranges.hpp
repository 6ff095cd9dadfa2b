// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

namespace dpfs::nfs {

/// The byte ranges that one owner has locked in one file, as the server has granted them: what
/// is reclaimed when the server has forgotten.
class HeldRanges {
  public:
    struct Range {
        std::uint64_t start;
        std::uint64_t end;  ///< inclusive
        bool exclusive;
        bool operator==(const Range&) const = default;
    };

    /// As fcntl(2) does it: what was held of [start, end] is replaced.
    void lock(Range range);
    void unlock(std::uint64_t start, std::uint64_t end);

    /// The parts of what is held that lie in [start, end].
    [[nodiscard]] std::vector<Range> within(std::uint64_t start, std::uint64_t end) const;

    [[nodiscard]] bool empty() const noexcept { return ranges_.empty(); }
    [[nodiscard]] const std::vector<Range>& list() const noexcept { return ranges_; }

  private:
    std::vector<Range> ranges_;  // disjoint
};

}  // namespace dpfs::nfs
