// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "reactor/credentials.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <unordered_map>

struct io_uring;

namespace dpfs::reactor {

/// io_uring carries out a request as whoever was registered as a "personality" of the ring.
/// Registering takes several system calls, so those of recent callers are kept; the one that
/// was not used for the longest time makes room.
///
/// Thread    the ring's.
class PersonalityCache {
  public:
    using Id = std::uint16_t;

    /// `submit_queued` passes all queued requests to the kernel: those may name an id that is
    /// about to be evicted. `ring` outlives the cache.
    PersonalityCache(io_uring& ring,
                     std::size_t count_max,
                     std::move_only_function<void()> submit_queued);

    /// Whom a request with this id comes from: `who`, or the daemon itself (nullptr).
    /// Errors: EPERM, EINVAL: the daemon may not act as `who`; others as io_uring_register(2).
    Result<Id> id_for(const Credentials* who);

    [[nodiscard]] std::size_t count() const noexcept { return recent_.size(); }

  private:
    struct Hash {
        std::size_t operator()(const Credentials& who) const noexcept;
    };
    struct Entry {
        Credentials who;
        Id id;
    };
    using Entries = std::list<Entry>;  // most recently used first

    Result<Id> register_as(const Credentials* who);
    void evict_oldest();

    io_uring& ring_;
    const std::size_t count_max_;
    std::move_only_function<void()> submit_queued_;
    Id daemon_id_ = 0;  // 0: not yet registered; the kernel's begin at 1
    Entries recent_;
    std::unordered_map<Credentials, Entries::iterator, Hash> by_who_;
};

}  // namespace dpfs::reactor
