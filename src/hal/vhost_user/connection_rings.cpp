// SPDX-License-Identifier: Apache-2.0
#include "base/assert.hpp"
#include "base/or_return.hpp"
#include "hal/vhost_user/connection.hpp"
#include "virtio/wire.hpp"

#include <bit>
#include <sys/stat.h>

// Messages about one ring.

namespace dpfs::hal::vhost_user {
namespace {

/// An eventfd is an anonymous file without a type. Others are refused: a pipe's end may raise
/// SIGPIPE, a file would always be readable.
bool may_be_eventfd(const UniqueFd& fd) noexcept {
    struct stat file = {};
    return ::fstat(fd.get(), &file) == 0 && (file.st_mode & S_IFMT) == 0;
}

}  // namespace

Result<std::uint16_t> Connection::ring_index(std::uint64_t index) {
    if (index >= rings_.size()) {
        return refuse("queue {}, but the device has {}", index, rings_.size());
    }
    return static_cast<std::uint16_t>(index);
}

Result<Connection::VringFd> Connection::vring_fd(Message& message) {
    const std::uint64_t number = message.as<wire::Number>().value;
    const auto index = ring_index(number & wire::vring_index_mask);
    if (!index) return fail(index.error());
    if ((number & ~(wire::vring_index_mask | wire::vring_no_fd)) != 0) {
        return refuse("unknown bits in {:#x}", number);
    }
    const bool expected = (number & wire::vring_no_fd) == 0;
    if (expected != (message.fd_count == 1)) {
        return refuse("{} file descriptors with {:#x}", message.fd_count, number);
    }
    VringFd result = {.index = *index, .fd = {}};
    if (expected) {
        result.fd = std::move(message.fds[0]);
        if (!may_be_eventfd(result.fd)) return refuse("the file descriptor is no eventfd");
    }
    return result;
}

bool Connection::packed() const noexcept {
    return (features_ & virtio::feature_ring_packed) != 0;
}

bool Connection::any_ring_runs() const noexcept {
    for (const RingSettings& ring : rings_) {
        if (ring.running) return true;
    }
    return false;
}

Task<Result<Reply>> Connection::set_vring_num(Message& message) {
    const auto state = message.as<wire::VringState>();
    const std::uint16_t index = co_await or_return(ring_index(state.index));
    const std::uint32_t size = state.num;
    const bool fits = size >= 1 && size <= context_.options.queue_size_max;
    if (!fits || (!packed() && !std::has_single_bit(size))) {
        co_return refuse("{} entries for queue {}; the limit is {}",
                         size,
                         index,
                         context_.options.queue_size_max);
    }
    if (rings_[index].running) co_return refuse("queue {} is running", index);
    rings_[index].size = size;
    co_await or_return(co_await start_if_ready(index));
    co_return Reply::none();
}

Task<Result<Reply>> Connection::set_vring_addr(Message& message) {
    const auto address = message.as<wire::VringAddress>();
    const std::uint16_t index = co_await or_return(ring_index(address.index));
    RingSettings& ring = rings_[index];
    if ((address.flags & ~wire::vring_flag_log) != 0) {
        co_return refuse("unknown flags {:#x}", std::uint32_t{address.flags});
    }
    if (ring.running) {
        DPFS_ASSERT(ring.address.has_value());  // or it could not have started
        const wire::VringAddress& old = *ring.address;
        if (old.descriptor != address.descriptor || old.used != address.used ||
            old.available != address.available) {
            co_return refuse("queue {} is running and cannot move", index);
        }
    }
    ring.address = address;
    if (ring.running) {
        co_await context_.vrings[index]->set_logs(logs_for(ring));
    } else {
        co_await or_return(co_await start_if_ready(index));
    }
    co_return Reply::none();
}

Task<Result<Reply>> Connection::set_vring_base(Message& message) {
    const auto state = message.as<wire::VringState>();
    const std::uint16_t index = co_await or_return(ring_index(state.index));
    if (rings_[index].running) co_return refuse("queue {} is running", index);
    rings_[index].base = state.num;
    co_await or_return(co_await start_if_ready(index));
    co_return Reply::none();
}

Task<Result<Reply>> Connection::get_vring_base(Message& message) {
    const auto state = message.as<wire::VringState>();
    const std::uint16_t index = co_await or_return(ring_index(state.index));
    co_await stop_ring(index);
    // A guest that reboots resets its device; of that, most front ends tell us only that they
    // stop every ring.
    if (!any_ring_runs()) co_await forget_broken_rings();
    RingSettings& ring = rings_[index];
    ring.kick_set = false;
    ring.kick.reset();
    const std::uint32_t base = ring.base.value_or(virtio::RingState{}.to_vring_base(packed()));
    co_return Reply::of(wire::VringState{.index = index, .num = base});
}

Task<Result<Reply>> Connection::set_vring_kick(Message& message) {
    VringFd kick = co_await or_return(vring_fd(message));
    RingSettings& ring = rings_[kick.index];
    if (ring.running) {
        co_await context_.vrings[kick.index]->set_kick(std::move(kick.fd));
        co_return Reply::none();
    }
    ring.kick = std::move(kick.fd);
    ring.kick_set = true;
    ring.base_needed = ring.size == 0 || !ring.address;
    co_await or_return(co_await start_if_ready(kick.index));
    co_return Reply::none();
}

Task<Result<Reply>> Connection::set_vring_call(Message& message) {
    VringFd call = co_await or_return(vring_fd(message));
    co_await context_.vrings[call.index]->set_call(std::move(call.fd));
    co_return Reply::none();
}

Task<Result<Reply>> Connection::set_vring_err(Message& message) {
    VringFd error = co_await or_return(vring_fd(message));
    co_await context_.vrings[error.index]->set_error(std::move(error.fd));
    co_return Reply::none();
}

Task<Result<Reply>> Connection::set_vring_enable(Message& message) {
    const auto state = message.as<wire::VringState>();
    const std::uint16_t index = co_await or_return(ring_index(state.index));
    if (state.num > 1) co_return refuse("{} is neither on nor off", std::uint32_t{state.num});
    rings_[index].enabled = state.num == 1;
    co_await context_.vrings[index]->set_enabled(rings_[index].enabled);
    co_await or_return(co_await start_if_ready(index));
    co_return Reply::none();
}

RingLogs Connection::logs_for(const RingSettings& ring) const {
    if ((features_ & wire::feature_log_all) == 0) return {};
    const bool log_ring = ring.address && (ring.address->flags & wire::vring_flag_log) != 0;
    return {.buffers = log_, .ring = log_ring ? log_ : nullptr};
}

Task<void> Connection::apply_logs() {
    for (std::size_t i = 0; i < rings_.size(); ++i) {
        if (rings_[i].running) co_await context_.vrings[i]->set_logs(logs_for(rings_[i]));
    }
}

/// A ring starts when its kick descriptor is set and all else is known: at SET_VRING_KICK as a
/// rule, but any order will do. Requests that were made available before are found without a
/// kick, so nothing is lost to a front end that sends none for them.
Task<Result<void>> Connection::start_if_ready(std::uint16_t index) {
    RingSettings& ring = rings_[index];
    if (ring.running || !ring.kick_set || needs_reset_) co_return Result<void>();
    if (ring.size == 0 || !ring.address) co_return Result<void>();
    if (ring.base_needed && !ring.base) co_return Result<void>();
    if ((features_ & virtio::feature_version_1) == 0) {
        co_return refuse("queue {} cannot start: VERSION_1 was not negotiated", index);
    }

    RingSetup setup;
    setup.config = {
        .size = ring.size,
        .features = features_,
        .addresses = {.descriptors = ring.address->descriptor,
                      .driver = ring.address->available,
                      .device = ring.address->used,
                      .space = virtio::AddressSpace::user},
        .state = {},
    };
    if (ring.base) {
        setup.config.state = virtio::RingState::from_vring_base(*ring.base, packed());
    }
    setup.memory = memory_.snapshot();
    setup.memory_lost = memory_lost_;
    setup.kick = std::move(ring.kick);
    setup.enabled = ring.enabled;
    setup.logs = logs_for(ring);
    setup.inflight = inflight_.region(index);
    const auto started = co_await context_.vrings[index]->start(std::move(setup));
    if (!started) {
        co_return refuse("queue {} of {} entries at {:#x}, {:#x}, {:#x} cannot start: {}",
                         index,
                         ring.size,
                         std::uint64_t{ring.address->descriptor},
                         std::uint64_t{ring.address->available},
                         std::uint64_t{ring.address->used},
                         errno_name(started.error()));
    }
    ring.running = true;
    co_return Result<void>();
}

Task<void> Connection::stop_ring(std::uint16_t index) {
    RingSettings& ring = rings_[index];
    if (!ring.running) co_return;
    const virtio::RingState state = co_await context_.vrings[index]->stop();
    ring.running = false;
    ring.base = state.to_vring_base(packed());
}

Task<void> Connection::halt_all_rings() {
    for (const auto& vring : context_.vrings) co_await vring->halt();
}

Task<void> Connection::forget_broken_rings() {
    // What on_ring_broken() started must not halt rings that are started after this.
    co_await background_.close();
    background_.reopen();
    needs_reset_ = false;
}

Task<void> Connection::stop_all_rings() {
    for (std::size_t i = 0; i < rings_.size(); ++i) {
        co_await stop_ring(static_cast<std::uint16_t>(i));
    }
}

}  // namespace dpfs::hal::vhost_user
