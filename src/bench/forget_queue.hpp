// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "bench/client.hpp"

#include <cstdint>
#include <mutex>
#include <vector>

namespace dpfs::bench {

/// Gives back references to inodes on the queue that is there for it (virtio 1.2, 5.11.6.1),
/// one FORGET each, as Linux does over virtio-fs, or many in a BATCH_FORGET. There is no reply;
/// buffers come back, and when all of them are out, add() waits.
///
/// Errors    as Client's.
/// Thread    any; a device has one such queue for all its request queues, hence the lock.
class ForgetQueue {
  public:
    ForgetQueue(Lane& lane, Client& client, bool batch);

    Result<void> add(std::uint64_t nodeid, std::uint64_t lookup_count);
    /// Shows the device what was added.
    Result<void> flush();

  private:
    Result<void> submit();
    Result<Slot*> take_slot();

    std::mutex mutex_;
    Lane& lane_;
    Client& client_;
    std::vector<Slot*> free_;
    Slot* open_ = nullptr;           // whose BATCH_FORGET is not full yet
    std::uint32_t open_count_ = 0;   // inodes in it
    std::uint64_t open_nodeid_ = 0;  // the first of them
    std::uint64_t open_lookup_count_ = 0;
    std::uint32_t count_max_;  // inodes of one request
};

}  // namespace dpfs::bench
