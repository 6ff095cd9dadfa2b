// SPDX-License-Identifier: Apache-2.0
#include "hal/vhost_user/connection.hpp"

#include "base/or_return.hpp"

#include <algorithm>

namespace dpfs::hal::vhost_user {
namespace {

/// Each of the reactors that `vrings` are on, and `control`.
std::vector<reactor::Reactor*> reactors_of(std::span<const std::unique_ptr<Vring>> vrings,
                                           reactor::Reactor& control) {
    std::vector<reactor::Reactor*> all = {&control};
    for (const auto& vring : vrings) {
        reactor::Reactor* const own = &vring->reactor();
        if (std::ranges::find(all, own) == all.end()) all.push_back(own);
    }
    return all;
}

}  // namespace

Connection::Connection(const ConnectionContext& context, UniqueFd socket)
    : context_(context),
      channel_(context.control, std::move(socket), context.stopping),
      fixed_memory_(context.control, reactors_of(context.vrings, context.control), context.log),
      rings_(context.vrings.size()) {}

Task<void> Connection::run() {
    context_.log.info("a front end has connected");
    const Result<void> end = co_await serve();
    if (end.error() == Errno::shut_down) {
        context_.log.info("the front end has left");
    } else if (end.error() == Errno::canceled) {
        context_.log.info("disconnects the front end: the device is being stopped");
    } else {
        context_.log.error("disconnects the front end: {}", problem_);
    }
    co_await tear_down();
}

/// Never ends with success.
Task<Result<void>> Connection::serve() {
    while (true) {
        const Result<void> received = co_await channel_.receive(message_);
        if (!received) {
            problem_ = channel_.problem();
            co_return received;
        }
        const Rule* const rule = find_rule(message_.request);
        if (rule == nullptr) {
            problem_ = fmt::format("unknown message {}", message_.request);
            if (!acknowledges(message_)) co_return fail(Errno::protocol);
            if (may_log()) context_.log.warning("{}: refused", problem_);
            co_await or_return(co_await channel_.send(message_.request, Reply::number(1)));
            continue;
        }
        co_await or_return(co_await handle(*rule, message_));
    }
}

bool Connection::acknowledges(const Message& message) const noexcept {
    return message.need_reply && (protocol_features_ & wire::protocol_reply_ack) != 0;
}

Task<Result<void>> Connection::handle(Rule rule, Message& message) {
    const bool acknowledged = acknowledges(message);
    Result<Reply> reply = co_await dispatch(rule, message);
    if (reply) {
        if (!reply->present && acknowledged) *reply = Reply::number(0);
        if (!reply->present) co_return Result<void>();
        const Result<void> sent = co_await channel_.send(message.request, std::move(*reply));
        if (!sent) problem_ = channel_.problem();
        co_return sent;
    }

    problem_ = fmt::format("{}: {}", rule.name, problem_);
    const Errno error = reply.error();
    if (acknowledged) {
        const Result<void> sent = co_await channel_.send(message.request, Reply::number(1));
        if (sent && error == Errno::not_supported) {
            if (may_log()) context_.log.warning("{}", problem_);
            co_return Result<void>();
        }
    }
    co_return fail(error);
}

bool Connection::may_log() noexcept {
    return log_quota_.take(context_.control.now());
}

Task<Result<Reply>> Connection::dispatch(Rule rule, Message& message) {
    if (message.size < rule.size_min || message.size > rule.size_max) {
        co_return refuse("payload of {} bytes", message.size);
    }
    if (message.surplus_fds || message.fd_count > rule.fd_count_max) {
        co_return refuse("more file descriptors than the {} it may have", rule.fd_count_max);
    }
    co_return co_await (this->*rule.handler)(message);
}

void Connection::on_ring_broken(std::uint16_t index, virtio::Violation violation) noexcept {
    if (violation != virtio::Violation::none) {
        if (may_log()) {
            context_.log.error("the driver broke queue {}: {}; the device needs a reset",
                               index,
                               virtio::describe(violation));
        }
    } else if (!needs_reset_ && may_log()) {
        context_.log.error(
            "the front end took away memory that it had shared; the device "
            "needs a reset");
    }
    if (std::exchange(needs_reset_, true)) return;
    background_.spawn(halt_all_rings());
}

Task<void> Connection::tear_down() {
    co_await background_.close();
    // All at once stop taking requests, then each finishes what it has.
    co_await halt_all_rings();
    co_await stop_all_rings();
    co_await context_.sink.reset();
    for (const auto& vring : context_.vrings) co_await vring->release();
    co_await fixed_memory_.end();
    memory_ = {};
    inflight_ = {};
    log_ = nullptr;
    message_.clear();
}

}  // namespace dpfs::hal::vhost_user
