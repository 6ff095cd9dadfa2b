// SPDX-License-Identifier: Apache-2.0
#include "message_script.hpp"

#include "hal/vhost_user/user_driver.hpp"
#include "virtio/wire.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace dpfs::fuzz {

namespace wire = hal::vhost_user::wire;
using hal::test::bytes_of;
using hal::test::message;
using hal::test::MessageBytes;
using hal::test::number;
using hal::test::operator+;
using hal::test::state;
using wire::MessageId;

namespace {

constexpr std::uint64_t user_offset = hal::vhost_user::SharedMemory::user_offset;

constexpr std::array ids = {
    MessageId::get_features,
    MessageId::set_features,
    MessageId::set_owner,
    MessageId::reset_owner,
    MessageId::set_mem_table,
    MessageId::set_log_base,
    MessageId::set_log_fd,
    MessageId::set_vring_num,
    MessageId::set_vring_addr,
    MessageId::set_vring_base,
    MessageId::get_vring_base,
    MessageId::set_vring_kick,
    MessageId::set_vring_call,
    MessageId::set_vring_err,
    MessageId::get_protocol_features,
    MessageId::set_protocol_features,
    MessageId::get_queue_num,
    MessageId::set_vring_enable,
    MessageId::get_config,
    MessageId::set_config,
    MessageId::get_inflight_fd,
    MessageId::set_inflight_fd,
    MessageId::reset_device,
    MessageId::get_max_mem_slots,
    MessageId::add_mem_reg,
    MessageId::rem_mem_reg,
    MessageId::set_status,
    MessageId::get_status,
};

constexpr std::uint64_t protocol_features =
    wire::protocol_mq | wire::protocol_log_shmfd | wire::protocol_config |
    wire::protocol_inflight_shmfd | wire::protocol_reset_device |
    wire::protocol_configure_mem_slots | wire::protocol_status;

wire::VringAddress vring_address(std::uint32_t queue) {
    return {.index = queue,
            .flags = 0U,
            .descriptor = user_offset + ring_address(queue, RingPart::descriptors),
            .used = user_offset + ring_address(queue, RingPart::device),
            .available = user_offset + ring_address(queue, RingPart::driver),
            .log = 0U};
}

wire::MemoryRegion main_region() {
    return hal::test::region(guest_start, memory_size);
}
wire::MemoryRegion other_region() {
    return hal::test::region(other_start, other_size);
}

}  // namespace

// --- values

std::uint64_t MessageScript::features() {
    std::uint64_t all = virtio::feature_version_1 | wire::feature_protocol_features;
    const auto bits = input_.number();
    if ((bits & 1) != 0) all |= virtio::feature_ring_packed;
    if ((bits & 2) != 0) all |= virtio::feature_event_idx;
    if ((bits & 4) != 0) all |= virtio::feature_indirect_desc;
    if ((bits & 8) != 0) all |= wire::feature_log_all;
    if ((bits & 0x30) == 0x30) all &= ~wire::feature_protocol_features;
    if ((bits & 0xc0) == 0xc0) all ^= 1ULL << input_.below(64);
    return all;
}

std::uint64_t MessageScript::size() {
    switch (input_.below(6)) {
        case 0:
            return input_.number<std::uint64_t>();
        case 1:
            return ~std::uint64_t{0} - input_.number();
        case 2:
            return input_.number();
        default:
            return input_.below(16) * page_size;
    }
}

std::uint64_t MessageScript::address() {
    const std::uint64_t ring = ring_address(queue(), static_cast<RingPart>(input_.below(3)));
    switch (input_.below(8)) {
        case 0:
            return input_.number<std::uint64_t>();
        case 1:
            return ring;
        case 2:
            return ~std::uint64_t{0} - input_.number();
        case 3:
            return user_offset + guest_start + memory_size - input_.number();
        case 4:
            return user_offset + ring + input_.number();
        default:
            return user_offset + ring;
    }
}

std::uint32_t MessageScript::queue() {
    if (input_.one_in(16)) return input_.number<std::uint32_t>();
    if (input_.one_in(4)) queue_ = input_.below(queue_count);
    return queue_;
}

std::uint32_t MessageScript::ring_size() {
    constexpr std::array<std::uint32_t, 8> sizes = {8, 1, 2, 4, 16, 64, 3, 1024};
    if (input_.one_in(16)) return input_.number<std::uint32_t>();
    return sizes[input_.below(sizes.size())];
}

