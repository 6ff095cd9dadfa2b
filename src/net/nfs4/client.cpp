// SPDX-License-Identifier: Apache-2.0
#include "net/nfs4/client.hpp"

#include "base/or_return.hpp"

#include <algorithm>
#include <cstring>
#include <random>
#include <unistd.h>

namespace dpfs::nfs4 {
namespace {

constexpr std::uint32_t protect_none = 0;        // SP4_NONE
constexpr std::uint32_t header_size_max = 4096;  // bytes around a READ's or WRITE's data
constexpr std::uint32_t cached_size_max = 1024;  // bytes of an answer that is kept
constexpr std::uint32_t operation_count_max = 16;
constexpr std::uint32_t back_channel_size_max = 4096;
constexpr std::uint32_t bind_fore = 1;
constexpr std::uint32_t bind_fore_or_both = 3;

std::string host_name() {
    std::array<char, 256> name = {};
    if (::gethostname(name.data(), name.size() - 1) != 0) return "dpfs";
    return name.data();
}

Verifier verifier_of(std::uint64_t configured) {
    std::random_device random;
    std::uint64_t number = configured;
    if (number == 0) number = std::uint64_t{random()} << 32 | random();
    Verifier verifier = {};
    std::memcpy(verifier.data(), &number, sizeof number);
    return verifier;
}

/// Cancels `late` after `time`, unless `done` was fired before.
Task<void> cancel_later(reactor::Reactor& reactor,
                        Duration time,
                        reactor::CancelSource& done,
                        reactor::CancelSource& late) {
    const auto over = co_await reactor.sleep(time, &done);
    if (over) late.cancel();
}

std::string text_of(std::span<const std::byte> bytes) {
    std::string text;
    for (const std::byte each : bytes) text.push_back(static_cast<char>(each));
    return text;
}

}  // namespace

std::expected<std::unique_ptr<Client>, std::string> Client::make(
    ClientOptions options,
    std::vector<reactor::Reactor*> reactors,
    StateHolder& holder,
    Logger log) {
    rpc::ConnectionOptions connection;
    connection.tcp.privileged_port = options.privileged_port;
    connection.answer_time_max = options.answer_time_max;
    for (const std::string& server : options.servers) {
        auto found = rpc::resolve_server(server, default_port);
        if (!found) return std::unexpected(std::move(found.error()));
        std::ranges::move(*found, std::back_inserter(connection.addresses));
    }
    if (connection.addresses.empty()) {
        return std::unexpected<std::string>("no server is named; name one");
    }
    connection.reply_size_max = options.data_size_max + (std::size_t{64} << 10);
    if (options.owner.empty()) {
        options.owner = fmt::format("dpfs {} {}", host_name(), options.instance);
    }
    return std::unique_ptr<Client>(new Client(std::move(options),
                                              std::move(reactors),
                                              holder,
                                              std::move(log),
                                              std::move(connection)));
}

Client::Client(ClientOptions options,
               std::vector<reactor::Reactor*> reactors,
               StateHolder& holder,
               Logger log,
               rpc::ConnectionOptions connection)
    : options_(std::move(options)),
      log_(std::move(log)),
      holder_(holder),
      verifier_(verifier_of(options_.verifier)) {
    const auto count = static_cast<std::uint32_t>(reactors.size());
    for (std::uint32_t i = 0; i < count; ++i) {
        lanes_.push_back(
            std::make_unique<Lane>(*this, i, count, *reactors[i], connection, log_));
    }
}

Client::~Client() = default;

Lane& Client::lane(const reactor::Reactor& reactor) noexcept {
    for (const auto& lane : lanes_) {
        if (&lane->reactor() == &reactor) return *lane;
    }
    DPFS_ASSERT(false);  // a request on a reactor that the device is not on
    return *lanes_.front();
}

Task<Result<void>> Client::start() {
    Lane& first = home();
    first.start();
    reactor::CancelSource too_late;
    Gate watch;
    reactor::CancelSource done;
    watch.spawn(cancel_later(first.reactor(), options_.start_time_max, done, too_late));
    Result<void> outcome;
    while (!started_ && outcome) {
        outcome = co_await started_waiters_.wait(first.reactor(), &too_late);
    }
    done.cancel();
    co_await watch.close();
    if (!outcome) co_return fail(refusal_);
    for (const auto& lane : lanes_) {
        if (lane.get() == &first) continue;
        co_await reactor::Reactor::switch_to(lane->reactor());
        lane->start();
    }
    co_await reactor::Reactor::switch_to(first.reactor());
    first.background_.spawn(renew_loop());
    co_return Result<void>();
}

Task<void> Client::stop() {
    for (std::size_t i = lanes_.size(); i-- > 1;) {
        co_await reactor::Reactor::switch_to(lanes_[i]->reactor());
        co_await lanes_[i]->stop();
    }
    co_await reactor::Reactor::switch_to(home().reactor());
    if (started_) co_await destroy_session();
    co_await home().stop();
}

Task<Result<void>> Client::greet(Lane& lane) {
    const auto identity = co_await exchange_id(lane);
    if (!identity) {
        if (!started_) refusal_ = identity.error();
        co_return fail(identity.error());
    }
    const bool is_home = &lane == &home();
    const std::uint64_t epoch = lane.session_.epoch;
    if (epoch != 0 && !is_lost(epoch)) {
        // The same server, and the same session layer there: only then may this connection
        // carry the session (2.10.5).
        const bool is_same_server = identity->client_id == lane.session_.client_id &&
                                    identity->server_major == identity_.server_major &&
                                    identity->server_minor == identity_.server_minor &&
                                    identity->scope == identity_.scope;
        if (is_same_server) {
            const Status status = co_await or_return(co_await bind(lane));
            if (status == Status::ok) co_return Result<void>();
        }
        if (!is_home) {
            // Home finds out whether it is the session or this address that is wrong.
            log_.warning("connection {}: the session cannot be used over it", lane.index_);
            note_lost(epoch);
            lane.background_.spawn(lane.report_lost(epoch));
        }
    }
    if (is_home) co_return co_await establish(lane, *identity);
    // The old session's requests wait until home has a new one.
    co_await or_return(co_await lane.wait_for_session(epoch, &lane.life_));
    lane.connection_.fail_all(Errno::stale);
    const Status status = co_await or_return(co_await bind(lane));
    if (status != Status::ok) co_return fail(Errno::io_error);
    co_return Result<void>();
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
    identity.flags = in.u32();
    if (in.u32() != protect_none) in.fail();
    identity.server_minor = in.u64();
    identity.server_major = text_of(in.opaque(opaque_max));
    identity.scope = text_of(in.opaque(opaque_max));
    co_await or_return(request.taken());
    co_return identity;
}

Task<Result<Status>> Client::bind(Lane& lane) {
    Request request;
    request.begin(options_.minor_version, {}, true);
    request.put(Op::bind_conn_to_session);
    rpc::XdrWriter& out = request.writer();
    out.fixed(lane.session_.id);
    out.u32(&lane == &home() ? bind_fore_or_both : bind_fore);
    out.boolean(false);
    co_await or_return(co_await lane.run_early(request));
    co_return request.status();
}

Task<Result<void>> Client::establish(Lane& lane, Identity identity) {
    // Nothing of the old session is on the wire: this connection has just been made.
    const bool is_new_client = identity.client_id != client_id_.load() || !has_client_id_;
    auto session = co_await create_session(lane, identity);
    if (!session) {
        if (!started_) refusal_ = session.error();
        co_return fail(session.error());
    }
    identity_ = identity;
    client_id_.store(identity.client_id);
    session->epoch = session_.epoch + 1;
    choose_sizes(*session);
    session_ = *session;
    callback_sequence_ = 0;
    lane.adopt(session_);
    lane.connection_.fail_all(Errno::stale);
    if (is_new_client) {
        has_client_id_ = false;
        incarnation_.fetch_add(1);
        if (started_) co_await or_return(co_await holder_.reclaim(lane));
        co_await or_return(co_await complete_reclaim(lane));
        has_client_id_ = true;
    }
    if (!started_) co_await or_return(co_await learn_limits(lane));
    log_.info(
        "NFS 4.{} with {}: session of {} slots, requests of {} and answers of {} bytes, "
        "{} operations; READ {} and WRITE {} bytes; lease {} s",
        options_.minor_version,
        lane.connection_.address().text,
        session_.slot_count,
        session_.request_size_max,
        session_.response_size_max,
        session_.operation_count_max,
        read_size_max_,
        write_size_max_,
        lease_time());
    started_ = true;
    started_waiters_.wake_all();
    lane.background_.spawn(spread(session_));
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
    rpc::XdrReader& in = request.reader();
    Session session;
    session.client_id = identity.client_id;
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
    co_await or_return(request.taken());
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
        co_return fail(Errno::protocol);
    }
    session.slot_count = std::min(session.slot_count, options_.slot_count);
    co_return session;
}

