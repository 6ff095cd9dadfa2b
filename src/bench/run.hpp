// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bench/measurement.hpp"
#include "bench/options.hpp"
#include "bench/outcome.hpp"

#include <atomic>
#include <string>
#include <vector>

namespace dpfs::bench {

/// Who is told how far a run is.
class Observer {
  public:
    virtual ~Observer() = default;
    /// A line that replaces the last one: "randread, round 3 of 5: 812 k/s".
    virtual void progress(const std::string& line) = 0;
};

/// Does all of `options`: connects, makes files, measures, removes the files. `stop` ends it
/// early, by a signal for example; files are removed then too.
/// Errors: one line.
/// Thread    one, which starts others and waits for them.
Outcome<std::vector<WorkResult>> run(const Options& options,
                                     Observer& observer,
                                     std::atomic<bool>& stop);

}  // namespace dpfs::bench
