// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace dpfs::ids {

/// A range of numeric ids that is `count` long on both sides.
struct IdRange {
    std::uint32_t guest = 0;
    std::uint32_t host = 0;
    std::uint32_t count = 0;
};

/// Numeric ids of the tenant and of the host (or server), as ranges. An empty map changes
/// nothing.
class IdMap {
  public:
    /// What an id shows as that the map does not know: "nobody", the kernel's overflow id.
    static constexpr std::uint32_t overflow_id = 65534;

    explicit IdMap(std::vector<IdRange> ranges) : ranges_(std::move(ranges)) {}

    /// Why `ranges` make no map (empty: they do): a side may not be covered twice.
    [[nodiscard]] static std::string check(const std::vector<IdRange>& ranges);

    [[nodiscard]] bool empty() const noexcept { return ranges_.empty(); }
    /// Errors: EOVERFLOW: not in the map.
    [[nodiscard]] Result<std::uint32_t> to_host(std::uint32_t guest) const noexcept;
    [[nodiscard]] std::uint32_t to_guest(std::uint32_t host) const noexcept;

  private:
    std::vector<IdRange> ranges_;
};

}  // namespace dpfs::ids