void Client::choose_sizes(const Session& session) noexcept {
    if (started_) return;
    const auto data_max = [this](std::uint32_t size) {
        // Whole pages, so that a request that is split is split well.
        return std::min((size - header_size_max) / 4096 * 4096, options_.data_size_max);
    };
    read_size_max_ = data_max(session.response_size_max);
    write_size_max_ = data_max(session.request_size_max);
}

Task<Result<void>> Client::complete_reclaim(Lane& lane) {
    const auto request = lane.request({});
    request->put(Op::reclaim_complete);
    request->writer().boolean(false);
    request->call.early = true;
    co_await or_return(co_await lane.run(*request));
    const auto taken = request->take(Op::reclaim_complete);
    if (!taken && request->status() != Status::complete_already) co_return taken;
    co_return Result<void>();
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
    read_size_max_ = limit(read_size_max_, found.read_max);
    write_size_max_ = limit(write_size_max_, found.write_max);
    co_return Result<void>();
}

Task<void> Client::spread(Session session) {
    for (const auto& lane : lanes_) {
        if (lane.get() == &home()) continue;
        co_await reactor::Reactor::switch_to(lane->reactor());
        if (lane->stopping_) continue;
        const bool had_session = lane->session_.epoch != 0;
        if (lane->session_.epoch < session.epoch) {
            lane->adopt(session);
            // What is under way in the old session is made anew, after a greeting.
            if (had_session) lane->connection_.restart();
        }
    }
    co_await reactor::Reactor::switch_to(home().reactor());
}

