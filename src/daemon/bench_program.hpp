// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bench/options.hpp"

namespace dpfs::daemon {

/// `dpfs bench`: measures, with a progress line on standard error if that is a terminal, and
/// prints the report on standard output. SIGINT and SIGTERM end it after the test files have
/// been removed. Gives the exit code.
int run_bench(const bench::Options& options);

}  // namespace dpfs::daemon
