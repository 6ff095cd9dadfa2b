// SPDX-License-Identifier: Apache-2.0
#include "fs/mirror/file_registrations.hpp"

#include <utility>

namespace dpfs::mirror {

using reactor::Reactor;

void FileRegistrations::try_register(Reactor& reactor, int fd) noexcept {
    Place* const place = place_for(reactor, fd);
    if (place == nullptr || place->registered) return;
    // After end() has set this it visits every place that has an owner, on the owner's thread:
    // either it sees this one, or this sees that it has begun.
    if (ended_.load()) return;
    place->registered = reactor.register_file(fd).has_value();
    if (place->registered) any_.store(true, std::memory_order_release);
}

FileRegistrations::Place* FileRegistrations::place_for(Reactor& reactor, int fd) noexcept {
    for (Place& place : places_) {
        Reactor* owner = place.owner.load(std::memory_order_relaxed);
        if (owner == nullptr && place.owner.compare_exchange_strong(owner, &reactor)) {
            place.fd = fd;
            return &place;
        }
        if (owner == &reactor && place.fd == fd) return &place;
    }
    return nullptr;
}

Task<void> FileRegistrations::end(Reactor& here) {
    ended_.store(true);
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
        place.owner.store(nullptr, std::memory_order_relaxed);
        place.registered = false;
        place.fd = -1;
    }
    use_count_.store(0, std::memory_order_relaxed);
    any_.store(false, std::memory_order_relaxed);
    ended_.store(false, std::memory_order_relaxed);
}

}  // namespace dpfs::mirror
