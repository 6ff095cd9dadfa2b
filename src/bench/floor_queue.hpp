// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/unique_fd.hpp"
#include "fuse/wire.hpp"
#include "virtio/descriptor_chain.hpp"
#include "virtio/guest_memory.hpp"
#include "virtio/virtqueue.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>

namespace dpfs::bench {

/// One queue of a bare device: takes a chain from the ring, makes one preadv or pwritev, gives
/// it back. There is no FUSE session and no check, and one file, whatever is opened or created;
/// what is neither READ nor WRITE is answered with constants. Without a place a READ is a copy
/// of zeroes, and a WRITE a copy of what comes.
///
/// Thread    one at a time.
class FloorQueue {
  public:
    /// `place`: of FloorOptions, open as O_PATH; -1: null.
    FloorQueue(virtio::GuestMemory memory,
               std::unique_ptr<virtio::Virtqueue> ring,
               int call_fd,
               int kick_fd,
               int place);

    /// Answers all that is in the ring; false: nothing was.
    bool work();

    /// To sleep: asks for kicks, which come on kick_fd(); false: something has come already.
    /// wake_up() ends it.
    [[nodiscard]] bool fall_asleep() { return !ring_->enable_notifications(); }
    void wake_up();
    [[nodiscard]] int kick_fd() const noexcept { return kick_fd_; }

  private:
    std::uint32_t answer();
    std::uint32_t answer_without_data(const fuse::wire::InHeader& header);
    std::uint32_t reply(std::uint64_t unique, std::int32_t error, std::uint32_t size);
    std::int64_t read_file();
    std::int64_t write_file();
    int open_file(std::uint32_t flags);

    virtio::GuestMemory memory_;
    std::unique_ptr<virtio::Virtqueue> ring_;
    int call_fd_;
    int kick_fd_;
    int place_;
    UniqueFd file_;
    UniqueFd direct_;  // the same file with O_DIRECT
    virtio::DescriptorChain chain_;
    std::unique_ptr<std::byte[]> zeroes_;  // where a null device copies from and to
};

}  // namespace dpfs::bench
