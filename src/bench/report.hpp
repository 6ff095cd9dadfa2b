// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bench/measurement.hpp"
#include "bench/options.hpp"

#include <string>
#include <vector>

namespace dpfs::bench {

/// The results as tables, for people.
[[nodiscard]] std::string text_report(const std::vector<WorkResult>& results,
                                      const Options& options);
/// The same as one JSON object, with the values of every round (docs/bench.md).
[[nodiscard]] std::string json_report(const std::vector<WorkResult>& results,
                                      const Options& options);

/// "812 k", "1.78 M": three digits that count.
[[nodiscard]] std::string readable_count(double count);
/// "25.1 µs".
[[nodiscard]] std::string readable_time(double ns);
/// "4 KiB", "256 MiB", "513 B".
[[nodiscard]] std::string readable_size(std::uint64_t bytes);

}  // namespace dpfs::bench
