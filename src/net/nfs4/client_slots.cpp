// SPDX-License-Identifier: Apache-2.0
// How many slots the server wants to see used. It wishes for a number with each answer, or by
// CB_RECALL_SLOT, and has fewer when SEQUENCE says that no higher one is in use (RFC 8881,
// 2.10.6.1 and 20.8.3).
#include "net/nfs4/client.hpp"

#include <algorithm>

namespace dpfs::nfs4 {

void Client::use_all_slots(const Session& session) noexcept {
    slot_target_.store(session.slot_count - 1);
    highest_slot_.store(session.slot_count - 1);
}

void Client::want_slots(std::uint32_t highest, std::uint64_t epoch) {
    if (session_.epoch != epoch || home().stopping_) return;
    // Each lane keeps one to work with.
    const auto lowest = static_cast<std::uint32_t>(lanes_.size()) - 1;
    slot_target_.store(std::clamp(highest, lowest, session_.slot_count - 1));
    if (!is_changing_slots_) home().background_.spawn(change_slots());
}

/// One at a time; what is wished for meanwhile comes next.
Task<void> Client::change_slots() {
    is_changing_slots_ = true;
    bool was_lowered = false;
    while (!home().stopping_ && highest_slot() != slot_target()) {
        const std::uint64_t epoch = session_.epoch;
        const std::uint32_t target = slot_target();
        was_lowered = target < highest_slot();
        if (!was_lowered) highest_slot_.store(target);
        co_await limit_lanes(target, epoch);
        if (session_.epoch == epoch) highest_slot_.store(target);
    }
    is_changing_slots_ = false;
    if (!was_lowered) co_return;
    // The server waits to hear it.
    const auto request = home().request({});
    const auto told = co_await home().run(*request, &home().life_);
    static_cast<void>(told);  // each request says it
}

/// Until nothing is under way in a slot above.
Task<void> Client::limit_lanes(std::uint32_t highest, std::uint64_t epoch) {
    for (const auto& lane : lanes_) {
        co_await reactor::Reactor::switch_to(lane->reactor());
        if (lane->session_.epoch == epoch) lane->limit_slots(highest);
    }
    for (const auto& lane : lanes_) {
        co_await reactor::Reactor::switch_to(lane->reactor());
        co_await lane->drain_slots(epoch);
    }
    co_await reactor::Reactor::switch_to(home().reactor());
}

}  // namespace dpfs::nfs4
