// SPDX-License-Identifier: Apache-2.0
#include "hal/vhost_user/device.hpp"

#include "base/assert.hpp"
#include "hal/vhost_user/connection.hpp"
#include "reactor/reactor.hpp"

#include <bit>
#include <utility>

namespace dpfs::hal::vhost_user {
namespace {

/// After an accept() that failed (no descriptors left): others may give some back.
constexpr Duration accept_pause = milliseconds(100);

}  // namespace

VhostUserDevice::VhostUserDevice(DeviceOptions options,
                                 std::span<reactor::Reactor* const> reactors,
                                 RequestSink& sink,
                                 Logger log)
    : options_(std::move(options)),
      control_(*reactors.front()),
      sink_(sink),
      log_(std::move(log)) {
    VringOwner& owner = *this;
    const std::size_t queue_count = std::size_t{1} + options_.request_queue_count;
    for (std::size_t i = 0; i < queue_count; ++i) {
        reactor::Reactor& own = *reactors[i % reactors.size()];
        const auto index = static_cast<std::uint16_t>(i);
        vrings_.push_back(std::make_unique<Vring>(own, control_, index, sink_, owner));
    }
}

VhostUserDevice::~VhostUserDevice() = default;

Result<void> VhostUserDevice::check_options() const {
    if (options_.tag.empty() || options_.tag.size() > tag_size_max ||
        options_.tag.find_first_of(std::string_view("\0\n", 2)) != std::string::npos) {
        log_.error("tag '{}': 1 to {} bytes without a line end", options_.tag, tag_size_max);
        return fail(Errno::invalid);
    }
    if (options_.request_queue_count < 1 ||
        options_.request_queue_count > request_queue_count_max) {
        log_.error("{} request queues: a device has 1 to {}",
                   options_.request_queue_count,
                   request_queue_count_max);
        return fail(Errno::invalid);
    }
    if (options_.queue_size_max > ring_size_max ||
        !std::has_single_bit(options_.queue_size_max)) {
        log_.error("queues of {} entries: a power of two, at most {}",
                   options_.queue_size_max,
                   ring_size_max);
        return fail(Errno::invalid);
    }
    return {};
}

Result<void> VhostUserDevice::start() {
    if (const auto checked = check_options(); !checked) return checked;
    const auto opened = listener_.open(options_.socket_path, options_.socket_ownership, log_);
    if (!opened) return opened;
    accepting_.spawn(accept_front_ends());
    return {};
}

Task<void> VhostUserDevice::stop() {
    stopping_.cancel();
    co_await accepting_.close();
    co_await serving_.close();
    listener_.close();
}

Task<void> VhostUserDevice::accept_front_ends() {
    const reactor::Limit limit = {.cancel = &stopping_};
    while (true) {
        auto socket = co_await control_.accept(listener_.fd(), limit);
        if (stopping_.canceled()) co_return;
        if (!socket) {
            log_.error("cannot accept a front end: {}", errno_name(socket.error()));
            (void)co_await control_.sleep(accept_pause, &stopping_);
            continue;
        }
        if (connection_ != nullptr) {
            if (!connection_->peer_has_left()) {
                log_.warning("refuses a second front end: one is connected");
                continue;
            }
            // Its end may not have been noticed yet, or its last requests still run.
            co_await serving_.close();
            serving_.reopen();
            if (stopping_.canceled()) co_return;
        }
        connection_ = std::make_unique<Connection>(
            ConnectionContext{
                .options = options_,
                .control = control_,
                .sink = sink_,
                .log = log_,
                .vrings = vrings_,
                .stopping = stopping_,
            },
            std::move(*socket));
        serving_.spawn(serve());
    }
}

Task<void> VhostUserDevice::serve() {
    co_await connection_->run();
    connection_.reset();
}

void VhostUserDevice::on_ring_broken(std::uint16_t index,
                                     virtio::Violation violation) noexcept {
    // Every ring belongs to a connection: it is stopped before the connection ends.
    DPFS_ASSERT(connection_ != nullptr);
    connection_->on_ring_broken(index, violation);
}

std::vector<QueueStats> VhostUserDevice::stats() const {
    std::vector<QueueStats> all;
    all.reserve(vrings_.size());
    for (const auto& vring : vrings_) all.push_back(vring->stats());
    return all;
}

}  // namespace dpfs::hal::vhost_user
