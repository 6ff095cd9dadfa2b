// SPDX-License-Identifier: Apache-2.0
#include "fs/mirror/file_registrations.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <utility>

namespace dpfs::mirror {

using reactor::Reactor;

void FileRegistrations::try_register(Reactor& reactor, int fd) noexcept {
    Place* const place = place_for(reactor, fd);
    if (place == nullptr || place->registered) return;
    // After stop() has set this it looks for places that have an owner, and end() visits them
    // on the owner's thread: either they see this one, or this sees that it is too late.
    if (ended_.load()) return;
    place->registered = reactor.register_file(fd).has_value();
    if (!place->registered) place->owner.store(nullptr);
}

FileRegistrations::Place* FileRegistrations::place_for(Reactor& reactor, int fd) noexcept {
    for (Place& place : places_) {
        if (place.owner.load(std::memory_order_relaxed) == &reactor && place.fd == fd) {
            return &place;
        }
    }
    for (Place& place : places_) {
        Reactor* owner = nullptr;
        if (!place.owner.compare_exchange_strong(owner, &reactor)) continue;
        place.fd = fd;
        return &place;
    }
    return nullptr;
}

bool FileRegistrations::stop() noexcept {
    ended_.store(true);
    return std::ranges::any_of(
        places_, [](const Place& place) { return place.owner.load() != nullptr; });
}

Task<void> FileRegistrations::end(Reactor& here) {
    for (Place& place : places_) {
        Reactor* const owner = place.owner.load();
        if (owner == nullptr) continue;
        co_await Reactor::switch_to(*owner);
        if (std::exchange(place.registered, false)) owner->unregister_file(place.fd);
    }
    co_await Reactor::switch_to(here);
}

void FileRegistrations::recycle() noexcept {
    for (Place& place : places_) {
        // A table that kept a closed descriptor would serve its file to whom has its number
        // next.
        DPFS_ASSERT(!place.registered);
        place.owner.store(nullptr, std::memory_order_relaxed);
        place.fd = -1;
    }
    use_count_.store(0, std::memory_order_relaxed);
    ended_.store(false, std::memory_order_relaxed);
}

}  // namespace dpfs::mirror
