// SPDX-License-Identifier: Apache-2.0
#include "hal/vhost_user/message_channel.hpp"

#include "base/assert.hpp"
#include "base/or_return.hpp"
#include "reactor/reactor.hpp"

#include <fmt/format.h>

#include <poll.h>
#include <sys/socket.h>

namespace dpfs::hal::vhost_user {
namespace {

/// Room for as many descriptors as the kernel passes at once (SCM_MAX_FD), so that surplus ones
/// are seen, and closed by us.
constexpr std::size_t control_size = CMSG_SPACE(253 * sizeof(int));

}  // namespace

void Message::clear() noexcept {
    request = 0;
    need_reply = false;
    size = 0;
    for (std::size_t i = 0; i < fd_count; ++i) fds[i].reset();
    fd_count = 0;
    surplus_fds = false;
}

void Reply::append(std::span<const std::byte> bytes) noexcept {
    DPFS_ASSERT(bytes.size() <= payload.size() - size);
    if (!bytes.empty()) std::memcpy(payload.data() + size, bytes.data(), bytes.size());
    size += static_cast<std::uint32_t>(bytes.size());
    present = true;
}

void take_descriptors(msghdr& received, Message& message) noexcept {
    for (cmsghdr* part = CMSG_FIRSTHDR(&received); part != nullptr;
         part = CMSG_NXTHDR(&received, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int number;
            std::memcpy(&number, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
            UniqueFd fd(number);
            if (message.fd_count < message.fds.size()) {
                message.fds[message.fd_count++] = std::move(fd);
            } else {
                message.surplus_fds = true;
            }
        }
    }
    if ((received.msg_flags & MSG_CTRUNC) != 0) message.surplus_fds = true;
}

Task<Result<void>> MessageChannel::receive(Message& message) {
    message.clear();
    wire::Header header = {};
    const auto header_bytes = std::as_writable_bytes(std::span(&header, 1));
    const std::size_t got = co_await or_return(co_await fill(header_bytes, message));
    if (got == 0) co_return fail(Errno::shut_down);
    if (got < sizeof(header)) {
        problem_ = fmt::format("the front end left after {} bytes of a message header", got);
        co_return fail(Errno::connection_reset);
    }

    message.request = header.request;
    message.size = header.size;
    const std::uint32_t flags = header.flags;
    message.need_reply = (flags & wire::flag_need_reply) != 0;
    if ((flags & wire::flag_version_mask) != wire::flag_version) {
        problem_ = fmt::format("message {} has flags {:#x}: not version 1 of the protocol",
                               message.request,
                               flags);
        message.size = 0;
        co_return fail(Errno::bad_message);
    }
    if (message.size > message.payload.size()) {
        problem_ = fmt::format("message {} has a payload of {} bytes, over the limit of {}",
                               message.request,
                               message.size,
                               message.payload.size());
        message.size = 0;
        co_return fail(Errno::bad_message);
    }

    const auto payload = std::span(message.payload).first(message.size);
    const std::size_t payload_got = co_await or_return(co_await fill(payload, message));
    if (payload_got < payload.size()) {
        problem_ = fmt::format("the front end left after {} of {} payload bytes of message {}",
                               payload_got,
                               message.size,
                               message.request);
        co_return fail(Errno::connection_reset);
    }
    co_return Result<void>();
}

/// Reads until `to` is full or the peer has left; gives the bytes read.
Task<Result<std::size_t>> MessageChannel::fill(std::span<std::byte> to, Message& message) {
    alignas(cmsghdr) std::array<std::byte, control_size> control;
    std::size_t filled = 0;
    while (filled < to.size()) {
        iovec buffer = {to.data() + filled, to.size() - filled};
        msghdr received = {};
        received.msg_iov = &buffer;
        received.msg_iovlen = 1;
        received.msg_control = control.data();
        received.msg_controllen = control.size();
        const reactor::Limit limit = {.cancel = &cancel_};
        const auto got = co_await reactor_.recvmsg(
            socket_.get(), received, static_cast<std::uint32_t>(MSG_CMSG_CLOEXEC), limit);
        if (!got) {
            if (got.error() == Errno::interrupted) continue;
            // It left without having read all of our replies.
            if (got.error() == Errno::connection_reset) break;
            problem_ = fmt::format("cannot receive: {}", errno_name(got.error()));
            co_return fail(got.error());
        }
        // Before anything else is looked at: they are ours to close from now on.
        take_descriptors(received, message);
        if (*got == 0) break;
        filled += *got;
    }
    co_return filled;
}

Task<Result<void>> MessageChannel::send(std::uint32_t request, Reply reply) {
    std::array<std::byte, sizeof(wire::Header) + wire::payload_size_max> bytes;
    const wire::Header header = {
        .request = request,
        .flags = wire::flag_version | wire::flag_reply,
        .size = reply.size,
    };
    std::memcpy(bytes.data(), &header, sizeof(header));
    std::memcpy(bytes.data() + sizeof(header), reply.payload.data(), reply.size);
    const auto all = std::span<const std::byte>(bytes).first(sizeof(header) + reply.size);
    co_return co_await write(all, reply.fd.get());
}

Task<Result<void>> MessageChannel::write(std::span<const std::byte> bytes, int fd) {
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int))> control = {};
    while (!bytes.empty()) {
        iovec buffer = {const_cast<std::byte*>(bytes.data()), bytes.size()};
        msghdr message = {};
        message.msg_iov = &buffer;
        message.msg_iovlen = 1;
        if (fd >= 0) {
            message.msg_control = control.data();
            message.msg_controllen = control.size();
            cmsghdr* const part = CMSG_FIRSTHDR(&message);
            part->cmsg_level = SOL_SOCKET;
            part->cmsg_type = SCM_RIGHTS;
            part->cmsg_len = CMSG_LEN(sizeof(int));
            std::memcpy(CMSG_DATA(part), &fd, sizeof(int));
        }
        const reactor::Limit limit = {.cancel = &cancel_};
        const auto sent = co_await reactor_.sendmsg(socket_.get(), message, 0, limit);
        if (!sent) {
            if (sent.error() == Errno::interrupted) continue;
            problem_ = fmt::format("cannot reply: {}", errno_name(sent.error()));
            co_return fail(sent.error());
        }
        bytes = bytes.subspan(*sent);
        fd = -1;  // it went with the first byte
    }
    co_return Result<void>();
}

bool MessageChannel::peer_has_left() const noexcept {
    pollfd state = {.fd = socket_.get(), .events = POLLRDHUP, .revents = 0};
    return ::poll(&state, 1, 0) == 1 && (state.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

}  // namespace dpfs::hal::vhost_user
