// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/task.hpp"
#include "reactor/reactor.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace dpfs::mirror {

/// Which reactors have an open file registered (Reactor::register_file). A file is registered
/// once a reactor has worked on it a few times, because registering costs more than it saves a
/// single operation; and it is given back before its descriptor is closed, because a table
/// keeps a file open, with its locks and its space.
///
/// Thread    any: several reactors may use a file at the same time.
class FileRegistrations {
  public:
    /// Where a file is used by more reactors, the others do without.
    static constexpr std::size_t reactor_count_max = 4;

    /// An operation on `fd` is about to be made by `reactor`, on whose thread this is.
    void used(reactor::Reactor& reactor, int fd) noexcept {
        const std::uint32_t before = use_count_.fetch_add(1, std::memory_order_relaxed);
        if (before % try_interval == try_interval - 1) try_register(reactor, fd);
    }
    /// From now on nobody registers it. True: end() must follow, before the file is closed.
    [[nodiscard]] bool stop() noexcept;

    /// Gives the file back to all reactors. Starts and ends on the thread of `here`.
    Task<void> end(reactor::Reactor& here);

    void recycle() noexcept;

  private:
    static constexpr std::uint32_t try_interval = 8;

    struct Place {
        std::atomic<reactor::Reactor*> owner = nullptr;
        // Its owner's:
        int fd = -1;
        bool registered = false;
    };

    void try_register(reactor::Reactor& reactor, int fd) noexcept;
    Place* place_for(reactor::Reactor& reactor, int fd) noexcept;

    std::atomic<std::uint32_t> use_count_ = 0;
    std::atomic<bool> ended_ = false;
    std::array<Place, reactor_count_max> places_;
};

}  // namespace dpfs::mirror
