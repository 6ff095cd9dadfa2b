// SPDX-License-Identifier: Apache-2.0
#include "fuse/lane.hpp"

#include "fuse/operations.hpp"

namespace dpfs::fuse {

Call& Lane::take_call() {
    if (free_ == nullptr) {
        all_.push_back(std::make_unique<Call>(reactor));
        return *all_.back();
    }
    Call& call = *free_;
    free_ = call.next;
    call.next = nullptr;
    return call;
}

void Lane::give_back(Call& call) noexcept {
    call.cancel.reset();
    call.data.clear();
    call.text.trim();
    call.output.trim();
    call.next = free_;
    free_ = &call;
}

void Lane::add_pending(Call& call) noexcept {
    call.pending = true;
    call.previous = nullptr;
    call.next = pending_;
    if (pending_ != nullptr) pending_->previous = &call;
    pending_ = &call;
}

void Lane::remove_pending(Call& call) noexcept {
    call.pending = false;
    (call.previous != nullptr ? call.previous->next : pending_) = call.next;
    if (call.next != nullptr) call.next->previous = call.previous;
    call.previous = call.next = nullptr;
}

void Lane::cancel_pending() noexcept {
    cancel(true);
}

void Lane::cancel_calls() noexcept {
    cancel(false);
}

void Lane::cancel(bool transitions_too) noexcept {
    // What is cancelled may end on the spot and leave the list, alone; so the next one is known
    // before.
    for (Call* call = pending_; call != nullptr;) {
        Call* const next = call->next;
        if (transitions_too || call->operation->kind != Operation::Kind::transition) {
            call->cancel.cancel();
        }
        call = next;
    }
}

bool Lane::cancel_pending(std::uint64_t unique) noexcept {
    for (Call* call = pending_; call != nullptr; call = call->next) {
        if (call->header.unique != unique) continue;
        call->cancel.cancel();
        return true;
    }
    return false;
}

}  // namespace dpfs::fuse