void Client::note_lost(std::uint64_t epoch) noexcept {
    std::uint64_t known = lost_epoch_.load();
    while (known < epoch && !lost_epoch_.compare_exchange_weak(known, epoch)) {
    }
}

void Client::session_lost(std::uint64_t epoch) noexcept {
    if (session_.epoch != epoch || home().stopping_) return;
    log_.warning("the session is lost; making a new one");
    note_lost(epoch);
    home().reconnect();
}

/// An idle client keeps its lease by asking for nothing (RFC 8881, 8.3).
Task<void> Client::renew_loop() {
    Lane& lane = home();
    while (!lane.stopping_) {
        const Duration half = {static_cast<std::int64_t>(lease_time()) * 500'000'000};
        const Instant due =
            std::max(lane.last_sequence() + half, lane.reactor().now() + milliseconds(100));
        const auto slept = co_await lane.reactor().sleep_until(due, &lane.life_);
        if (!slept) co_return;
        if (lane.reactor().now() < lane.last_sequence() + half) continue;
        const auto request = lane.request({});
        const auto done = co_await lane.run(*request, &lane.life_);
        if (!done && done.error() != Errno::canceled && done.error() != Errno::shut_down) {
            log_.warning("the lease could not be renewed ({})", errno_name(done.error()));
        }
    }
}

Task<void> Client::destroy_session() {
    Lane& lane = home();
    // Politeness, not duty: a server that is away forgets us when the lease is over.
    Request request;
    request.begin(options_.minor_version, {}, true);
    request.put(Op::destroy_session);
    request.writer().fixed(session_.id);
    request.call.deadline = lane.reactor().now() + seconds(2);
    const auto destroyed = co_await lane.run_early(request);
    if (!destroyed || request.status() != Status::ok) co_return;
    request.begin(options_.minor_version, {}, true);
    request.put(Op::destroy_clientid);
    request.writer().u64(client_id_.load());
    request.call.deadline = lane.reactor().now() + seconds(2);
    const auto forgotten = co_await lane.run_early(request);
    static_cast<void>(forgotten);
}

}  // namespace dpfs::nfs4
