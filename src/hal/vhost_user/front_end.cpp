// SPDX-License-Identifier: Apache-2.0
#include "hal/vhost_user/front_end.hpp"

#include "base/unix_address.hpp"

#include <array>
#include <sys/socket.h>
#include <utility>

namespace dpfs::hal::vhost_user {
namespace {

using wire::MessageId;

constexpr std::size_t fds_sent_max = 64;
constexpr std::uint32_t reply_size_max = 4096;

template <wire_struct T>
std::span<const std::byte> bytes_of(const T& value) noexcept {
    return std::as_bytes(std::span(&value, 1));
}

void take_fds(msghdr& received, std::vector<UniqueFd>& fds) {
    for (cmsghdr* part = CMSG_FIRSTHDR(&received); part != nullptr;
         part = CMSG_NXTHDR(&received, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int fd;
            std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
            fds.emplace_back(fd);
        }
    }
}

}  // namespace

Result<FrontEnd> FrontEnd::connect(const std::string& path) {
    const auto address = UnixAddress::of(path);
    if (!address) return fail(address.error());
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket) return fail_errno();
    if (::connect(socket.get(), address->get(), UnixAddress::size) != 0) return fail_errno();
    return FrontEnd(std::move(socket));
}

Result<void> FrontEnd::send_bytes(std::span<const std::byte> bytes, std::span<const int> fds) {
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(fds_sent_max * sizeof(int))> control = {};
    if (fds.size() > fds_sent_max) return fail(Errno::invalid);
    while (!bytes.empty()) {
        iovec buffer = {const_cast<std::byte*>(bytes.data()), bytes.size()};
        msghdr message = {};
        message.msg_iov = &buffer;
        message.msg_iovlen = 1;
        if (!fds.empty()) {
            message.msg_control = control.data();
            message.msg_controllen = CMSG_SPACE(fds.size_bytes());
            cmsghdr* const part = CMSG_FIRSTHDR(&message);
            part->cmsg_level = SOL_SOCKET;
            part->cmsg_type = SCM_RIGHTS;
            part->cmsg_len = CMSG_LEN(fds.size_bytes());
            std::memcpy(CMSG_DATA(part), fds.data(), fds.size_bytes());
        }
        const ssize_t sent = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno == EINTR) continue;
            return fail_errno();
        }
        bytes = bytes.subspan(static_cast<std::size_t>(sent));
        fds = {};
    }
    return {};
}

Result<void> FrontEnd::send(std::uint32_t request,
                            std::uint32_t flags,
                            std::span<const std::byte> payload,
                            std::span<const int> fds) {
    const wire::Header header = {
        .request = request,
        .flags = flags,
        .size = static_cast<std::uint32_t>(payload.size()),
    };
    std::vector<std::byte> bytes(sizeof(header) + payload.size());
    std::memcpy(bytes.data(), &header, sizeof(header));
    if (!payload.empty()) {
        std::memcpy(bytes.data() + sizeof(header), payload.data(), payload.size());
    }
    return send_bytes(bytes, fds);
}

Result<void> FrontEnd::receive_bytes(std::span<std::byte> to, std::vector<UniqueFd>& fds) {
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(fds_sent_max * sizeof(int))> control;
    while (!to.empty()) {
        iovec buffer = {to.data(), to.size()};
        msghdr message = {};
        message.msg_iov = &buffer;
        message.msg_iovlen = 1;
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        const ssize_t got = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
        if (got < 0) {
            if (errno == EINTR) continue;
            return fail_errno();
        }
        take_fds(message, fds);
        if (got == 0) return fail(Errno::connection_reset);
        to = to.subspan(static_cast<std::size_t>(got));
    }
    return {};
}

Result<BackEndMessage> FrontEnd::receive() {
    BackEndMessage message;
    wire::Header header = {};
    const auto header_bytes = std::as_writable_bytes(std::span(&header, 1));
    if (const auto got = receive_bytes(header_bytes, message.fds); !got) {
        return fail(got.error());
    }
    message.request = header.request;
    message.flags = header.flags;
    if (header.size > reply_size_max) return fail(Errno::protocol);
    message.payload.resize(header.size);
    if (const auto got = receive_bytes(message.payload, message.fds); !got) {
        return fail(got.error());
    }
    return message;
}

Result<BackEndMessage> FrontEnd::ask(MessageId id, std::span<const std::byte> payload) {
    const auto sent = send(std::to_underlying(id), wire::flag_version, payload);
    if (!sent) return fail(sent.error());
    auto reply = receive();
    if (!reply) return reply;
    constexpr std::uint32_t expected = wire::flag_version | wire::flag_reply;
    if (reply->request != std::to_underlying(id) || reply->flags != expected) {
        return fail(Errno::protocol);
    }
    return reply;
}

