// SPDX-License-Identifier: Apache-2.0
// A lane's share of the session's slots: who gets one, who waits, and what becomes of a slot
// whose request was given up.
#include "base/or_return.hpp"
#include "net/nfs4/backoff.hpp"
#include "net/nfs4/client.hpp"
#include "net/nfs4/lane.hpp"

#include <algorithm>

namespace dpfs::nfs4 {
namespace {

constexpr Duration watch_interval = milliseconds(500);  // by so much a deadline may be missed

}  // namespace

void Lane::adopt(const Session& session) {
    session_ = session;
    const std::uint32_t mine = (session.slot_count + lane_count_ - 1 - index_) / lane_count_;
    slots_.assign(mine, {});
    slot_limit_ = mine;
    limit_slots(client_.slot_target());
    heeded_flags_ = 0;
    heeded_target_ = session.slot_count - 1;
    admits_ = false;
    drain_waiters_.wake_all();
}

void Lane::admit() {
    admits_ = true;
    slot_waiters_.wake_all();
    session_waiters_.wake_all();
}

bool Lane::may_use_session(bool early) const noexcept {
    return (admits_ || early) && !client_.is_lost(session_.epoch);
}

int Lane::free_slot() const noexcept {
    for (std::size_t i = 0; i < slot_limit_; ++i) {
        if (!slots_[i].busy) return static_cast<int>(i);
    }
    return -1;
}

Task<Result<Lane::Ticket>> Lane::take_slot(const rpc::Call& call,
                                           reactor::CancelSource* cancel) {
    const reactor::Limit limit = {.deadline = call.deadline, .cancel = cancel};
    for (bool waited = false;;) {
        if (stopping_) co_return fail(Errno::shut_down);
        if (!may_use_session(call.early)) {
            // Early requests make the session: without one all of that begins anew.
            if (call.early) co_return fail(Errno::connection_reset);
            co_await or_return(co_await wait_in(session_waiters_, limit));
            continue;
        }
        // Low numbers first: the server sees which it could take back.
        if (const int free = free_slot(); free >= 0) {
            Slot& slot = slots_[static_cast<std::size_t>(free)];
            slot.busy = true;
            co_return Ticket{.epoch = session_.epoch,
                             .session = session_.id,
                             .index = static_cast<std::uint32_t>(free),
                             .sequence = slot.sequence};
        }
        if (!waited) counters_.slot_waits.add();
        waited = true;
        co_await or_return(co_await wait_in(slot_waiters_, limit));
    }
}

void Lane::release_slot(const Ticket& ticket) noexcept {
    if (ticket.epoch != session_.epoch) return;
    slots_[ticket.index].busy = false;
    slot_waiters_.wake_one();
    if (!drain_waiters_.empty() && !uses_slots_above_limit()) drain_waiters_.wake_all();
}

void Lane::limit_slots(std::uint32_t highest) noexcept {
    // How many of this lane's numbers are not above `highest`; one must be left to work with.
    const std::uint64_t all = std::uint64_t{highest} + 1;
    const std::uint64_t mine =
        (all + lane_count_ - 1 - std::min<std::uint64_t>(index_, all)) / lane_count_;
    const auto size = static_cast<std::uint32_t>(slots_.size());
    const auto limit = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(std::max<std::uint64_t>(mine, 1), size));
    const bool grows = limit > slot_limit_;
    slot_limit_ = limit;
    if (grows) slot_waiters_.wake_all();
}

bool Lane::uses_slots_above_limit() const noexcept {
    const auto above = std::span(slots_).subspan(slot_limit_);
    return std::ranges::any_of(above, &Slot::busy);
}

Task<void> Lane::drain_slots(std::uint64_t epoch) {
    while (!stopping_ && session_.epoch == epoch && uses_slots_above_limit()) {
        const auto woken = co_await drain_waiters_.wait(reactor_, {.cancel = &life_});
        static_cast<void>(woken);
    }
}

void Lane::doubt_slot(const Ticket& ticket) {
    if (ticket.epoch != session_.epoch || stopping_) return;
    counters_.slot_recoveries.add();
    background_.spawn(recover_slot(ticket));
}

/// A request was given up, or its answer made no sense: the server may have done it, may do it
/// still, or may never have seen it. A SEQUENCE of its own with the same number settles that:
/// a server that has done the request answers from its cache, or says that it cannot; one
/// that has not does this one instead (RFC 8881, 2.10.6.1.2 and 2.10.6.2). A server that is
/// still at it answers DELAY.
Task<void> Lane::recover_slot(Ticket ticket) {
    Backoff backoff;
    while (!stopping_ && ticket.epoch == session_.epoch) {
        const auto probe = request({});
        probe->seal();
        probe->set_sequence(
            ticket.session, ticket.sequence, number_of(ticket.index), client_.highest_slot());
        const auto performed = co_await connection_.perform(probe->call, &life_);
        if (!performed || is_recovered(*probe, ticket)) co_return;
        const auto slept = co_await reactor_.sleep(backoff.next(), &life_);
        if (!slept) co_return;
    }
}

bool Lane::is_recovered(Request& request, const Ticket& ticket) {
    if (ticket.epoch != session_.epoch) return true;
    const Status status = request.sequence_status().value_or(Status::badxdr);
    if (status == Status::delay) return false;
    if (status == Status::conn_not_bound_to_session) {
        connection_.restart();
        return false;
    }
    const bool is_settled = status == Status::ok || status == Status::retry_uncached_rep ||
                            status == Status::seq_false_retry;
    if (is_settled) {
        count_sequence(ticket);
        release_slot(ticket);
    } else {
        log_.warning("a slot cannot be used again (SEQUENCE: {})", name_of(status));
        lose_session(ticket.epoch);
    }
    return true;
}

Task<Result<void>> Lane::wait_for_session(std::uint64_t lost, reactor::Limit limit) {
    while (session_.epoch <= lost || !admits_) {
        if (stopping_) co_return fail(Errno::shut_down);
        co_await or_return(co_await wait_in(session_waiters_, limit));
    }
    co_return Result<void>();
}

Task<Result<void>> Lane::wait_in(rpc::WaitList& list, reactor::Limit limit) {
    if (limit.deadline <= reactor_.now()) co_return fail(Errno::timed_out);
    if (limit.deadline != Instant::never() && !watches_waits_) {
        watches_waits_ = true;
        background_.spawn(watch_waits());
    }
    co_return co_await list.wait(reactor_, limit);
}

/// Ends the waits of requests whose time is over. Without a limit of time it does not run.
Task<void> Lane::watch_waits() {
    // Whoever has started it is not in a list yet.
    do {
        const auto slept = co_await reactor_.sleep(watch_interval, &life_);
        if (!slept) break;
        slot_waiters_.expire(reactor_.now());
        session_waiters_.expire(reactor_.now());
    } while (!(slot_waiters_.empty() && session_waiters_.empty()));
    watches_waits_ = false;
}

}  // namespace dpfs::nfs4
