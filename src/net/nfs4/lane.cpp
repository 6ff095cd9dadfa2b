// SPDX-License-Identifier: Apache-2.0
#include "net/nfs4/lane.hpp"

#include "base/or_return.hpp"
#include "net/nfs4/client.hpp"

#include <algorithm>

namespace dpfs::nfs4 {
namespace {

constexpr std::size_t spare_count_max = 256;
constexpr Duration pause_min = milliseconds(20);
constexpr Duration pause_max = seconds(2);

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

int Lane::free_slot() const noexcept {
    for (std::size_t i = 0; i < slot_limit_; ++i) {
        if (!slots_[i].busy && !slots_[i].lost) return static_cast<int>(i);
    }
    return -1;
}

Task<Result<std::uint32_t>> Lane::take_slot(reactor::CancelSource* cancel) {
    for (bool waited = false;; waited = true) {
        if (stopping_) co_return fail(Errno::shut_down);
        // Low numbers first: the server sees which it could take back.
        const int free = free_slot();
        if (free >= 0) {
            slots_[static_cast<std::size_t>(free)].busy = true;
            co_return static_cast<std::uint32_t>(free);
        }
        if (!waited) counters_.slot_waits.add();
        co_await or_return(co_await slot_waiters_.wait(reactor_, cancel));
    }
}

void Lane::release_slot(std::uint32_t index) noexcept {
    slots_[index].busy = false;
    slot_waiters_.wake_one();
}

void Lane::limit_slots(std::uint32_t highest) noexcept {
    // How many of this lane's numbers are not above `highest`; one must be left to work with.
    const std::uint32_t all = highest + 1;
    const std::uint32_t mine = (all + lane_count_ - 1 - std::min(index_, all)) / lane_count_;
    const auto limit =
        std::clamp<std::uint32_t>(mine, 1, static_cast<std::uint32_t>(slots_.size()));
    const bool grows = limit > slot_limit_;
    slot_limit_ = limit;
    if (grows) slot_waiters_.wake_all();
}

void Lane::adopt(const Session& session) {
    session_ = session;
    const std::uint32_t mine = (session.slot_count + lane_count_ - 1 - index_) / lane_count_;
    slots_.assign(mine, {});
    slot_limit_ = mine;
    heeded_flags_ = 0;
    slot_waiters_.wake_all();
    session_waiters_.wake_all();
}

Task<Result<void>> Lane::run(Request& request, reactor::CancelSource* cancel) {
    counters_.requests.add();
    Duration pause = pause_min;
    const Duration time_max = client_.options().request_time_max;
    request.call.deadline =
        time_max == Duration{} ? Instant::never() : reactor_.now() + time_max;
    for (;;) {
        const auto next = co_await attempt(request, cancel);
        if (!next && next.error() == Errno::bad_message) {
            log_.error("the server sent a malformed answer; reconnecting");
            connection_.restart();
            co_return fail(Errno::io_error);
        }
        if (!next) co_return fail(next.error());
        if (*next == Next::done) co_return Result<void>();
        if (*next == Next::fail) co_return fail(Errno::io_error);
        if (reactor_.now() >= request.call.deadline) co_return fail(Errno::timed_out);
        if (*next == Next::wait_and_again) {
            counters_.delays.add();
            co_await or_return(co_await reactor_.sleep(pause, cancel));
            pause = std::min(Duration{pause.ns * 2}, pause_max);
        }
    }
}

Task<Result<Lane::Next>> Lane::attempt(Request& request, reactor::CancelSource* cancel) {
    if (session_.epoch == 0) co_await or_return(co_await wait_for_session(0, cancel));
    const std::uint32_t index = co_await or_return(co_await take_slot(cancel));
    const std::uint64_t epoch = session_.epoch;
    const auto highest = std::max<std::uint32_t>(session_.slot_count, 1) - 1;
    request.seal();
    request.set_sequence(session_.id, slots_[index].sequence, number_of(index), highest);
    request.call.was_sent = false;
    const auto performed = co_await connection_.perform(request.call, cancel);
    const bool same_session = epoch == session_.epoch;
    if (!performed) {
        // Before it was made anew, the session had a slot of that number too.
        if (same_session) {
            slots_[index].lost = request.call.was_sent;
            release_slot(index);
        }
        if (performed.error() == Errno::stale) co_return Next::again;
        co_return fail(performed.error());
    }
    if (!same_session) co_return Next::again;
    auto next = judge(request, index, epoch);
    release_slot(index);
    if (next && *next == Next::again) {
        if (session_.epoch == epoch && client_.is_lost(epoch)) {
            // Part of making the session: it is made anew with the next connection.
            if (request.call.early) co_return fail(Errno::connection_reset);
            co_await or_return(co_await wait_for_session(epoch, cancel));
        }
    }
    co_return next;
}

Result<Lane::Next> Lane::judge(Request& request, std::uint32_t slot, std::uint64_t epoch) {
    const auto reply = request.open_reply();
    if (!reply) return fail(reply.error());
    switch (*reply) {
        case rpc::ReplyStatus::success:
            break;
        case rpc::ReplyStatus::authentication:
            return fail(Errno::access_denied);
        case rpc::ReplyStatus::malformed:
            return fail(Errno::bad_message);
        case rpc::ReplyStatus::system_error:
            return Next::wait_and_again;
        case rpc::ReplyStatus::program_unavailable:
        case rpc::ReplyStatus::program_mismatch:
        case rpc::ReplyStatus::procedure_unavailable:
        case rpc::ReplyStatus::garbage_arguments:
        case rpc::ReplyStatus::version_mismatch:
            // Its session layer has not seen the call: the slot's sequence stays.
            log_.error("the server does not take a call ({})", rpc::name_of(*reply));
            return Next::fail;
    }
    return judge_sequence(request, slot, epoch);
}

Result<Lane::Next> Lane::judge_sequence(Request& request,
                                        std::uint32_t slot,
                                        std::uint64_t epoch) {
    if (const auto taken = request.take(Op::sequence); !taken) {
        if (taken.error() == Errno::bad_message) return fail(Errno::bad_message);
        if (request.status_ == Status::delay) return Next::wait_and_again;
        if (!is_session_lost(request.status_)) {
            log_.error("SEQUENCE failed ({})", name_of(request.status_));
            return Next::fail;
        }
        background_.spawn(report_lost(epoch));
        client_.note_lost(epoch);
        return Next::again;
    }
    rpc::XdrReader& in = request.in_;
    const auto id = in.fixed(session_id_size);
    const std::uint32_t sequence = in.u32();
    const std::uint32_t number = in.u32();
    in.u32();  // highest slot: the server's limit; its target is what it wishes
    const std::uint32_t target = in.u32();
    const std::uint32_t flags = in.u32();
    if (!in.ok() || !std::ranges::equal(id, session_.id) || number != number_of(slot) ||
        sequence != slots_[slot].sequence) {
        return fail(Errno::bad_message);
    }
    // Only now the server has taken the request, and kept its answer (2.10.6.1).
    ++slots_[slot].sequence;
    last_sequence_ = request.call.sent_at();
    limit_slots(target);
    if (flags != heeded_flags_) heed(flags, epoch);
    return judge_compound(request);
}

Result<Lane::Next> Lane::judge_compound(const Request& request) const noexcept {
    const Status status = request.status();
    if (status == Status::retry_uncached_rep) return Next::again;
    if (status != Status::delay && status != Status::grace) return Next::done;
    // What changes something is the one operation that is cached, and all before it only look:
    // when it, or one of those, has to wait, nothing has happened yet. Later ones are the
    // caller's to repeat.
    const bool nothing_happened = request.result_count() <= request.changing_op_;
    return nothing_happened ? Next::wait_and_again : Next::done;
}

void Lane::heed(std::uint32_t status_flags, std::uint64_t epoch) {
    using namespace sequence_status;
    heeded_flags_ = status_flags;
    constexpr std::uint32_t lost = expired_all_revoked | restart_reclaim_needed;
    if ((status_flags & lost) != 0) {
        log_.warning("the server has dropped our state (status flags {:#x})", status_flags);
        client_.note_lost(epoch);
        background_.spawn(report_lost(epoch));
    } else if ((status_flags & (callback_path_down | callback_path_down_session)) != 0) {
        log_.debug("the server has no way to call back");
    } else if (status_flags != 0) {
        log_.warning("the server reports status flags {:#x}", status_flags);
    }
}

Task<void> Lane::report_lost(std::uint64_t epoch) {
    co_await reactor::Reactor::switch_to(client_.home().reactor());
    client_.session_lost(epoch);
    co_await reactor::Reactor::switch_to(reactor_);
}

Task<Result<void>> Lane::wait_for_session(std::uint64_t lost, reactor::CancelSource* cancel) {
    while (session_.epoch <= lost) {
        if (stopping_) co_return fail(Errno::shut_down);
        co_await or_return(co_await session_waiters_.wait(reactor_, cancel));
    }
    co_return Result<void>();
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
    return client_.greet(*this);
}

Result<void> Lane::answer(std::span<const std::byte> call, std::vector<std::byte>& reply) {
    return client_.answer_callback(*this, call, reply);
}

}  // namespace dpfs::nfs4
