// SPDX-License-Identifier: Apache-2.0
#include "net/nfs4/lane.hpp"

#include "base/or_return.hpp"
#include "net/nfs4/backoff.hpp"
#include "net/nfs4/client.hpp"

#include <algorithm>

namespace dpfs::nfs4 {
namespace {

constexpr std::size_t spare_count_max = 256;

}  // namespace

Lane::Lane(Client& client,
           std::uint32_t index,
           std::uint32_t lane_count,
           reactor::Reactor& reactor,
           rpc::ConnectionOptions options,
           const Logger& log)
    : client_(client),
      index_(index),
      lane_count_(lane_count),
      reactor_(reactor),
      log_(log.child(fmt::format("connection={}", index))),
      connection_(reactor, std::move(options), *this, log_) {}

Lane::~Lane() = default;

Task<void> Lane::stop() {
    stopping_ = true;
    life_.cancel();
    slot_waiters_.wake_all();
    session_waiters_.wake_all();
    drain_waiters_.wake_all();
    co_await connection_.stop();
    co_await background_.close();
}

Lane::Holder Lane::request(const rpc::AuthSys& who) {
    std::unique_ptr<Request> request;
    if (spare_.empty()) {
        request = std::make_unique<Request>();
    } else {
        request = std::move(spare_.back());
        spare_.pop_back();
    }
    request->begin(client_.options().minor_version, who);
    return {*this, std::move(request)};
}

void Lane::give_back(std::unique_ptr<Request> request) noexcept {
    if (spare_.size() < spare_count_max) spare_.push_back(std::move(request));
}

Task<Result<void>> Lane::run(Request& request,
                             reactor::CancelSource* cancel,
                             Duration time_max) {
    counters_.requests.add();
    Backoff backoff;
    // What makes a session, and reclaims states in it, is no request of a tenant's: to give it
    // up would be to lose what it reclaims.
    if (time_max == Duration{} && !request.call.early) {
        time_max = client_.options().request_time_max;
    }
    const Instant deadline =
        time_max == Duration{} ? Instant::never() : reactor_.now() + time_max;
    request.call.deadline = deadline;
    reactor::CancelSource* const canceler = cancel;
    for (;;) {
        const auto next = co_await attempt(request, cancel);
        if (!next && next.error() == Errno::bad_message) {
            log_.error("the server sent a malformed answer; reconnecting");
            connection_.restart();
            co_return fail(Errno::io_error);
        }
        if (!next) co_return fail(next.error());
        if (*next == Next::done) co_return Result<void>();
        if (*next == Next::deny) co_return fail(Errno::access_denied);
        if (*next == Next::fail) co_return fail(Errno::io_error);
        if (*next == Next::wait_and_again) {
            // The server has said that it has done nothing.
            request.call.deadline = deadline;
            cancel = canceler;
        } else if (request.call.is_bound()) {
            cancel = nullptr;
        }
        if (reactor_.now() >= request.call.deadline) co_return fail(Errno::timed_out);
        if (*next == Next::wait_and_again) {
            counters_.delays.add();
            const Instant due =
                std::min(reactor_.now() + backoff.next(), request.call.deadline);
            co_await or_return(co_await reactor_.sleep_until(due, cancel));
        }
    }
}

Task<Result<Lane::Next>> Lane::attempt(Request& request, reactor::CancelSource* cancel) {
    const Ticket ticket = co_await or_return(co_await take_slot(request.call, cancel));
    request.seal();
    request.set_sequence(
        ticket.session, ticket.sequence, number_of(ticket.index), client_.highest_slot());
    request.incarnation_ = session_.incarnation;
    request.call.was_sent = false;
    const auto next = co_await perform_in(ticket, request, cancel);
    if (next || !request.call.was_sent) {
        release_slot(ticket);
    } else {
        doubt_slot(ticket);
    }
    if (!next && next.error() == Errno::stale) co_return Next::again;
    co_return next;
}

/// Performs a request until its slot is done with it. A server that still works on what it got
/// over a connection that was lost since answers DELAY to SEQUENCE: the slot stays this
/// request's, and it is sent again as it was (RFC 8881, 2.10.6.2).
Task<Result<Lane::Next>> Lane::perform_in(Ticket ticket,
                                          Request& request,
                                          reactor::CancelSource* cancel) {
    for (Backoff backoff;;) {
        if (request.call.is_bound()) cancel = nullptr;
        co_await or_return(co_await connection_.perform(request.call, cancel));
        const Next next = co_await or_return(judge(request, ticket));
        if (next != Next::repeat) co_return next;
        if (ticket.epoch != session_.epoch) co_return Next::again;
        counters_.delays.add();
        const Instant due = std::min(reactor_.now() + backoff.next(), request.call.deadline);
        co_await or_return(co_await reactor_.sleep_until(due, cancel));
        if (reactor_.now() >= request.call.deadline) co_return fail(Errno::timed_out);
        request.seal();
    }
}

/// An error: nobody knows what became of the request in its slot.
Result<Lane::Next> Lane::judge(Request& request, const Ticket& ticket) {
    const auto reply = request.open_reply();
    if (!reply) return fail(reply.error());
    switch (*reply) {
        case rpc::ReplyStatus::success:
            break;
        case rpc::ReplyStatus::authentication:
            return Next::deny;
        case rpc::ReplyStatus::malformed:
            return fail(Errno::bad_message);
        case rpc::ReplyStatus::system_error:
            return Next::wait_and_again;
        case rpc::ReplyStatus::program_unavailable:
        case rpc::ReplyStatus::program_mismatch:
        case rpc::ReplyStatus::procedure_unavailable:
        case rpc::ReplyStatus::garbage_arguments:
        case rpc::ReplyStatus::version_mismatch:
            // Its session layer has not seen the call: the slot's sequence stays. A tenant can
            // ask for such calls as often as it likes (nfs-ganesha 15.2: a large attribute).
            if (log_quota_.take(reactor_.now())) {
                log_.error("the server does not take a call ({})", rpc::name_of(*reply));
            }
            return Next::fail;
    }
    return judge_sequence(request, ticket);
}

Result<Lane::Next> Lane::judge_sequence(Request& request, const Ticket& ticket) {
    if (const auto taken = request.take(Op::sequence); !taken) {
        if (taken.error() == Errno::bad_message) return fail(Errno::bad_message);
        return judge_sequence_error(request, ticket);
    }
    rpc::XdrReader& in = request.in_;
    const auto id = in.fixed(session_id_size);
    const std::uint32_t sequence = in.u32();
    const std::uint32_t number = in.u32();
    in.u32();  // highest slot: the server's limit; its target is what it wishes
    const std::uint32_t target = in.u32();
    const std::uint32_t flags = in.u32();
    if (!in.ok() || !std::ranges::equal(id, ticket.session) ||
        number != number_of(ticket.index) || sequence != ticket.sequence) {
        return fail(Errno::bad_message);
    }
    // Only now the server has taken the request, and kept its answer (2.10.6.1). An answer
    // that comes when there is a new session already holds all the same: to make the request
    // anew would be to do it twice.
    count_sequence(ticket);
    if (ticket.epoch == session_.epoch) {
        last_sequence_ = request.call.sent_at();
        if (target != heeded_target_ && !stopping_) {
            heeded_target_ = target;
            background_.spawn(report_target(target, ticket.epoch));
        }
        if (flags != heeded_flags_) heed(flags, ticket.epoch);
    }
    return judge_compound(request);
}

Lane::Next Lane::judge_sequence_error(const Request& request, const Ticket& ticket) {
    const Status status = request.status_;
    if (status == Status::delay) return Next::repeat;
    if (status == Status::conn_not_bound_to_session) {
        // A new one is bound before anything goes over it; the slot has not been used.
        connection_.restart();
        return Next::repeat;
    }
    if (status == Status::retry_uncached_rep) {
        // Done, over a connection that was lost with the answer, which was not kept.
        count_sequence(ticket);
        return request.is_cached() ? Next::fail : Next::again;
    }
    if (is_session_lost(status)) {
        lose_session(ticket.epoch);
        return Next::again;
    }
    log_.error("SEQUENCE failed ({})", name_of(status));
    return Next::fail;
}

Lane::Next Lane::judge_compound(const Request& request) const {
    const Status status = request.status();
    if (status == Status::retry_uncached_rep) {
        if (!request.is_cached()) return Next::again;
        log_.error("the server has not kept an answer that it was asked to keep");
        return Next::fail;
    }
    if (status != Status::delay && status != Status::grace) return Next::done;
    // What changes something is the one operation that is cached, and all before it only look:
    // when it, or one of those, has to wait, nothing has happened yet. Later ones are the
    // caller's to repeat.
    const bool nothing_happened = request.result_count() <= request.changing_op_;
    return nothing_happened ? Next::wait_and_again : Next::done;
}

void Lane::count_sequence(const Ticket& ticket) noexcept {
    if (ticket.epoch == session_.epoch) ++slots_[ticket.index].sequence;
}

/// What a server says with each answer about the state of ours (RFC 8881, 18.46.3).
void Lane::heed(std::uint32_t status_flags, std::uint64_t epoch) {
    const std::uint32_t news = status_flags & ~heeded_flags_;
    heeded_flags_ = status_flags;
    if (news != 0 && !stopping_) background_.spawn(report_flags(news, epoch));
}

Task<void> Lane::report_target(std::uint32_t highest, std::uint64_t epoch) {
    co_await reactor::Reactor::switch_to(client_.home().reactor());
    client_.want_slots(highest, epoch);
    co_await reactor::Reactor::switch_to(reactor_);
}

Task<void> Lane::report_flags(std::uint32_t status_flags, std::uint64_t epoch) {
    co_await reactor::Reactor::switch_to(client_.home().reactor());
    client_.heed(status_flags, epoch);
    co_await reactor::Reactor::switch_to(reactor_);
}

void Lane::lose_session(std::uint64_t epoch) {
    client_.note_lost(epoch);
    if (!stopping_) background_.spawn(report_lost(epoch));
}

Task<void> Lane::report_lost(std::uint64_t epoch) {
    co_await reactor::Reactor::switch_to(client_.home().reactor());
    client_.session_lost(epoch);
    co_await reactor::Reactor::switch_to(reactor_);
}

Task<Result<void>> Lane::run_early(Request& request) {
    request.seal();
    request.call.early = true;
    co_await or_return(co_await connection_.perform(request.call));
    const auto reply = co_await or_return(request.open_reply());
    if (reply != rpc::ReplyStatus::success) {
        log_.error("the server does not take a call ({})", rpc::name_of(reply));
        co_return fail(Errno::protocol);
    }
    co_return Result<void>();
}

Task<Result<void>> Lane::greet(rpc::Connection& connection) {
    static_cast<void>(connection);
    is_greeting_ = true;
    const auto greeted = co_await client_.greet(*this);
    is_greeting_ = false;
    co_return greeted;
}

Result<void> Lane::answer(std::span<const std::byte> call, std::vector<std::byte>& reply) {
    // Only home's connection has been bound to the back channel: a server that calls over
    // another breaks the protocol.
    if (this != &client_.home()) return fail(Errno::protocol);
    return client_.answer_callback(call, reply);
}

void Lane::refused() {
    if (this == &client_.home()) client_.refused();
}

}  // namespace dpfs::nfs4