wire::MemoryRegion MessageScript::region() {
    switch (input_.below(8)) {
        case 0:
            return {.guest_address = address() - user_offset,
                    .size = size(),
                    .user_address = address(),
                    .mmap_offset = size()};
        case 1:
            return hal::test::region(guest_start + input_.below(12) * page_size,
                                     size(),
                                     input_.below(12) * page_size);
        case 2:
        case 3:
            return other_region();
        default:
            return main_region();
    }
}

// --- payloads

MessageBytes MessageScript::vring_payload(MessageId id) {
    const std::uint32_t index = queue();
    if (id == MessageId::set_vring_num) return bytes_of(state(index, ring_size()));
    if (id == MessageId::set_vring_addr) {
        wire::VringAddress addresses = vring_address(index % queue_count);
        if (input_.one_in(4)) addresses.descriptor = address();
        if (input_.one_in(4)) addresses.used = address();
        if (input_.one_in(4)) addresses.available = address();
        if (input_.one_in(4)) addresses.flags = input_.number();
        addresses.index = index;
        return bytes_of(addresses);
    }
    if (id == MessageId::set_vring_base) {
        constexpr std::array<std::uint32_t, 4> bases = {0, 0x8000'8000, 0xffff, 1};
        const std::uint32_t base = input_.one_in(4) ? input_.number<std::uint32_t>()
                                                    : bases[input_.below(bases.size())];
        return bytes_of(state(index, base));
    }
    return bytes_of(state(index, id == MessageId::set_vring_enable ? input_.below(3) : 0));
}

MessageBytes MessageScript::memory_payload(MessageId id) {
    if (id != MessageId::set_mem_table) {
        region_count_ = id == MessageId::add_mem_reg ? 1 : 0;
        return hal::test::single(region());
    }
    region_count_ = input_.below(4);
    if (input_.one_in(8)) region_count_ = input_.below(10);
    MessageBytes regions;
    for (std::uint32_t i = 0; i < region_count_; ++i) {
        regions = std::move(regions) + bytes_of(i == 0 ? main_region() : region());
    }
    const std::uint32_t lie = input_.one_in(8) ? input_.number<std::uint32_t>() : 0;
    return hal::test::table(region_count_ + lie, regions);
}

MessageBytes MessageScript::config_payload() {
    wire::ConfigHeader header = {
        .offset = input_.below(60), .size = input_.below(60), .flags = input_.below(3)};
    if (input_.one_in(4)) header.offset = input_.number<std::uint32_t>();
    if (input_.one_in(4)) header.size = input_.number<std::uint32_t>();
    return bytes_of(header) + MessageBytes(std::min<std::size_t>(header.size, 260));
}

MessageBytes MessageScript::inflight_payload() {
    if (!memory_.inflight().empty() && !input_.one_in(4)) return memory_.inflight();
    return bytes_of(
        wire::Inflight{.mmap_size = size(),
                       .mmap_offset = size(),
                       .num_queues = static_cast<std::uint16_t>(1 + input_.below(4)),
                       .queue_size = static_cast<std::uint16_t>(ring_size()),
                       .padding = 0U});
}

MessageBytes MessageScript::log_payload() {
    const std::uint64_t offset = input_.one_in(4) ? size() : 0;
    return bytes_of(wire::Log{.size = size(), .offset = offset});
}

MessageBytes MessageScript::payload_for(MessageId id) {
    using enum MessageId;
    switch (id) {
        case get_features:
        case set_owner:
        case reset_owner:
        case get_protocol_features:
        case get_queue_num:
        case reset_device:
        case get_max_mem_slots:
        case get_status:
            return {};
        case set_features:
            return number(features());
        case set_protocol_features:
            return number(protocol_features | (input_.below(2) << 3U) | (size() & 2));
        case set_status:
        case set_log_fd:
            return number(input_.number());
        case set_mem_table:
        case add_mem_reg:
        case rem_mem_reg:
            return memory_payload(id);
        case set_log_base:
            return log_payload();
        case set_vring_num:
        case set_vring_addr:
        case set_vring_base:
        case get_vring_base:
        case set_vring_enable:
            return vring_payload(id);
        case set_vring_kick:
        case set_vring_call:
        case set_vring_err:
            return number(queue() | (input_.one_in(4) ? wire::vring_no_fd : 0));
        case get_config:
        case set_config:
            return config_payload();
        case get_inflight_fd:
        case set_inflight_fd:
            return inflight_payload();
    }
    return {};
}

// --- descriptors

std::vector<HostileMemory::Kind> MessageScript::any_kinds() {
    std::vector<Kind> kinds(input_.one_in(8) ? input_.below(20) : input_.below(3));
    for (Kind& kind : kinds) kind = static_cast<Kind>(input_.below(HostileMemory::kind_count));
    return kinds;
}

std::vector<HostileMemory::Kind> MessageScript::kinds_for(MessageId id) {
    if (input_.one_in(8)) return any_kinds();
    std::vector<Kind> kinds(region_count_, Kind::other);
    if (region_count_ > 0) kinds[0] = input_.one_in(4) ? Kind::other : Kind::memory;
    if (id == MessageId::set_log_base) kinds = {Kind::other};
    if (id == MessageId::set_inflight_fd) kinds = {Kind::inflight};
    if (id == MessageId::set_vring_kick) kinds = {Kind::kick};
    if (id == MessageId::set_vring_call) kinds = {Kind::call};
    if (id == MessageId::set_vring_err) kinds = {Kind::event};
    return kinds;
}

Sending MessageScript::sending(MessageBytes bytes, const std::vector<Kind>& kinds) {
    Sending all = {.bytes = std::move(bytes), .fds = {}};
    for (const Kind kind : kinds) all.fds.push_back(memory_.make(kind, queue_));
    return all;
}

// --- messages

Sending MessageScript::told() {
    const MessageId id = ids[input_.below(ids.size())];
    const auto flags = input_.number();
    region_count_ = 0;
    MessageBytes payload = payload_for(id);
    const std::vector<Kind> kinds = kinds_for(id);
    if (input_.one_in(8)) payload.resize(input_.below(64));
    if (input_.one_in(8) && !payload.empty()) {
        payload[input_.below(64) % payload.size()] ^= std::byte{input_.number()};
    }
    const std::uint32_t need_reply = (flags & 1) != 0 ? wire::flag_need_reply : 0U;
    return sending(message(std::to_underlying(id), payload, wire::flag_version | need_reply),
                   kinds);
}

Sending MessageScript::with_raw_header() {
    MessageBytes payload = input_.bytes(input_.below(80));
    const wire::Header header = {.request = input_.below(64),
                                 .flags = input_.number<std::uint16_t>(),
                                 .size = input_.number<std::uint16_t>()};
    return sending(bytes_of(header) + payload, any_kinds());
}

Sending MessageScript::raw() {
    std::vector<Kind> kinds(input_.below(64));
    for (Kind& kind : kinds) kind = static_cast<Kind>(input_.below(HostileMemory::kind_count));
    return sending(input_.bytes(std::min<std::size_t>(input_.number<std::uint16_t>(), 1024)),
                   kinds);
}

Sending MessageScript::plain(MessageId id,
                             const MessageBytes& payload,
                             const std::vector<Kind>& kinds) {
    return sending(message(id, payload), kinds);
}

std::vector<Sending> MessageScript::set_up() {
    using enum MessageId;
    const std::uint64_t wanted = features();
    const std::uint32_t size = ring_size();
    const bool packed = (wanted & virtio::feature_ring_packed) != 0;
    queue_ = input_.below(queue_count);
    memory_.start_ring(queue_, std::clamp<std::uint32_t>(size, 1, 64), packed);

    const auto table = hal::test::table(2, bytes_of(main_region()) + bytes_of(other_region()));
    const std::uint32_t base = packed ? 0x8000'8000U : 0U;
    std::vector<Sending> all;
    all.push_back(plain(set_protocol_features, number(protocol_features)));
    all.push_back(plain(set_features, number(wanted)));
    all.push_back(plain(set_mem_table, table, {Kind::memory, Kind::other}));
    all.push_back(plain(set_vring_num, bytes_of(state(queue_, size))));
    all.push_back(plain(set_vring_base, bytes_of(state(queue_, base))));
    all.push_back(plain(set_vring_addr, bytes_of(vring_address(queue_))));
    all.push_back(plain(set_vring_call, number(queue_), {Kind::call}));
    all.push_back(plain(set_vring_kick, number(queue_), {Kind::kick}));
    all.push_back(plain(set_vring_enable, bytes_of(state(queue_, 1))));
    if (input_.one_in(4)) all.erase(all.begin() + input_.below(9));
    return all;
}

}  // namespace dpfs::fuzz
