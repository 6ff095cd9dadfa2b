// SPDX-License-Identifier: Apache-2.0
#include "fs/nfs/copies.hpp"

#include <algorithm>

namespace dpfs::nfs {

void Copies::expect() {
    const std::lock_guard lock(mutex_);
    ++expected_count_;
}

void Copies::expect_no_more() {
    const std::lock_guard lock(mutex_);
    DPFS_ASSERT(expected_count_ > 0);
    if (--expected_count_ == 0) early_.clear();
}

void Copies::begin(Waiting& waiting, const nfs4::StateId& copy) {
    const std::lock_guard lock(mutex_);
    waiting.copy_ = copy;
    waiting.outcome_.reset();
    waiting_.push_back(&waiting);
    const auto found = std::ranges::find_if(early_, [&copy](const nfs4::CopyOutcome& each) {
        return each.copy.other == copy.other;
    });
    if (found == early_.end()) return;
    waiting.outcome_ = *found;
    early_.erase(found);
}

void Copies::end(Waiting& waiting) {
    const std::lock_guard lock(mutex_);
    std::erase(waiting_, &waiting);
}

std::optional<nfs4::CopyOutcome> Copies::outcome(const Waiting& waiting) const {
    const std::lock_guard lock(mutex_);
    return waiting.outcome_;
}

reactor::Reactor* Copies::ended(const nfs4::CopyOutcome& outcome) {
    const std::lock_guard lock(mutex_);
    if (Waiting* const waiting = find(outcome.copy)) {
        waiting->outcome_ = outcome;
        return &waiting->reactor;
    }
    if (expected_count_ > 0) {
        if (early_.size() == early_count_max) early_.erase(early_.begin());
        early_.push_back(outcome);
    }
    return nullptr;
}

void Copies::wake(const nfs4::StateId& copy) {
    Waiting* waiting = nullptr;
    {
        const std::lock_guard lock(mutex_);
        waiting = find(copy);
    }
    // It goes only on this thread.
    if (waiting != nullptr) waiting->nap.cancel();
}

Copies::Waiting* Copies::find(const nfs4::StateId& copy) const {
    const auto found = std::ranges::find_if(
        waiting_, [&copy](const Waiting* each) { return each->copy_.other == copy.other; });
    return found != waiting_.end() ? *found : nullptr;
}

}  // namespace dpfs::nfs
