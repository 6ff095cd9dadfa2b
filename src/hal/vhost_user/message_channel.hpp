// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "base/task.hpp"
#include "base/unique_fd.hpp"
#include "hal/vhost_user/wire.hpp"
#include "reactor/cancel.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

struct msghdr;

namespace dpfs::reactor {
class Reactor;
}

namespace dpfs::hal::vhost_user {

/// One message of the front end, with the descriptors that came with it.
struct Message {
    std::uint32_t request = 0;
    bool need_reply = false;
    std::uint32_t size = 0;
    std::array<std::byte, wire::payload_size_max> payload = {};
    std::array<UniqueFd, wire::fd_count_max> fds;
    std::size_t fd_count = 0;
    bool surplus_fds = false;  ///< more came than any message may have; they were closed

    [[nodiscard]] std::span<const std::byte> bytes() const noexcept {
        return std::span(payload).first(size);
    }
    /// The payload from `offset` on as a wire struct; what the peer left out is zero.
    template <wire_struct T>
    [[nodiscard]] T as(std::size_t offset = 0) const noexcept {
        T value = {};
        if (offset >= size) return value;
        const std::size_t left = size - offset;
        std::memcpy(&value, payload.data() + offset, left < sizeof(T) ? left : sizeof(T));
        return value;
    }
    void clear() noexcept;
};

/// What goes back: nothing, or a payload, perhaps with one descriptor.
struct Reply {
    bool present = false;
    std::uint32_t size = 0;
    std::array<std::byte, wire::payload_size_max> payload = {};
    UniqueFd fd;

    static Reply none() noexcept { return {}; }
    template <wire_struct T>
    static Reply of(const T& value) noexcept {
        Reply reply;
        reply.append(std::as_bytes(std::span(&value, 1)));
        return reply;
    }
    static Reply number(std::uint64_t value) noexcept { return of(wire::Number{value}); }

    /// `bytes` must fit.
    void append(std::span<const std::byte> bytes) noexcept;
};

/// The back end's end of a vhost-user socket: whole messages in, replies out.
///
/// Errors    of receive(): ESHUTDOWN when the peer left between two messages, ECANCELED,
///           others when the stream is of no use any more; problem() then says why.
/// Thread    its reactor's. One receive() or send() at a time.
class MessageChannel {
  public:
    MessageChannel(reactor::Reactor& reactor, UniqueFd socket, reactor::CancelSource& cancel)
        : reactor_(reactor), socket_(std::move(socket)), cancel_(cancel) {}

    /// Waits for the next message. `message` outlives the task.
    Task<Result<void>> receive(Message& message);

    /// Sends a reply to a message of type `request`.
    Task<Result<void>> send(std::uint32_t request, Reply reply);

    /// For the log, after an error.
    [[nodiscard]] std::string_view problem() const noexcept { return problem_; }

    /// Whether the peer has closed its end; what it sent before may still be unread.
    [[nodiscard]] bool peer_has_left() const noexcept;

  private:
    Task<Result<std::size_t>> fill(std::span<std::byte> to, Message& message);
    Task<Result<void>> write(std::span<const std::byte> bytes, int fd);

    reactor::Reactor& reactor_;
    UniqueFd socket_;
    reactor::CancelSource& cancel_;
    std::string problem_;
};

/// Takes over the descriptors that recvmsg() delivered; those that do not fit are closed.
void take_descriptors(msghdr& received, Message& message) noexcept;

}  // namespace dpfs::hal::vhost_user
