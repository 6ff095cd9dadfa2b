// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "hal/vhost_user/front_end.hpp"
#include "virtio/driver_ring.hpp"
#include "virtio/guest_memory.hpp"

#include <cstdint>
#include <memory>
#include <span>

namespace dpfs::hal::vhost_user {

/// A piece of "guest" memory that a driver in this process shares with a back end: a memfd.
class SharedMemory {
  public:
    /// `guest_address` and `size` are multiples of the page size. Errors: memfd_create, mmap.
    static Result<SharedMemory> make(std::uint64_t guest_address, std::uint64_t size);

    /// As the back end is told of it.
    [[nodiscard]] wire::MemoryRegion region() const noexcept;
    [[nodiscard]] int fd() const noexcept { return fd_.get(); }
    [[nodiscard]] std::uint64_t guest_address() const noexcept { return guest_address_; }
    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
    /// The bytes at a guest address inside.
    [[nodiscard]] std::byte* at(std::uint64_t guest_address) const noexcept {
        return host_.get() + (guest_address - guest_address_);
    }
    /// A map with this piece alone.
    [[nodiscard]] virtio::GuestMemory map() const;

    /// Where the front end's address space has a guest address; unlike guest addresses, so that
    /// neither can be taken for the other.
    static constexpr std::uint64_t user_offset = 0x7000'0000'0000;

  private:
    UniqueFd fd_;
    virtio::Mapping host_;
    std::uint64_t guest_address_ = 0;
    std::uint64_t size_ = 0;
};

struct DriverQueueOptions {
    std::uint32_t index = 0;
    std::uint32_t size = 128;         ///< entries
    std::uint32_t table_count = 0;    ///< of indirect tables; 0: none
    std::uint64_t guest_address = 0;  ///< where ring and tables begin: a multiple of 16
};

/// One queue as a driver in this process uses it: a ring in shared memory and its eventfds.
///
/// Thread    one at a time.
class DriverQueue {
  public:
    /// A new, empty ring in `memory`, with the features that `front_end` has negotiated.
    static Result<std::unique_ptr<DriverQueue>> make(const SharedMemory& memory,
                                                     const FrontEnd& front_end,
                                                     const DriverQueueOptions& options);
    /// The same for a device that is no back end: in this process.
    static Result<std::unique_ptr<DriverQueue>> make(const SharedMemory& memory,
                                                     std::uint64_t features,
                                                     const DriverQueueOptions& options);

    /// Tells the back end of the ring, and starts it there.
    Result<void> start(FrontEnd& front_end, std::uint32_t base);
    Result<void> start(FrontEnd& front_end);

    [[nodiscard]] virtio::DriverRing& ring() noexcept { return *ring_; }

    /// Shows what was added, and kicks where the device asks for it.
    void publish();
    void kick();
    /// Waits until the device calls. Errors: ETIMEDOUT.
    Result<void> wait_for_call(int timeout_ms);
    /// The next chain that comes back, waiting for it. Errors: ETIMEDOUT, EPROTO.
    Result<virtio::UsedChain> wait_for_used(int timeout_ms);

    [[nodiscard]] std::uint64_t kick_count() const noexcept { return kick_count_; }
    [[nodiscard]] std::uint64_t call_count() const noexcept { return call_count_; }
    [[nodiscard]] const virtio::DriverLayout& layout() const noexcept { return layout_; }
    [[nodiscard]] int error_fd() const noexcept { return error_.get(); }
    [[nodiscard]] int kick_fd() const noexcept { return kick_.get(); }
    [[nodiscard]] int call_fd() const noexcept { return call_.get(); }
    [[nodiscard]] wire::VringAddress vring_address() const noexcept;

  private:
    DriverQueue() = default;

    DriverQueueOptions options_;
    std::uint64_t features_ = 0;
    virtio::DriverLayout layout_;
    std::unique_ptr<virtio::DriverRing> ring_;
    UniqueFd kick_;
    UniqueFd call_;
    UniqueFd error_;
    std::uint64_t kick_count_ = 0;
    std::uint64_t call_count_ = 0;
};

}  // namespace dpfs::hal::vhost_user
