// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "base/time.hpp"
#include "bench/outcome.hpp"
#include "bench/target.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace dpfs::bench {

struct OpenedFile {
    std::uint64_t nodeid = 0;
    std::uint64_t handle = 0;
};

/// One request after the other, for what comes before and after the measurements. Uses the
/// first slot of a lane, so nothing else may be in flight there.
///
/// Errors    of all calls: the device's; EPROTO (a reply that is none), ECONNRESET (the device
///           is gone), ETIMEDOUT (it has not answered for the time given). After one of these
///           all other calls fail alike, at once.
/// Thread    one at a time.
class Client {
  public:
    Client(Target& target, Duration stall_time_max) noexcept
        : target_(target), stall_time_max_(stall_time_max) {}

    /// FUSE_INIT.
    Result<void> mount();
    /// FUSE_DESTROY, as umount does.
    Result<void> unmount();
    /// Bytes that one WRITE may carry, and one READ.
    [[nodiscard]] std::uint32_t write_size_max() const noexcept { return write_size_max_; }

    /// Makes a file in the directory `parent`, or opens the one that is there.
    Result<OpenedFile> create(Lane& lane, std::uint64_t parent, std::string_view name);
    Result<std::uint64_t> open(Lane& lane, std::uint64_t nodeid, std::uint32_t flags);
    Result<void> release(Lane& lane, const OpenedFile& file);
    /// Writes what page() of the first slot has.
    Result<void> write(Lane& lane,
                       const OpenedFile& file,
                       std::uint64_t offset,
                       std::uint32_t size);
    /// Gives the nodeid, with a reference that a FORGET must return; 0: there is no such name.
    Result<std::uint64_t> lookup(std::uint64_t parent, std::string_view name);
    Result<std::uint64_t> make_directory(std::uint64_t parent, std::string_view name);
    Result<void> remove(std::uint64_t parent, std::string_view name, fuse::wire::Opcode how);

    /// Sends what `slot` has prepared, waits, and gives the size of the reply's body.
    Result<std::uint32_t> call(Lane& lane, Slot& slot);

    /// The next request of `lane` that is done.
    Result<Done> wait(Lane& lane);

  private:
    std::unexpected<Errno> give_up(Errno error);

    Target& target_;
    Duration stall_time_max_;
    std::uint32_t write_size_max_ = 4096;
    std::optional<Errno> broken_;  // the device is of no use any more
};

}  // namespace dpfs::bench
