// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/time.hpp"
#include "reactor/operation.hpp"

#include <cstddef>
#include <vector>

namespace dpfs::reactor {

/// Operations by deadline, the next one first. Each knows its place (timer_position), so that
/// the many that complete in time are taken out in O(log n).
class TimerHeap {
  public:
    [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
    /// The earliest deadline; never() where there is none.
    [[nodiscard]] Instant next() const noexcept {
        return entries_.empty() ? Instant::never() : entries_.front().deadline;
    }

    /// Thread: the reactor's, as for all. `operation` is not in the heap.
    void insert(Operation& operation);
    /// `operation` is in the heap.
    void remove(Operation& operation) noexcept;
    /// Takes out one operation whose deadline is not after `now`; nullptr: there is none.
    Operation* take_expired(Instant now) noexcept;

  private:
    struct Entry {
        Instant deadline;
        Operation* operation;
    };
    void place(std::size_t index, Entry entry) noexcept;
    void sift_up(std::size_t index, Entry entry) noexcept;
    void sift_down(std::size_t index, Entry entry) noexcept;

    std::vector<Entry> entries_;
};

}  // namespace dpfs::reactor
