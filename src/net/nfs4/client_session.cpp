// SPDX-License-Identifier: Apache-2.0
// How a connection gets its session: bound to it, or made, with all that belongs to making one.
#include "base/or_return.hpp"
#include "net/nfs4/client.hpp"

#include <algorithm>

namespace dpfs::nfs4 {
namespace {

constexpr std::uint32_t protect_none = 0;        // SP4_NONE
constexpr std::uint32_t header_size_max = 4096;  // bytes around a READ's or WRITE's data
constexpr std::uint32_t cached_size_max = 1024;  // bytes of an answer that is kept
constexpr std::uint32_t operation_count_max = 16;
constexpr std::uint32_t back_channel_size_max = 4096;
constexpr std::uint32_t bind_fore = 1;
constexpr std::uint32_t bind_fore_or_both = 3;

std::string text_of(std::span<const std::byte> bytes) {
    std::string text;
    for (const std::byte each : bytes) text.push_back(static_cast<char>(each));
    return text;
}

}  // namespace

Task<Result<void>> Client::greet(Lane& lane) {
    if (&lane == &home()) return greet_home(lane);
    return greet_other(lane);
}

Task<Result<void>> Client::greet_home(Lane& lane) {
    // A session whose making was cut off is not gone on with: what was asked for in it, and
    // not answered, is open.
    if (session_.epoch == finished_epoch_ && !is_lost(session_.epoch)) {
        const bool bound = co_await or_return(co_await bind(lane));
        if (bound) co_return Result<void>();
    }
    co_return co_await establish(lane);
}

Task<Result<void>> Client::greet_other(Lane& lane) {
    const std::uint64_t first_epoch = lane.session_.epoch;
    for (std::uint64_t epoch = first_epoch;; epoch = lane.session_.epoch) {
        if (!is_lost(epoch)) {
            const bool bound = co_await or_return(co_await bind(lane));
            // There may be a new session meanwhile, to which it is not bound.
            if (bound && lane.session_.epoch == epoch) co_return Result<void>();
            if (lane.session_.epoch == epoch && epoch != first_epoch) break;
            if (!bound) lane.lose_session(epoch);
        }
        // Requests of the old session wait until home has made a new one.
        const reactor::Limit limit = {.cancel = &lane.life_};
        co_await or_return(co_await lane.wait_for_session(epoch, limit));
        lane.connection_.fail_all(Errno::stale);
    }
    log_.warning("connection {}: {} does not know the session",
                 lane.index_,
                 lane.connection_.address().text);
    co_return fail(Errno::protocol);
}

/// A session may be used over a connection to the server that made it, and to no other (RFC
/// 8881, 2.10.5): an answer that a session of this name is known is believed when the server
/// has shown the same identity.
Task<Result<bool>> Client::bind(Lane& lane) {
    Request request;
    request.begin(options_.minor_version, {}, true);
    request.put(Op::bind_conn_to_session);
    rpc::XdrWriter& out = request.writer();
    out.fixed(lane.session_.id);
    out.u32(&lane == &home() ? bind_fore_or_both : bind_fore);
    out.boolean(false);
    co_await or_return(co_await lane.run_early(request));
    if (request.status() != Status::ok) co_return false;
    const Identity identity = co_await or_return(co_await exchange_id(lane));
    const bool is_same = identity.client_id == lane.session_.client_id &&
                         identity.server == *lane.session_.server;
    co_return is_same;
}

Task<Result<Client::Identity>> Client::exchange_id(Lane& lane) {
    Request request;
    request.begin(options_.minor_version, {}, true);
    request.put(Op::exchange_id);
    rpc::XdrWriter& out = request.writer();
    out.fixed(verifier_);
    out.string(options_.owner);
    out.u32(0);  // flags: no pNFS, no migration
    out.u32(protect_none);
    out.u32(0);  // no implementation id
    co_await or_return(co_await lane.run_early(request));
    if (const auto taken = request.take(Op::exchange_id); !taken) {
        log_.error("the server refuses us (EXCHANGE_ID: {}, NFS 4.{})",
                   name_of(request.status()),
                   options_.minor_version);
        co_return fail(taken.error());
    }
    rpc::XdrReader& in = request.reader();
    Identity identity;
    identity.client_id = in.u64();
    identity.sequence = in.u32();
    identity.confirmed = (in.u32() & exchange::confirmed) != 0;
    if (in.u32() != protect_none) in.fail();
    identity.server.minor = in.u64();
    identity.server.major = text_of(in.opaque(opaque_max));
    identity.server.scope = text_of(in.opaque(opaque_max));
    co_await or_return(request.taken());
    co_return identity;
}

Task<Result<void>> Client::establish(Lane& lane) {
    // Nothing of the old session is on the wire: this connection has just been made.
    auto identity = co_await exchange_id(lane);
    if (!identity) {
        if (!started_) refusal_ = identity.error();
        co_return fail(identity.error());
    }
    const bool is_new_client = identity->client_id != client_id_.load() || !identity->confirmed;
    auto session = co_await create_session(lane, *identity);
    if (!session) {
        if (!started_) refusal_ = session.error();
        co_return fail(session.error());
    }
    const Session old = session_;
    session->epoch = old.epoch + 1;
    session_ = *session;
    client_id_.store(identity->client_id);
    if (is_new_client) {
        is_reclaimed_ = false;
        incarnation_.fetch_add(1);
    }
    session_.incarnation = incarnation_.load();
    callback_sequence_ = 0;
    callback_reply_.clear();
    choose_sizes(session_);
    use_all_slots(session_);
    lane.adopt(session_);
    lane.connection_.fail_all(Errno::stale);
    // Also one that we gave up: it may live on at the server, which has room for a few.
    if (!is_new_client && old.epoch != 0) {
        co_await or_return(co_await destroy_session(lane, old));
    }
    if (!is_reclaimed_) co_await or_return(co_await reclaim(lane));
    co_await or_return(co_await learn_limits(lane));
    log_.info(
        "NFS 4.{} with {}: session of {} slots, requests of {} and answers of {} bytes, "
        "{} operations; READ {} and WRITE {} bytes; lease {} s",
        options_.minor_version,
        lane.connection_.address().text,
        session_.slot_count,
        session_.request_size_max,
        session_.response_size_max,
        session_.operation_count_max,
        read_size_max(),
        write_size_max(),
        lease_time());
    finished_epoch_ = session_.epoch;
    lane.admit();
    started_ = true;
    started_waiters_.wake_all();
    if (!lane.stopping_) lane.background_.spawn(spread(session_));
    co_return Result<void>();
}

Task<Result<Session>> Client::create_session(Lane& lane, Identity identity) {
    Request request;
    request.begin(options_.minor_version, {}, true);
    request.put(Op::create_session);
    rpc::XdrWriter& out = request.writer();
    out.u64(identity.client_id);
    out.u32(identity.sequence);
    out.u32(session_flag::back_channel);
    const auto put_channel =
        [&out](
            std::uint32_t size, std::uint32_t cached, std::uint32_t ops, std::uint32_t slots) {
            for (const std::uint32_t number : {0U, size, size, cached, ops, slots, 0U}) {
                out.u32(number);
            }
        };
    put_channel(options_.data_size_max + header_size_max,
                cached_size_max,
                operation_count_max,
                options_.slot_count);
    put_channel(back_channel_size_max, back_channel_size_max, 8, 1);
    out.u32(callback_program);
    out.u32(1);
    out.u32(0);  // callbacks come without credentials (AUTH_NONE)
    co_await or_return(co_await lane.run_early(request));
    if (const auto taken = request.take(Op::create_session); !taken) {
        log_.error("the server makes no session (CREATE_SESSION: {})",
                   name_of(request.status()));
        co_return fail(taken.error());
    }
    Session session = co_await or_return(take_session(request));
    session.client_id = identity.client_id;
    session.server = std::make_shared<const ServerIdentity>(std::move(identity.server));
    co_return session;
}

Result<Session> Client::take_session(Request& request) const {
    rpc::XdrReader& in = request.reader();
    Session session;
    const auto id = in.fixed(session.id.size());
    if (in.ok()) std::ranges::copy(id, session.id.begin());
    in.u32();  // sequence
    in.u32();  // flags
    in.u32();  // header padding
    session.request_size_max = in.u32();
    session.response_size_max = in.u32();
    in.u32();  // cached
    session.operation_count_max = in.u32();
    session.slot_count = in.u32();
    if (const auto taken = request.taken(); !taken) return fail(taken.error());
    constexpr std::uint32_t size_min = 16384;
    const auto lane_count = static_cast<std::uint32_t>(lanes_.size());
    if (session.slot_count < lane_count || session.request_size_max < size_min ||
        session.response_size_max < size_min || session.operation_count_max < 8) {
        log_.error(
            "the server grants too little: {} slots (threads: {}), requests of {} and "
            "answers of {} bytes, {} operations",
            session.slot_count,
            lane_count,
            session.request_size_max,
            session.response_size_max,
            session.operation_count_max);
        return fail(Errno::protocol);
    }
    session.slot_count = std::min(session.slot_count, options_.slot_count);
    return session;
}

void Client::choose_sizes(const Session& session) noexcept {
    const auto data_max = [this](std::uint32_t size) {
        // Whole pages, so that a request that is split is split well.
        return std::min((size - header_size_max) / 4096 * 4096, options_.data_size_max);
    };
    read_size_max_ = data_max(session.response_size_max);
    write_size_max_ = data_max(session.request_size_max);
}

Task<Result<void>> Client::reclaim(Lane& lane) {
    if (started_) co_await or_return(co_await reclaim_states(lane));
    const auto request = lane.request({});
    request->put(Op::reclaim_complete);
    request->writer().boolean(false);
    request->call.early = true;
    co_await or_return(co_await lane.run(*request));
    const auto taken = request->take(Op::reclaim_complete);
    if (!taken && request->status() != Status::complete_already) co_return taken;
    is_reclaimed_ = true;
    co_return Result<void>();
}

Task<Result<void>> Client::reclaim_states(Lane& lane) {
    const std::vector<StateHolder*> all = holders_;
    Result<void> outcome;
    for (StateHolder* const holder : all) {
        // It may have gone while another's states were reclaimed.
        if (std::ranges::find(holders_, holder) == holders_.end()) continue;
        reclaiming_ = holder;
        outcome = co_await holder->reclaim(lane);
        reclaiming_ = nullptr;
        reclaim_waiters_.wake_all();
        if (!outcome) break;
    }
    co_return outcome;
}

Task<Result<void>> Client::learn_limits(Lane& lane) {
    constexpr AttributeSet wanted = {
        Attribute::lease_time, Attribute::read_max, Attribute::write_max};
    const auto request = lane.request({});
    request->put(Op::putrootfh);
    request->put_getattr(wanted);
    request->call.early = true;
    co_await or_return(co_await lane.run(*request));
    co_await or_return(request->take(Op::putrootfh));
    const Attributes found = co_await or_return(request->take_attributes(wanted));
    if (found.lease_time > 0) lease_time_.store(found.lease_time);
    const auto limit = [](std::uint32_t now, std::uint64_t server) {
        return server < 4096 ? now
                             : static_cast<std::uint32_t>(std::min<std::uint64_t>(now, server));
    };
    read_size_max_ = limit(read_size_max(), found.read_max);
    write_size_max_ = limit(write_size_max(), found.write_max);
    co_return Result<void>();
}

/// Errors: of the connection; what the server thinks of it does not matter.
Task<Result<void>> Client::destroy_session(Lane& lane, Session session) {
    Request request;
    request.begin(options_.minor_version, {}, true);
    request.put(Op::destroy_session);
    request.writer().fixed(session.id);
    request.call.deadline = lane.reactor().now() + seconds(2);
    co_return co_await lane.run_early(request);
}

/// Tells the other connections that there is a new session.
Task<void> Client::spread(Session session) {
    for (const auto& lane : lanes_) {
        if (lane.get() == &home()) continue;
        co_await reactor::Reactor::switch_to(lane->reactor());
        if (lane->stopping_ || lane->session_.epoch >= session.epoch) continue;
        const bool had_session = lane->session_.epoch != 0;
        lane->adopt(session);
        lane->admit();
        // What is under way in the old session is made anew, after a greeting.
        if (had_session && !lane->is_greeting_) lane->connection_.restart();
    }
    co_await reactor::Reactor::switch_to(home().reactor());
}

}  // namespace dpfs::nfs4
