// SPDX-License-Identifier: Apache-2.0
#include "reactor/personality_cache.hpp"

#include "base/assert.hpp"

#include <liburing.h>

#include <utility>

namespace dpfs::reactor {

std::size_t PersonalityCache::Hash::operator()(const Credentials& who) const noexcept {
    std::uint64_t hash = (std::uint64_t{who.uid} << 32) ^ who.gid;
    for (const std::uint32_t group : who.group_list()) {
        hash = (hash ^ group) * 0x9e3779b97f4a7c15;
        hash ^= hash >> 29;
    }
    return hash * 0xbf58476d1ce4e5b9;
}

PersonalityCache::PersonalityCache(io_uring& ring,
                                   std::size_t count_max,
                                   std::move_only_function<void()> submit_queued)
    : ring_(ring), count_max_(count_max), submit_queued_(std::move(submit_queued)) {
    DPFS_ASSERT(count_max_ > 0);
    by_who_.reserve(count_max_);
}

Result<PersonalityCache::Id> PersonalityCache::id_for(const Credentials* who) {
    if (who == nullptr) {
        if (daemon_id_ == 0) {
            const Result<Id> id = register_as(nullptr);
            if (!id) return id;
            daemon_id_ = *id;
        }
        return daemon_id_;
    }
    // Requests come in runs of one caller.
    if (!recent_.empty() && recent_.front().who == *who) return recent_.front().id;

    if (const auto found = by_who_.find(*who); found != by_who_.end()) {
        recent_.splice(recent_.begin(), recent_, found->second);
        return recent_.front().id;
    }
    if (recent_.size() == count_max_) evict_oldest();
    const Result<Id> id = register_as(who);
    if (!id) return id;
    recent_.push_front({*who, *id});
    by_who_.emplace(*who, recent_.begin());
    return id;
}

Result<PersonalityCache::Id> PersonalityCache::register_as(const Credentials* who) {
    if (const Result<void> acting = act_as(who); !acting) {
        // Nobody's identity may be half of one and half of another's.
        DPFS_ASSERT(act_as(nullptr).has_value());
        return fail(acting.error());
    }
    const int id = ::io_uring_register_personality(&ring_);
    DPFS_ASSERT(act_as(nullptr).has_value());
    if (id < 0) return fail(static_cast<Errno>(-id));
    return static_cast<Id>(id);
}

void PersonalityCache::evict_oldest() {
    submit_queued_();
    const Entry& oldest = recent_.back();
    ::io_uring_unregister_personality(&ring_, oldest.id);
    by_who_.erase(oldest.who);
    recent_.pop_back();
}

}  // namespace dpfs::reactor
