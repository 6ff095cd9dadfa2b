// SPDX-License-Identifier: Apache-2.0
#include "reactor/timer_heap.hpp"

#include "base/assert.hpp"

namespace dpfs::reactor {

void TimerHeap::place(std::size_t index, Entry entry) noexcept {
    entries_[index] = entry;
    entry.operation->timer_position = index + 1;
}

void TimerHeap::sift_up(std::size_t index, Entry entry) noexcept {
    while (index > 0) {
        const std::size_t parent = (index - 1) / 2;
        if (entries_[parent].deadline <= entry.deadline) break;
        place(index, entries_[parent]);
        index = parent;
    }
    place(index, entry);
}

void TimerHeap::sift_down(std::size_t index, Entry entry) noexcept {
    const std::size_t count = entries_.size();
    for (;;) {
        std::size_t child = 2 * index + 1;
        if (child >= count) break;
        if (child + 1 < count && entries_[child + 1].deadline < entries_[child].deadline) {
            ++child;
        }
        if (entry.deadline <= entries_[child].deadline) break;
        place(index, entries_[child]);
        index = child;
    }
    place(index, entry);
}

void TimerHeap::insert(Operation& operation) {
    DPFS_ASSERT(operation.timer_position == 0);
    entries_.emplace_back();
    sift_up(entries_.size() - 1, {operation.limit.deadline, &operation});
}

void TimerHeap::remove(Operation& operation) noexcept {
    DPFS_ASSERT(operation.timer_position > 0);
    const std::size_t index = operation.timer_position - 1;
    DPFS_ASSERT(entries_[index].operation == &operation);
    operation.timer_position = 0;

    const Entry last = entries_.back();
    entries_.pop_back();
    if (index == entries_.size()) return;
    // The last one may belong above or below the gap that it fills.
    const bool above = index > 0 && last.deadline < entries_[(index - 1) / 2].deadline;
    above ? sift_up(index, last) : sift_down(index, last);
}

Operation* TimerHeap::take_expired(Instant now) noexcept {
    if (entries_.empty() || now < entries_.front().deadline) return nullptr;
    Operation* const operation = entries_.front().operation;
    remove(*operation);
    return operation;
}

}  // namespace dpfs::reactor
