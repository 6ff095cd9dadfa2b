// SPDX-License-Identifier: Apache-2.0
#include "hal/vhost_user/connection.hpp"

#include "base/or_return.hpp"

#include <algorithm>
#include <array>

namespace dpfs::hal::vhost_user {

using wire::MessageId;

Connection::Connection(const ConnectionContext& context, UniqueFd socket)
    : context_(context),
      channel_(context.control, std::move(socket), context.stopping),
      rings_(context.vrings.size()) {}

/// Every message that this back end knows, and what it must look like.
const Connection::Rule* Connection::find_rule(std::uint32_t request) noexcept {
    constexpr std::uint32_t number = sizeof(wire::Number);
    constexpr std::uint32_t state = sizeof(wire::VringState);
    constexpr std::uint32_t address = sizeof(wire::VringAddress);
    constexpr std::uint32_t region = sizeof(wire::SingleMemoryRegion);
    constexpr std::uint32_t table_min = sizeof(wire::MemoryTableHeader);
    constexpr std::uint32_t any = wire::payload_size_max;
    constexpr std::uint32_t config = sizeof(wire::ConfigHeader);
    constexpr std::uint32_t log = sizeof(wire::Log);
    constexpr std::uint32_t inflight_min = wire::inflight_size_min;
    constexpr std::uint32_t inflight = sizeof(wire::Inflight);
    using C = Connection;
    static constexpr std::array rules = {
        Rule{MessageId::get_features, "GET_FEATURES", 0, number, 0, &C::get_features},
        Rule{MessageId::set_features, "SET_FEATURES", number, number, 0, &C::set_features},
        Rule{MessageId::set_owner, "SET_OWNER", 0, number, 0, &C::set_owner},
        Rule{MessageId::reset_owner, "RESET_OWNER", 0, number, 0, &C::reset_owner},
        Rule{MessageId::set_mem_table,
             "SET_MEM_TABLE",
             table_min,
             any,
             wire::memory_table_regions_max,
             &C::set_mem_table},
        Rule{MessageId::set_log_base, "SET_LOG_BASE", log, log, 1, &C::set_log_base},
        Rule{MessageId::set_log_fd, "SET_LOG_FD", 0, number, 1, &C::set_log_fd},
        Rule{MessageId::set_vring_num, "SET_VRING_NUM", state, state, 0, &C::set_vring_num},
        Rule{MessageId::set_vring_addr,
             "SET_VRING_ADDR",
             address,
             address,
             0,
             &C::set_vring_addr},
        Rule{MessageId::set_vring_base, "SET_VRING_BASE", state, state, 0, &C::set_vring_base},
        Rule{MessageId::get_vring_base, "GET_VRING_BASE", state, state, 0, &C::get_vring_base},
        Rule{
            MessageId::set_vring_kick, "SET_VRING_KICK", number, number, 1, &C::set_vring_kick},
        Rule{
            MessageId::set_vring_call, "SET_VRING_CALL", number, number, 1, &C::set_vring_call},
        Rule{MessageId::set_vring_err, "SET_VRING_ERR", number, number, 1, &C::set_vring_err},
        Rule{MessageId::get_protocol_features,
             "GET_PROTOCOL_FEATURES",
             0,
             number,
             0,
             &C::get_protocol_features},
        Rule{MessageId::set_protocol_features,
             "SET_PROTOCOL_FEATURES",
             number,
             number,
             0,
             &C::set_protocol_features},
        Rule{MessageId::get_queue_num, "GET_QUEUE_NUM", 0, number, 0, &C::get_queue_num},
        Rule{MessageId::set_vring_enable,
             "SET_VRING_ENABLE",
             state,
             state,
             0,
             &C::set_vring_enable},
        Rule{MessageId::get_config, "GET_CONFIG", config, any, 0, &C::get_config},
        Rule{MessageId::set_config, "SET_CONFIG", config, any, 0, &C::set_config},
        Rule{MessageId::get_inflight_fd,
             "GET_INFLIGHT_FD",
             inflight_min,
             inflight,
             0,
             &C::get_inflight_fd},
        Rule{MessageId::set_inflight_fd,
             "SET_INFLIGHT_FD",
             inflight_min,
             inflight,
             1,
             &C::set_inflight_fd},
        Rule{MessageId::reset_device, "RESET_DEVICE", 0, number, 0, &C::reset_device},
        Rule{MessageId::get_max_mem_slots,
             "GET_MAX_MEM_SLOTS",
             0,
             number,
             0,
             &C::get_max_mem_slots},
        Rule{MessageId::add_mem_reg, "ADD_MEM_REG", region, region, 1, &C::add_mem_reg},
        // "the back-end MAY accept messages with one file descriptor", and closes it.
        Rule{MessageId::rem_mem_reg, "REM_MEM_REG", region, region, 1, &C::rem_mem_reg},
        Rule{MessageId::set_status, "SET_STATUS", number, number, 0, &C::set_status},
        Rule{MessageId::get_status, "GET_STATUS", 0, number, 0, &C::get_status},
    };
    const auto found = std::ranges::find_if(
        rules, [&](const Rule& rule) { return std::to_underlying(rule.id) == request; });
    return found == rules.end() ? nullptr : &*found;
}

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
            if (!message_.need_reply) co_return fail(Errno::protocol);
            context_.log.warning("{}: refused", problem_);
            co_await or_return(co_await channel_.send(message_.request, Reply::number(1)));
            continue;
        }
        co_await or_return(co_await handle(*rule, message_));
    }
}

Task<Result<void>> Connection::handle(const Rule& rule, Message& message) {
    const bool acknowledges =
        message.need_reply && (protocol_features_ & wire::protocol_reply_ack) != 0;
    Result<Reply> reply = co_await dispatch(rule, message);
    if (reply) {
        if (!reply->present && acknowledges) *reply = Reply::number(0);
        if (!reply->present) co_return Result<void>();
        const Result<void> sent = co_await channel_.send(message.request, std::move(*reply));
        if (!sent) problem_ = channel_.problem();
        co_return sent;
    }

    problem_ = fmt::format("{}: {}", rule.name, problem_);
    const Errno error = reply.error();
    if (acknowledges) {
        const Result<void> sent = co_await channel_.send(message.request, Reply::number(1));
        if (sent && error == Errno::not_supported) {
            context_.log.warning("{}", problem_);
            co_return Result<void>();
        }
    }
    co_return fail(error);
}

Task<Result<Reply>> Connection::dispatch(const Rule& rule, Message& message) {
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
        context_.log.error("the driver broke queue {}: {}; the device needs a reset",
                           index,
                           virtio::describe(violation));
    } else if (!needs_reset_) {
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
    memory_ = {};
    inflight_ = {};
    log_ = nullptr;
    message_.clear();
}

}  // namespace dpfs::hal::vhost_user
