// SPDX-License-Identifier: Apache-2.0
#include "hal/vhost_user/connection.hpp"

#include <algorithm>
#include <array>

// Every message that this back end knows, and what it must look like.

namespace dpfs::hal::vhost_user {

using wire::MessageId;

namespace {

constexpr std::uint32_t any = wire::payload_size_max;
constexpr std::uint32_t number = sizeof(wire::Number);

}  // namespace

/// Those of connection_features.cpp.
std::span<const Connection::Rule> Connection::feature_rules() noexcept {
    constexpr std::uint32_t config = sizeof(wire::ConfigHeader);
    using C = Connection;
    static constexpr std::array rules = {
        Rule{MessageId::get_features, "GET_FEATURES", 0, number, 0, &C::get_features},
        Rule{MessageId::set_features, "SET_FEATURES", number, number, 0, &C::set_features},
        Rule{MessageId::set_owner, "SET_OWNER", 0, number, 0, &C::set_owner},
        Rule{MessageId::reset_owner, "RESET_OWNER", 0, number, 0, &C::reset_owner},
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
        Rule{MessageId::get_config, "GET_CONFIG", config, any, 0, &C::get_config},
        Rule{MessageId::set_config, "SET_CONFIG", config, any, 0, &C::set_config},
        Rule{MessageId::reset_device, "RESET_DEVICE", 0, number, 0, &C::reset_device},
        Rule{MessageId::set_status, "SET_STATUS", number, number, 0, &C::set_status},
        Rule{MessageId::get_status, "GET_STATUS", 0, number, 0, &C::get_status},
    };
    return rules;
}

/// Those of connection_memory.cpp.
std::span<const Connection::Rule> Connection::memory_rules() noexcept {
    constexpr std::uint32_t region = sizeof(wire::SingleMemoryRegion);
    constexpr std::uint32_t table_min = sizeof(wire::MemoryTableHeader);
    constexpr std::uint32_t log = sizeof(wire::Log);
    constexpr std::uint32_t inflight_min = wire::inflight_size_min;
    constexpr std::uint32_t inflight = sizeof(wire::Inflight);
    using C = Connection;
    static constexpr std::array rules = {
        Rule{MessageId::set_mem_table,
             "SET_MEM_TABLE",
             table_min,
             any,
             wire::memory_table_regions_max,
             &C::set_mem_table},
        Rule{MessageId::set_log_base, "SET_LOG_BASE", log, log, 1, &C::set_log_base},
        Rule{MessageId::set_log_fd, "SET_LOG_FD", 0, number, 1, &C::set_log_fd},
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
        Rule{MessageId::get_max_mem_slots,
             "GET_MAX_MEM_SLOTS",
             0,
             number,
             0,
             &C::get_max_mem_slots},
        Rule{MessageId::add_mem_reg, "ADD_MEM_REG", region, region, 1, &C::add_mem_reg},
        // "the back-end MAY accept messages with one file descriptor", and closes it.
        Rule{MessageId::rem_mem_reg, "REM_MEM_REG", region, region, 1, &C::rem_mem_reg},
    };
    return rules;
}

/// Those of connection_rings.cpp.
std::span<const Connection::Rule> Connection::ring_rules() noexcept {
    constexpr std::uint32_t state = sizeof(wire::VringState);
    constexpr std::uint32_t address = sizeof(wire::VringAddress);
    using C = Connection;
    static constexpr std::array rules = {
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
        Rule{MessageId::set_vring_enable,
             "SET_VRING_ENABLE",
             state,
             state,
             0,
             &C::set_vring_enable},
    };
    return rules;
}

const Connection::Rule* Connection::find_rule(std::uint32_t request) noexcept {
    for (const auto rules : {feature_rules(), memory_rules(), ring_rules()}) {
        const auto found = std::ranges::find_if(
            rules, [&](const Rule& rule) { return std::to_underlying(rule.id) == request; });
        if (found != rules.end()) return &*found;
    }
    return nullptr;
}

}  // namespace dpfs::hal::vhost_user
