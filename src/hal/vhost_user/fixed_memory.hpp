// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/gate.hpp"
#include "base/log.hpp"
#include "base/task.hpp"
#include "hal/vhost_user/memory_table.hpp"
#include "reactor/pinned_memory.hpp"
#include "reactor/reactor.hpp"

#include <memory>
#include <vector>

namespace dpfs::hal::vhost_user {

/// Keeps a guest's memory registered with the reactors that serve it (Reactor::use_buffers), as
/// it comes and goes. The guest does not wait for that: bringing in a GiB takes seconds, is
/// done piece by piece on the blocking pool, and is given up as soon as the memory has changed
/// again; until it is done, and where it cannot be done, transfers go the ordinary way. Memory
/// that went stays mapped until no reactor has it registered.
///
/// Thread    the control reactor's.
/// Lifetime  end() must have ended before the destructor.
class FixedMemory {
  public:
    /// `control` and `reactors`, among which it is, outlive this; so does `log`.
    FixedMemory(reactor::Reactor& control,
                std::vector<reactor::Reactor*> reactors,
                const Logger& log);

    /// `memory` is the guest's from now on.
    void follow(MemorySnapshot memory);
    /// Lets go of all of it.
    Task<void> end();

  private:
    Task<void> catch_up();
    /// Pins one region and registers it everywhere. False: it cannot be, or is not wanted any
    /// more.
    Task<bool> add(virtio::MemoryRegion region);
    /// Brings the pages in; false: the region is not wanted any more.
    Task<bool> populate(virtio::MemoryRegion region);
    Task<void> remove(std::shared_ptr<const reactor::PinnedMemory> pinned);
    [[nodiscard]] bool is_wanted(const std::byte* memory, std::uint64_t size) const noexcept;
    [[nodiscard]] bool is_pinned(const virtio::MemoryRegion& region) const noexcept;
    [[nodiscard]] std::shared_ptr<const reactor::PinnedMemory> take_unwanted() noexcept;
    [[nodiscard]] const virtio::MemoryRegion* next_missing() const noexcept;
    void give_up(Errno error);

    reactor::Reactor& control_;
    const std::vector<reactor::Reactor*> reactors_;
    const Logger& log_;
    MemorySnapshot wanted_;
    std::vector<std::shared_ptr<const reactor::PinnedMemory>> pinned_;
    bool catching_up_ = false;
    bool gave_up_ = false;
    Gate background_;
};

}  // namespace dpfs::hal::vhost_user
