// SPDX-License-Identifier: Apache-2.0
#include "bench/lane.hpp"

#include "virtio/wire.hpp"

#include <sys/eventfd.h>

namespace dpfs::bench {

Lane::Lane(std::unique_ptr<hal::vhost_user::DriverQueue> queue,
           std::vector<Slot> slots,
           bool indirect)
    : queue_(std::move(queue)),
      slots_(std::move(slots)),
      in_flight_(virtio::queue_size_max),
      indirect_(indirect) {}

void Lane::take_calls() noexcept {
    eventfd_t count = 0;
    if (::eventfd_read(queue_->call_fd(), &count) == 0) call_count_ += count;
}

}  // namespace dpfs::bench
