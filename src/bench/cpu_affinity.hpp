// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bench/outcome.hpp"

#include <cstddef>
#include <vector>

namespace dpfs::bench {

/// Pins the calling thread, the `index`th of its kind, to its turn in the list; an empty list
/// leaves it to the scheduler.
void pin_this_thread(const std::vector<unsigned>& cpus, std::size_t index) noexcept;

/// Whether this process may use all of them, for a message before anything begins.
Outcome<void> check_cpus(const std::vector<unsigned>& cpus);

}  // namespace dpfs::bench
