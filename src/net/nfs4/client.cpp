// SPDX-License-Identifier: Apache-2.0
#include "net/nfs4/client.hpp"

#include "base/or_return.hpp"
#include "reactor/cancel_later.hpp"

#include <algorithm>
#include <cstring>
#include <random>
#include <unistd.h>

namespace dpfs::nfs4 {
namespace {

std::string host_name() {
    std::array<char, 256> name = {};
    if (::gethostname(name.data(), name.size() - 1) != 0) return "dpfs";
    return name.data();
}

/// `text` without slashes and bytes that are not printable, each as %XX. Servers keep a
/// client's name as that of a file in their stable storage; nfs-ganesha 15.2 cannot read back
/// one that it had to encode for that, and then lets the client reclaim nothing after a
/// restart.
std::string printable(std::string_view text) {
    std::string name;
    for (const char each : text) {
        if (each > ' ' && each <= '~' && each != '/' && each != '%') {
            name.push_back(each);
        } else {
            fmt::format_to(
                std::back_inserter(name), "%{:02X}", static_cast<unsigned char>(each));
        }
    }
    return name;
}

Verifier verifier_of(std::uint64_t configured) {
    std::random_device random;
    std::uint64_t number = configured;
    if (number == 0) number = std::uint64_t{random()} << 32 | random();
    Verifier verifier = {};
    std::memcpy(verifier.data(), &number, sizeof number);
    return verifier;
}

}  // namespace

std::expected<std::unique_ptr<Client>, std::string> Client::make(
    ClientOptions options, std::vector<reactor::Reactor*> reactors, Logger log) {
    rpc::ConnectionOptions connection;
    connection.tcp.privileged_port = options.privileged_port;
    connection.answer_time_max = options.answer_time_max;
    if (options.tls.mode == rpc::TlsMode::on) {
        auto tls = rpc::TlsContext::make(options.tls);
        if (!tls) return std::unexpected(std::move(tls.error()));
        connection.tls = std::move(*tls);
        connection.tls_procedure = {
            .program = program, .version = program_version, .number = 0};
    }
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
        options.owner =
            fmt::format("dpfs-{}-{}", printable(host_name()), printable(options.instance));
    }
    return std::unique_ptr<Client>(
        new Client(std::move(options), std::move(reactors), std::move(log), connection));
}

Client::Client(ClientOptions options,
               std::vector<reactor::Reactor*> reactors,
               Logger log,
               const rpc::ConnectionOptions& connection)
    : options_(std::move(options)),
      log_(std::move(log)),
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

Task<Result<void>> Client::start(StateHolder& holder, reactor::Reactor& reactor) {
    co_await reactor::Reactor::switch_to(home().reactor());
    holders_.push_back(&holder);
    Result<void> outcome;
    if (!std::exchange(is_begun_, true)) {
        outcome = co_await start_lanes();
    } else {
        outcome = co_await wait_until_started();
    }
    co_await reactor::Reactor::switch_to(reactor);
    co_return outcome;
}

Task<Result<void>> Client::start_lanes() {
    Lane& first = home();
    first.start();
    co_await or_return(co_await wait_until_started());
    for (const auto& lane : lanes_) {
        if (lane.get() == &first) continue;
        co_await reactor::Reactor::switch_to(lane->reactor());
        lane->start();
    }
    co_await reactor::Reactor::switch_to(first.reactor());
    first.background_.spawn(renew_loop());
    co_return Result<void>();
}

Task<Result<void>> Client::wait_until_started() {
    Lane& first = home();
    reactor::CancelSource too_late;
    Gate watch;
    reactor::CancelSource done;
    watch.spawn(
        reactor::cancel_later(first.reactor(), options_.start_time_max, done, too_late));
    Result<void> outcome;
    while (!started_ && !is_refused_ && outcome) {
        outcome = co_await started_waiters_.wait(first.reactor(), {.cancel = &too_late});
    }
    done.cancel();
    co_await watch.close();
    if (!outcome || !started_) co_return fail(refusal_);
    co_return Result<void>();
}

Task<void> Client::stop(StateHolder& holder, reactor::Reactor& reactor) {
    co_await reactor::Reactor::switch_to(home().reactor());
    std::erase(holders_, &holder);
    while (reclaiming_ == &holder) {
        home().reconnect();  // which ends what it has under way
        const auto ended = co_await reclaim_waiters_.wait(home().reactor());
        static_cast<void>(ended);
    }
    if (holders_.empty()) co_await stop_lanes();
    co_await reactor::Reactor::switch_to(reactor);
}

Task<void> Client::stop_lanes() {
    for (std::size_t i = lanes_.size(); i-- > 1;) {
        co_await reactor::Reactor::switch_to(lanes_[i]->reactor());
        co_await lanes_[i]->stop();
    }
    co_await reactor::Reactor::switch_to(home().reactor());
    if (started_) co_await say_goodbye();
    co_await home().stop();
}

void Client::refused() noexcept {
    if (started_) return;
    refusal_ = Errno::protocol;
    is_refused_ = true;
    started_waiters_.wake_all();
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

void Client::heed(std::uint32_t status_flags, std::uint64_t epoch) {
    using namespace sequence_status;
    if (session_.epoch != epoch || home().stopping_) return;
    constexpr std::uint32_t revoked = expired_all_revoked | expired_some_revoked |
                                      sequence_status::admin_revoked | recallable_revoked;
    constexpr std::uint32_t no_callbacks = callback_path_down | callback_path_down_session;
    if ((status_flags & restart_reclaim_needed) != 0) {
        log_.warning("the server has restarted, and kept the session only");
        is_reclaimed_ = false;
        incarnation_.fetch_add(1);
        session_lost(epoch);
    } else if ((status_flags & backchannel_fault) != 0) {
        log_.warning("the server's way to call back is broken");
        session_lost(epoch);
    } else if ((status_flags & no_callbacks) != 0 && home().reactor().now() >= next_rebind_) {
        log_.info("the server has no way to call back; reconnecting");
        next_rebind_ = home().reactor().now() + seconds(lease_time());
        home().reconnect();
    }
    if ((status_flags & revoked) != 0) {
        log_.warning("the server has revoked states of ours (flags {:#x})", status_flags);
        for (StateHolder* const holder : holders_) holder->states_revoked();
    }
    if ((status_flags & lease_moved) != 0) {
        log_.warning("the server has moved a file system elsewhere; we do not follow");
        for (StateHolder* const holder : holders_) holder->file_systems_moved();
    }
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

/// Politeness, not duty: a server that is away forgets us when the lease is over.
Task<void> Client::say_goodbye() {
    Lane& lane = home();
    const auto destroyed = co_await destroy_session(lane, session_);
    if (!destroyed) co_return;
    Request request;
    request.begin(options_.minor_version, {}, true);
    request.put(Op::destroy_clientid);
    request.writer().u64(client_id_.load());
    request.call.deadline = lane.reactor().now() + seconds(2);
    const auto forgotten = co_await lane.run_early(request);
    static_cast<void>(forgotten);
}

}  // namespace dpfs::nfs4
