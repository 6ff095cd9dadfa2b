// SPDX-License-Identifier: Apache-2.0
#include "hal/vhost_user/user_driver.hpp"

#include "virtio/wire.hpp"

#include <optional>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

namespace dpfs::hal::vhost_user {

using wire::MessageId;

Result<SharedMemory> SharedMemory::make(std::uint64_t guest_address, std::uint64_t size) {
    SharedMemory memory;
    memory.guest_address_ = guest_address;
    memory.size_ = size;
    memory.fd_ = UniqueFd(::memfd_create("dpfs-driver", MFD_CLOEXEC));
    if (!memory.fd_) return fail_errno();
    if (::ftruncate(memory.fd_.get(), static_cast<off_t>(size)) != 0) return fail_errno();
    auto mapped = virtio::map_shared(memory.fd_.get(), size, 0);
    if (!mapped) return fail(mapped.error());
    memory.host_ = std::move(*mapped);
    return memory;
}

wire::MemoryRegion SharedMemory::region() const noexcept {
    return {
        .guest_address = guest_address_,
        .size = size_,
        .user_address = guest_address_ + user_offset,
        .mmap_offset = 0U,
    };
}

virtio::GuestMemory SharedMemory::map() const {
    auto map = virtio::GuestMemory().with({
        .guest_address = guest_address_,
        .user_address = guest_address_ + user_offset,
        .size = size_,
        .host = host_,
    });
    return map ? std::move(*map) : virtio::GuestMemory();
}

Result<std::unique_ptr<DriverQueue>> DriverQueue::make(const SharedMemory& memory,
                                                       const FrontEnd& front_end,
                                                       const DriverQueueOptions& options) {
    return make(memory, front_end.features(), options);
}

Result<std::unique_ptr<DriverQueue>> DriverQueue::make(const SharedMemory& memory,
                                                       std::uint64_t features,
                                                       const DriverQueueOptions& options) {
    std::unique_ptr<DriverQueue> queue(new DriverQueue);
    queue->options_ = options;
    queue->features_ = features;
    queue->layout_ = virtio::DriverLayout::at(
        options.guest_address, options.size, queue->features_, options.table_count);
    auto ring = virtio::make_driver_ring(
        memory.map(),
        {.size = options.size, .features = queue->features_, .layout = queue->layout_});
    if (!ring) return fail(ring.error());
    queue->ring_ = std::move(*ring);
    for (UniqueFd* const fd : {&queue->kick_, &queue->call_, &queue->error_}) {
        *fd = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        if (!*fd) return fail_errno();
    }
    return queue;
}

wire::VringAddress DriverQueue::vring_address() const noexcept {
    constexpr std::uint64_t offset = SharedMemory::user_offset;
    return {
        .index = options_.index,
        .flags = 0U,
        .descriptor = layout_.addresses.descriptors + offset,
        .used = layout_.addresses.device + offset,
        .available = layout_.addresses.driver + offset,
        .log = 0U,
    };
}

Result<void> DriverQueue::start(FrontEnd& front_end) {
    const bool packed = (features_ & virtio::feature_ring_packed) != 0;
    return start(front_end, virtio::RingState{}.to_vring_base(packed));
}

Result<void> DriverQueue::start(FrontEnd& front_end, std::uint32_t base) {
    const std::uint32_t index = options_.index;
    Result<void> done = front_end.set_vring(MessageId::set_vring_num, index, options_.size);
    if (done) done = front_end.set_vring(MessageId::set_vring_base, index, base);
    if (done) done = front_end.tell(MessageId::set_vring_addr, vring_address());
    if (done) done = front_end.set_vring_fd(MessageId::set_vring_call, index, call_.get());
    if (done) done = front_end.set_vring_fd(MessageId::set_vring_err, index, error_.get());
    if (done) done = front_end.set_vring_fd(MessageId::set_vring_kick, index, kick_.get());
    if (done && (features_ & wire::feature_protocol_features) != 0) {
        done = front_end.set_vring(MessageId::set_vring_enable, index, 1);
    }
    return done;
}

void DriverQueue::publish() {
    ring_->publish();
    if (ring_->needs_kick()) kick();
}

void DriverQueue::kick() {
    // A counter that is full is a kick as well.
    (void)::eventfd_write(kick_.get(), 1);
    ++kick_count_;
}

Result<void> DriverQueue::wait_for_call(int timeout_ms) {
    pollfd state = {.fd = call_.get(), .events = POLLIN, .revents = 0};
    while (true) {
        const int ready = ::poll(&state, 1, timeout_ms);
        if (ready < 0 && errno == EINTR) continue;
        if (ready < 0) return fail_errno();
        if (ready == 0) return fail(Errno::timed_out);
        eventfd_t count = 0;
        if (::eventfd_read(call_.get(), &count) == 0) {
            call_count_ += count;
            return {};
        }
    }
}

Result<virtio::UsedChain> DriverQueue::wait_for_used(int timeout_ms) {
    while (true) {
        const auto used = ring_->poll();
        if (!used) return fail(used.error());
        const std::optional<virtio::UsedChain> chain = *used;
        if (chain) return *chain;
        if (ring_->enable_notifications()) continue;
        if (const auto called = wait_for_call(timeout_ms); !called) {
            return fail(called.error());
        }
    }
}

}  // namespace dpfs::hal::vhost_user
