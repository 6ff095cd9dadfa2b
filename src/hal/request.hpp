// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/assert.hpp"

#include <cstdint>
#include <span>
#include <sys/uio.h>
#include <utility>

namespace dpfs::reactor {
class Reactor;
}

namespace dpfs::hal {

struct Request;

/// A queue of a device, as those above it see it. It lives as long as its device.
class Queue {
  public:
    Queue(reactor::Reactor& reactor, std::uint16_t index, bool high_priority) noexcept
        : reactor_(reactor), index_(index), high_priority_(high_priority) {}
    virtual ~Queue() = default;
    Queue(const Queue&) = delete;
    Queue& operator=(const Queue&) = delete;

    /// The one reactor on whose thread this queue's requests are delivered and completed.
    [[nodiscard]] reactor::Reactor& reactor() const noexcept { return reactor_; }
    /// Position among the device's queues, the high-priority one included.
    [[nodiscard]] std::uint16_t index() const noexcept { return index_; }
    [[nodiscard]] bool high_priority() const noexcept { return high_priority_; }

  private:
    friend class RequestHandle;
    /// Gives the request back to the tenant: `written` bytes of its writable memory are valid.
    virtual void complete(Request& request, std::uint32_t written) noexcept = 0;

    reactor::Reactor& reactor_;
    std::uint16_t index_;
    bool high_priority_;
};

/// One request as a transport delivers it: memory to read it from and memory for its reply. The
/// memory is the tenant's own and stays mapped until the completion; its contents may change at
/// any time, so what is checked must be copied first. Lives in its queue's pool.
struct Request {
    std::span<const iovec> readable;
    std::span<const iovec> writable;
    Queue* queue = nullptr;
};

/// The duty to complete one request, exactly once: move-only, and its destructor asserts that
/// it was done. Thread: that of the request's queue.
class [[nodiscard]] RequestHandle {
  public:
    explicit RequestHandle(Request& request) noexcept : request_(&request) {}
    RequestHandle(RequestHandle&& other) noexcept
        : request_(std::exchange(other.request_, nullptr)) {}
    RequestHandle& operator=(RequestHandle&& other) noexcept {
        DPFS_ASSERT(request_ == nullptr);
        request_ = std::exchange(other.request_, nullptr);
        return *this;
    }
    ~RequestHandle() { DPFS_ASSERT(request_ == nullptr); }

    const Request* operator->() const noexcept { return request_; }

    /// Hands the request back; `written` counts from the start of its writable memory. 0 for a
    /// request that has no reply (FORGET).
    void complete(std::uint32_t written) && noexcept {
        Request& request = *std::exchange(request_, nullptr);
        request.queue->complete(request, written);
    }

  private:
    Request* request_;
};

}  // namespace dpfs::hal
