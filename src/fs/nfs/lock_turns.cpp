// SPDX-License-Identifier: Apache-2.0
#include "fs/nfs/lock_turns.hpp"

#include <algorithm>

namespace dpfs::nfs {

bool LockTurns::Awaiter::await_suspend(std::coroutine_handle<> waiter) noexcept {
    if (cancel_ != nullptr && cancel_->canceled()) return false;
    posted_.handle = waiter;
    if (!turns_.begin(*this)) return false;
    // Whoever gives it the turn resumes it from this thread's loop, so not before this.
    if (cancel_ != nullptr) cancel_->link(*this);
    return true;
}

Result<LockTurns::Turn> LockTurns::Awaiter::await_resume() noexcept {
    unlink();
    if (ticket_ == 0) return fail(Errno::canceled);
    return Turn(turns_, ticket_);
}

void LockTurns::Awaiter::on_cancel() noexcept {
    if (!turns_.give_up(*this)) return;
    ticket_ = 0;
    reactor_.schedule(posted_.handle);
}

bool LockTurns::begin(Awaiter& waiting) {
    const std::lock_guard lock(mutex_);
    const bool is_first =
        std::ranges::find(entries_, waiting.owner_, &Entry::owner) == entries_.end();
    waiting.ticket_ = ++last_ticket_;
    entries_.push_back({.owner = waiting.owner_,
                        .through = waiting.through_,
                        .ticket = waiting.ticket_,
                        .waiting = is_first ? nullptr : &waiting});
    return !is_first;
}

void LockTurns::end(std::uint64_t ticket) noexcept {
    const std::lock_guard lock(mutex_);
    const auto ended = std::ranges::find(entries_, ticket, &Entry::ticket);
    DPFS_ASSERT(ended != entries_.end());
    const Owner owner = ended->owner;
    entries_.erase(ended);
    const auto next = std::ranges::find(entries_, owner, &Entry::owner);
    if (next == entries_.end()) return;
    Awaiter& waiting = *std::exchange(next->waiting, nullptr);
    waiting.reactor_.post(waiting.posted_);
}

bool LockTurns::give_up(Awaiter& waiting) noexcept {
    const std::lock_guard lock(mutex_);
    return std::erase_if(entries_, [&waiting](const Entry& each) {
               return each.waiting == &waiting;
           }) > 0;
}

std::optional<LockTurns::Owner> LockTurns::user_of(std::uint64_t through) const {
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::find(entries_, through, &Entry::through);
    if (found == entries_.end()) return std::nullopt;
    return found->owner;
}

bool LockTurns::idle() const {
    const std::lock_guard lock(mutex_);
    return entries_.empty();
}

}  // namespace dpfs::nfs