Result<void> FrontEnd::tell(MessageId id,
                            std::span<const std::byte> payload,
                            std::span<const int> fds) {
    const bool acknowledged = (protocol_features_ & wire::protocol_reply_ack) != 0;
    const std::uint32_t flags =
        wire::flag_version | (acknowledged ? wire::flag_need_reply : 0U);
    const auto sent = send(std::to_underlying(id), flags, payload, fds);
    if (!sent || !acknowledged) return sent;
    const auto reply = receive();
    if (!reply) return fail(reply.error());
    if (reply->request != std::to_underlying(id)) return fail(Errno::protocol);
    if (reply->as<wire::Number>().value != 0) return fail(Errno::remote_io);
    return {};
}

Result<std::uint64_t> FrontEnd::ask_number(MessageId id) {
    const auto reply = ask(id);
    if (!reply) return fail(reply.error());
    if (reply->payload.size() != sizeof(wire::Number)) return fail(Errno::protocol);
    return std::uint64_t{reply->as<wire::Number>().value};
}

Result<void> FrontEnd::negotiate(std::uint64_t wanted, std::uint64_t wanted_protocol) {
    const auto features = ask_number(MessageId::get_features);
    if (!features) return fail(features.error());
    features_ = *features & wanted;
    if ((*features & wire::feature_protocol_features) != 0) {
        const auto protocol = ask_number(MessageId::get_protocol_features);
        if (!protocol) return fail(protocol.error());
        const std::uint64_t taken = *protocol & wanted_protocol;
        const auto told = tell(MessageId::set_protocol_features, wire::Number{.value = taken});
        if (!told) return told;
        protocol_features_ = taken;
    }
    if (const auto told = tell(MessageId::set_owner, {}); !told) return told;
    return tell(MessageId::set_features, wire::Number{.value = features_});
}

Result<wire::FsConfig> FrontEnd::config() {
    std::array<std::byte, sizeof(wire::ConfigHeader) + sizeof(wire::FsConfig)> payload = {};
    const wire::ConfigHeader header = {
        .offset = 0U, .size = std::uint32_t{sizeof(wire::FsConfig)}, .flags = 0U};
    std::memcpy(payload.data(), &header, sizeof(header));
    const auto reply = ask(MessageId::get_config, payload);
    if (!reply) return fail(reply.error());
    if (reply->payload.size() != payload.size()) return fail(Errno::protocol);
    wire::FsConfig config;
    std::memcpy(&config, reply->payload.data() + sizeof(header), sizeof(config));
    return config;
}

Result<void> FrontEnd::set_memory_table(std::span<const wire::MemoryRegion> regions,
                                        std::span<const int> fds) {
    const wire::MemoryTableHeader header = {
        .num_regions = static_cast<std::uint32_t>(regions.size()), .padding = 0U};
    std::vector<std::byte> payload;
    const auto append = [&](std::span<const std::byte> bytes) {
        payload.insert(payload.end(), bytes.begin(), bytes.end());
    };
    append(bytes_of(header));
    append(std::as_bytes(regions));
    return tell(MessageId::set_mem_table, payload, fds);
}

Result<void> FrontEnd::add_memory_region(const wire::MemoryRegion& region, int fd) {
    const wire::SingleMemoryRegion payload = {.padding = 0U, .region = region};
    return tell(MessageId::add_mem_reg, payload, std::span(&fd, 1));
}

Result<void> FrontEnd::remove_memory_region(const wire::MemoryRegion& region) {
    const wire::SingleMemoryRegion payload = {.padding = 0U, .region = region};
    return tell(MessageId::rem_mem_reg, payload);
}

Result<void> FrontEnd::set_vring(MessageId id, std::uint32_t index, std::uint32_t number) {
    return tell(id, wire::VringState{.index = index, .num = number});
}

Result<void> FrontEnd::set_vring_fd(MessageId id, std::uint32_t index, int fd) {
    if (fd < 0) return tell(id, wire::Number{.value = index | wire::vring_no_fd});
    return tell(id, wire::Number{.value = index}, std::span(&fd, 1));
}

Result<std::uint32_t> FrontEnd::get_vring_base(std::uint32_t index) {
    const wire::VringState state = {.index = index, .num = 0U};
    const auto reply = ask(MessageId::get_vring_base, bytes_of(state));
    if (!reply) return fail(reply.error());
    const auto position = reply->as<wire::VringState>();
    if (position.index != index) return fail(Errno::protocol);
    return std::uint32_t{position.num};
}

}  // namespace dpfs::hal::vhost_user
