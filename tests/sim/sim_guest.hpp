// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/gate.hpp"
#include "base/result.hpp"
#include "base/task.hpp"
#include "base/unique_fd.hpp"
#include "fuse/wire.hpp"
#include "hal/vhost_user/wire.hpp"
#include "reactor/cancel.hpp"
#include "reactor/sim_world.hpp"
#include "virtio/driver_ring.hpp"
#include "virtio/guest_memory.hpp"

#include <coroutine>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace dpfs::sim {

struct GuestOptions {
    std::string socket_path;
    std::uint16_t request_queue_count = 2;
    bool packed = false;
    bool event_idx = true;
};

/// What the device said to one request: its errno, or the payload.
using Answer = Result<std::vector<std::byte>>;

/// A front end, its guest's memory and its virtio-fs driver, all coroutines of one simulated
/// reactor. Requests are cut into descriptors at random places: nothing may rely on Linux's.
class Guest {
  public:
    Guest(reactor::SimWorld& world, reactor::Reactor& reactor, GuestOptions options);
    ~Guest();

    /// Connects, negotiates and starts all queues.
    Task<Result<void>> connect();

    /// Sends one FUSE request on request queue `queue` and waits for its answer; ECONNRESET
    /// once crash() was called. `body` follows the header, at most `payload_max` bytes come
    /// back.
    Task<Answer> request(std::uint16_t queue,
                         fuse::wire::Opcode opcode,
                         std::uint64_t nodeid,
                         std::span<const std::byte> body,
                         std::uint32_t payload_max);

    /// FORGET: goes to the high-priority queue, and has no answer.
    Task<void> forget(std::uint64_t nodeid, std::uint64_t count);

    /// As if the VMM was killed: the socket closes, whatever is going on. Waits until all of
    /// this guest's coroutines have ended.
    Task<void> crash();

    [[nodiscard]] std::uint64_t answered_count() const noexcept { return answered_count_; }

  private:
    struct Queue;
    struct Waiting;

    Task<Result<void>> open_socket();
    Task<Result<void>> set_up_queue(std::uint16_t index);
    Task<Result<void>> send(hal::vhost_user::wire::MessageId id,
                            std::span<const std::byte> payload,
                            int fd);
    template <wire_struct T>
    Task<Result<void>> send_value(hal::vhost_user::wire::MessageId id, T value, int fd = -1) {
        co_return co_await send(id, std::as_bytes(std::span(&value, 1)), fd);
    }
    Task<Result<std::uint64_t>> ask(hal::vhost_user::wire::MessageId id);

    Task<void> watch(Queue& queue);
    void take_used(Queue& queue);
    Task<Answer> exchange(Queue& queue,
                          std::vector<std::byte> message,
                          std::uint32_t reply_size);
    std::vector<virtio::Segment> cut(std::uint64_t address, std::uint32_t size);
    void wake_all_waiting();

    reactor::SimWorld& world_;
    reactor::Reactor& reactor_;
    const GuestOptions options_;
    UniqueFd socket_;
    UniqueFd memory_fd_;
    virtio::GuestMemory memory_;
    std::vector<std::unique_ptr<Queue>> queues_;
    reactor::CancelSource crash_;
    bool crashed_ = false;
    Gate watchers_;
    std::uint64_t last_unique_ = 0;
    std::uint64_t answered_count_ = 0;
};

}  // namespace dpfs::sim
