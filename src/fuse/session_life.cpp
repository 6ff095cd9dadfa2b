// SPDX-License-Identifier: Apache-2.0
// A session's life: how mounts begin and end, and what goes from reactor to reactor for it.
#include "base/or_return.hpp"
#include "fuse/lane.hpp"
#include "fuse/operations.hpp"
#include "fuse/session.hpp"
#include "reactor/reactor.hpp"

#include <span>
#include <utility>

namespace dpfs::fuse {

using reactor::Reactor;

Answer Session::initialise(Call& call, wire::InitIn in) {
    if (mounted_) {
        if (may_log(call.context.reactor)) {
            logger_.info("the tenant mounts again without having unmounted");
        }
        co_await end_mount(call.context.reactor);
    }
    if (in.major > wire::kernel_version) {
        // The tenant is to ask again with our version; nothing else in this reply counts.
        state_.store(State::fresh, std::memory_order_release);
        wire::InitOut ours{};
        ours.major = wire::kernel_version;
        ours.minor = wire::kernel_minor_version;
        co_return call.put(ours);
    }

    const auto offered = offer(in, options_);
    Result<void> ready = {};
    Capabilities chosen;
    if (!offered) {
        ready = fail(offered.error());
    } else if (call.payload.left() < init_out_size(in.minor)) {
        ready = fail(Errno::io_error);
    } else {
        chosen = *offered;
        ready = co_await file_system_.init(call.context, chosen);
    }
    if (!ready) {
        if (may_log(call.context.reactor)) {
            logger_.warning(
                "INIT of a 7.{} kernel refused: {}", in.minor, errno_name(ready.error()));
        }
        state_.store(State::fresh, std::memory_order_release);
        co_return fail(ready.error());
    }

    negotiation_ = agree(in, *offered, chosen);
    if (may_log(call.context.reactor)) {
        logger_.info("mounted: FUSE 7.{}, requests of {} KiB, flags {:#x}",
                     negotiation_.minor,
                     negotiation_.request_size_max / 1024,
                     negotiation_.flags);
    }
    const wire::InitOut out = init_reply(in, negotiation_, chosen, options_);
    mounted_ = true;
    state_.store(State::running, std::memory_order_release);
    co_return call.put_bytes(std::as_bytes(std::span(&out, 1)).first(init_out_size(in.minor)));
}

bool Session::may_log(const Reactor& reactor) {
    return log_quota_.take(reactor.now());
}

Task<void> Session::end_mount(Reactor& home) {
    co_await drain(home);
    if (!std::exchange(mounted_, false)) co_return;
    co_await file_system_.destroy(home);
}

Task<void> Session::destroy(Reactor& home) {
    co_await end_mount(home);
    if (may_log(home)) logger_.info("unmounted");
    state_.store(State::fresh, std::memory_order_release);
}

Task<void> Session::drain(Reactor& home) {
    for (const auto& lane : lanes_) {
        co_await Reactor::switch_to(lane->reactor);
        // Not those of INIT or DESTROY, on whose behalf this is done.
        lane->cancel_calls();
        co_await lane->calls.close();
        // Nothing comes in before the state allows it, which is not this function's business.
        lane->calls.reopen();
    }
    co_await Reactor::switch_to(home);
}

Task<void> Session::release_held(Lane& home) {
    for (const auto& lane : lanes_) {
        co_await Reactor::switch_to(lane->reactor);
        // Those that have to wait again go to a list that is not the one walked here.
        for (Call* const call : std::exchange(lane->held, {})) {
            if (admit(*lane, *call)) dispatch(*lane, *call);
        }
    }
    co_await Reactor::switch_to(home.reactor);
}

Task<void> Session::reset() {
    Lane& home = lane_of_this_thread();
    for (const auto& lane : lanes_) {
        co_await Reactor::switch_to(lane->reactor);
        co_await lane->transitions.close();
        lane->transitions.reopen();
    }
    co_await Reactor::switch_to(home.reactor);

    state_.store(State::destroying, std::memory_order_release);
    const bool ends_a_mount = mounted_;
    co_await end_mount(home.reactor);
    if (ends_a_mount) logger_.info("mount ended by the device");
    state_.store(State::fresh, std::memory_order_release);
}

Answer Session::interrupt(Reactor& reactor, std::uint64_t unique) {
    Lane& lane = lane_of(reactor);
    if (lane.cancel_pending(unique) || lanes_.size() == 1) {
        return Answer::ready(std::size_t{0});
    }
    return interrupt_elsewhere(lane, unique);
}

Answer Session::interrupt_elsewhere(Lane& home, std::uint64_t unique) {
    for (const auto& lane : lanes_) {
        co_await Reactor::switch_to(lane->reactor);
        if (lane->cancel_pending(unique)) break;
    }
    co_await Reactor::switch_to(home.reactor);
    co_return std::size_t{0};
}

void Session::interrupt_waits() noexcept {
    Lane& lane = lane_of_this_thread();
    static_cast<void>(lane.transitions.spawn(interrupt_all(lane)));
}

Task<void> Session::interrupt_all(Lane& home) {
    for (const auto& lane : lanes_) {
        co_await Reactor::switch_to(lane->reactor);
        lane->cancel_pending();
    }
    co_await Reactor::switch_to(home.reactor);
}

}  // namespace dpfs::fuse
