// SPDX-License-Identifier: Apache-2.0
#include "base/or_return.hpp"
#include "hal/vhost_user/connection.hpp"
#include "virtio/wire.hpp"

#include <algorithm>

// Negotiation, configuration space and device status.

namespace dpfs::hal::vhost_user {
namespace {

constexpr std::uint32_t config_flag_migration = 1U << 0;  // VHOST_SET_CONFIG_TYPE_MIGRATION

wire::FsConfig config_space(const DeviceOptions& options) {
    wire::FsConfig config = {};
    std::copy_n(
        options.tag.data(), std::min(options.tag.size(), config.tag.size()), config.tag.data());
    config.num_request_queues = options.request_queue_count;
    return config;
}

}  // namespace

std::uint64_t offered_features() noexcept {
    return virtio::feature_version_1 | virtio::feature_indirect_desc |
           virtio::feature_event_idx | virtio::feature_ring_packed |
           virtio::feature_ring_reset | wire::feature_log_all | wire::feature_protocol_features;
}

std::uint64_t offered_protocol_features() noexcept {
    return wire::protocol_mq | wire::protocol_log_shmfd | wire::protocol_reply_ack |
           wire::protocol_config | wire::protocol_inflight_shmfd | wire::protocol_reset_device |
           wire::protocol_configure_mem_slots | wire::protocol_status;
}

Task<Result<Reply>> Connection::get_features(Message& /*message*/) {
    co_return Reply::number(offered_features());
}

Task<Result<Reply>> Connection::set_features(Message& message) {
    const std::uint64_t wanted = message.as<wire::Number>().value;
    const std::uint64_t unknown = wanted & ~offered_features();
    if (unknown != 0) co_return refuse("features {:#x} were not offered", unknown);

    // While rings run only logging may change: all else decides how they are read.
    const std::uint64_t changed = wanted ^ features_;
    if (any_ring_runs() && (changed & ~wire::feature_log_all) != 0) {
        co_return refuse("features {:#x} cannot change while rings run", changed);
    }
    features_ = wanted;
    if ((wanted & wire::feature_protocol_features) == 0) {
        // Without it there is no SET_VRING_ENABLE: "the back-end must enable all rings".
        for (std::size_t i = 0; i < rings_.size(); ++i) {
            rings_[i].enabled = true;
            co_await context_.vrings[i]->set_enabled(true);
        }
    }
    if ((changed & wire::feature_log_all) != 0) {
        // A migration has ended: its log need not cover the memory that comes now, and the next
        // one brings a log of its own.
        if ((wanted & wire::feature_log_all) == 0) log_ = nullptr;
        co_await apply_logs();
    }
    co_return Reply::none();
}

Task<Result<Reply>> Connection::get_protocol_features(Message& /*message*/) {
    co_return Reply::number(offered_protocol_features());
}

Task<Result<Reply>> Connection::set_protocol_features(Message& message) {
    const std::uint64_t wanted = message.as<wire::Number>().value;
    const std::uint64_t unknown = wanted & ~offered_protocol_features();
    if (unknown != 0) co_return refuse("protocol features {:#x} were not offered", unknown);
    protocol_features_ = wanted;
    co_return Reply::none();
}

Task<Result<Reply>> Connection::get_queue_num(Message& /*message*/) {
    co_return Reply::number(rings_.size());
}

Task<Result<Reply>> Connection::set_owner(Message& /*message*/) {
    co_return Reply::none();
}

/// Deprecated: "either ignore this message, or use it to disable all rings".
Task<Result<Reply>> Connection::reset_owner(Message& /*message*/) {
    co_return Reply::none();
}

Task<Result<Reply>> Connection::get_config(Message& message) {
    const auto request = message.as<wire::ConfigHeader>();
    const wire::FsConfig config = config_space(context_.options);
    const auto bytes = std::as_bytes(std::span(&config, 1));
    const std::uint32_t offset = request.offset;
    const std::uint32_t size = request.size;
    if (size > wire::config_size_max || offset > wire::config_size_max) {
        co_return refuse("{} bytes at offset {} of the configuration space", size, offset);
    }
    // The reply is as long as the request; what lies behind the fields is zero.
    std::array<std::byte, wire::config_size_max> piece = {};
    if (offset < bytes.size()) {
        const std::size_t count = std::min<std::size_t>(size, bytes.size() - offset);
        std::copy_n(bytes.data() + offset, count, piece.data());
    }
    Reply reply = Reply::of(request);
    reply.append(std::span(piece).first(size));
    co_return reply;
}

/// All fields are the device's: the driver cannot write any. On the destination of a migration
/// the front end shows us what the source had; the tag may differ, the queues may not.
Task<Result<Reply>> Connection::set_config(Message& message) {
    const auto request = message.as<wire::ConfigHeader>();
    if ((request.flags & config_flag_migration) == 0) {
        co_return deny("the configuration space is read-only");
    }
    co_return Reply::none();
}

Task<Result<Reply>> Connection::set_status(Message& message) {
    // 0 looks like a reset but is none: QEMU sends it whenever it stops the device, also when a
    // guest is only paused, and goes on later with the same rings and the same mount. A guest
    // that starts anew says so with FUSE_INIT, a front end with RESET_DEVICE.
    status_ = static_cast<std::uint8_t>(message.as<wire::Number>().value);
    co_return Reply::none();
}

Task<Result<Reply>> Connection::get_status(Message& /*message*/) {
    const unsigned broken = needs_reset_ ? wire::status_needs_reset : 0;
    co_return Reply::number(status_ | broken);
}

Task<Result<Reply>> Connection::reset_device(Message& /*message*/) {
    co_await halt_all_rings();
    co_await stop_all_rings();
    co_await context_.sink.reset();
    for (RingSettings& ring : rings_) ring = {};
    for (const auto& vring : context_.vrings) co_await vring->set_enabled(false);
    status_ = 0;
    co_await forget_broken_rings();
    inflight_ = {};
    context_.log.debug("the front end has reset the device");
    co_return Reply::none();
}

}  // namespace dpfs::hal::vhost_user
