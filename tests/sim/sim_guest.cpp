// SPDX-License-Identifier: Apache-2.0
#include "sim_guest.hpp"

#include "base/or_return.hpp"
#include "base/unix_address.hpp"
#include "fuse/wire_inode.hpp"
#include "reactor/reactor.hpp"
#include "virtio/wire.hpp"

#include <array>
#include <cstring>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

namespace dpfs::sim {
namespace {

namespace vhost = hal::vhost_user::wire;
using fuse::wire::Opcode;

// Where things lie: each queue has a slice of guest memory, the ring first, then request slots.
constexpr std::uint32_t ring_size = 16;      // descriptors: small, so that indices wrap often
constexpr std::uint32_t table_count = 16;    // descriptors of an indirect table
constexpr std::uint64_t ring_space = 16384;  // bytes
constexpr std::uint64_t slot_count = 8;
constexpr std::uint64_t slot_space = 40960;  // bytes: header, arguments, 16 KiB each way
constexpr std::uint64_t queue_space = ring_space + slot_count * slot_space;
constexpr std::uint64_t guest_base = 0x10'0000;

}  // namespace

/// Somebody who waits for a chain to come back.
struct Guest::Waiting {
    std::coroutine_handle<> handle;
    bool in_use = false;
    bool done = false;
    std::uint32_t written = 0;
};

struct Guest::Queue {
    std::uint16_t index = 0;
    std::uint64_t base = 0;  // guest address
    std::unique_ptr<virtio::DriverRing> ring;
    UniqueFd kick;
    UniqueFd call;
    std::array<Waiting, slot_count> slots = {};
    std::vector<std::size_t> slot_of_chain;

    [[nodiscard]] std::uint64_t slot_address(std::size_t slot) const {
        return base + ring_space + slot * slot_space;
    }
};

Guest::Guest(reactor::SimWorld& world, reactor::Reactor& reactor, GuestOptions options)
    : world_(world), reactor_(reactor), options_(std::move(options)) {}

Guest::~Guest() = default;

// --- the front end

Task<Result<void>> Guest::open_socket() {
    socket_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const UnixAddress address = co_await or_return(UnixAddress::of(options_.socket_path));
    co_return co_await reactor_.connect(socket_.get(), address.get(), UnixAddress::size);
}

Task<Result<void>> Guest::send(vhost::MessageId id,
                               std::span<const std::byte> payload,
                               int fd) {
    const vhost::Header header{static_cast<std::uint32_t>(id),
                               vhost::flag_version,
                               static_cast<std::uint32_t>(payload.size())};
    std::vector<std::byte> bytes(sizeof header + payload.size());
    std::memcpy(bytes.data(), &header, sizeof header);
    if (!payload.empty())
        std::memcpy(bytes.data() + sizeof header, payload.data(), payload.size());

    iovec buffer{bytes.data(), bytes.size()};
    msghdr message{};
    message.msg_iov = &buffer;
    message.msg_iovlen = 1;
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int))> control{};
    if (fd >= 0) {
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        cmsghdr* const rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof fd);
        std::memcpy(CMSG_DATA(rights), &fd, sizeof fd);
    }
    const auto sent = co_await reactor_.sendmsg(socket_.get(), message, 0, {.cancel = &crash_});
    if (!sent) co_return fail(sent.error());
    co_return Result<void>();
}

Task<Result<std::uint64_t>> Guest::ask(vhost::MessageId id) {
    co_await or_return(co_await send(id, {}, -1));
    std::array<std::byte, sizeof(vhost::Header) + sizeof(vhost::Number)> bytes{};
    iovec buffer{bytes.data(), bytes.size()};
    msghdr message{};
    message.msg_iov = &buffer;
    message.msg_iovlen = 1;
    const auto size = co_await or_return(
        co_await reactor_.recvmsg(socket_.get(), message, MSG_WAITALL, {.cancel = &crash_}));
    if (size != bytes.size()) co_return fail(Errno::connection_reset);
    vhost::Number number;
    std::memcpy(&number, bytes.data() + sizeof(vhost::Header), sizeof number);
    co_return static_cast<std::uint64_t>(number.value);
}

Task<Result<void>> Guest::connect() {
    const std::uint16_t queue_count =
        static_cast<std::uint16_t>(options_.request_queue_count + 1);
    const std::uint64_t memory_size = queue_count * queue_space;
    memory_fd_.reset(::memfd_create("sim-guest", MFD_CLOEXEC));
    if (::ftruncate(memory_fd_.get(), static_cast<off_t>(memory_size)) != 0)
        co_return fail_errno();
    auto mapping = co_await or_return(virtio::map_shared(memory_fd_.get(), memory_size, 0));
    virtio::MemoryRegion region{guest_base, guest_base, memory_size, std::move(mapping)};
    memory_ = co_await or_return(memory_.with(std::move(region)));

    co_await or_return(co_await open_socket());
    const std::uint64_t offered =
        co_await or_return(co_await ask(vhost::MessageId::get_features));
    std::uint64_t wanted = virtio::feature_version_1 | virtio::feature_indirect_desc |
                           vhost::feature_protocol_features;
    if (options_.packed) wanted |= virtio::feature_ring_packed;
    if (options_.event_idx) wanted |= virtio::feature_event_idx;
    if ((offered & wanted) != wanted) co_return fail(Errno::protocol);
    co_await or_return(co_await ask(vhost::MessageId::get_protocol_features));
    co_await or_return(co_await send_value(vhost::MessageId::set_protocol_features,
                                           vhost::Number{vhost::protocol_mq}));
    co_await or_return(co_await send(vhost::MessageId::set_owner, {}, -1));
    co_await or_return(
        co_await send_value(vhost::MessageId::set_features, vhost::Number{wanted}));

    struct MemoryTable {
        vhost::MemoryTableHeader header;
        vhost::MemoryRegion region;
    };
    const MemoryTable table{{1, 0}, {guest_base, memory_size, guest_base, 0}};
    co_await or_return(
        co_await send_value(vhost::MessageId::set_mem_table, table, memory_fd_.get()));
    for (std::uint16_t i = 0; i < queue_count; ++i) {
        co_await or_return(co_await set_up_queue(i));
    }
    co_return Result<void>();
}

Task<Result<void>> Guest::set_up_queue(std::uint16_t index) {
    queues_.push_back(std::make_unique<Queue>());
    Queue& queue = *queues_.back();
    queue.index = index;
    queue.base = guest_base + index * queue_space;
    queue.kick.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    queue.call.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));

    std::uint64_t features = virtio::feature_version_1 | virtio::feature_indirect_desc;
    if (options_.packed) features |= virtio::feature_ring_packed;
    if (options_.event_idx) features |= virtio::feature_event_idx;
    const auto layout = virtio::DriverLayout::at(queue.base, ring_size, features, table_count);
    DPFS_ASSERT(layout.size <= ring_space);
    queue.ring =
        co_await or_return(virtio::make_driver_ring(memory_, {ring_size, features, layout}));

    const vhost::VringAddress addresses{.index = index,
                                        .flags = 0,
                                        .descriptor = layout.addresses.descriptors,
                                        .used = layout.addresses.device,
                                        .available = layout.addresses.driver,
                                        .log = 0};
    // A packed ring starts with both wrap counters set: vhost-user, SET_VRING_BASE.
    const std::uint32_t start = options_.packed ? 0x8000'8000U : 0U;
    using enum vhost::MessageId;
    co_await or_return(co_await send_value(set_vring_num, vhost::VringState{index, ring_size}));
    co_await or_return(co_await send_value(set_vring_base, vhost::VringState{index, start}));
    co_await or_return(co_await send_value(set_vring_addr, addresses));
    co_await or_return(
        co_await send_value(set_vring_call, vhost::Number{index}, queue.call.get()));
    co_await or_return(
        co_await send_value(set_vring_kick, vhost::Number{index}, queue.kick.get()));
    co_await or_return(co_await send_value(set_vring_enable, vhost::VringState{index, 1}));
    watchers_.spawn(watch(queue));
    co_return Result<void>();
}

// --- the driver

Task<void> Guest::watch(Queue& queue) {
    for (;;) {
        take_used(queue);
        if (queue.ring->enable_notifications()) continue;
        const auto event =
            co_await reactor_.poll(queue.call.get(), POLLIN, {.cancel = &crash_});
        if (!event) co_return;
        std::uint64_t count = 0;
        if (::read(queue.call.get(), &count, sizeof count) < 0) continue;
    }
}

void Guest::take_used(Queue& queue) {
    for (;;) {
        const auto used = queue.ring->poll();
        DPFS_ASSERT(used.has_value());  // the device returned a chain that it did not have
        const std::optional<virtio::UsedChain> chain = *used;
        if (!chain) return;
        Waiting& waiting = queue.slots[queue.slot_of_chain[chain->id]];
        DPFS_ASSERT(waiting.in_use && !waiting.done);  // … or one twice
        waiting.done = true;
        waiting.written = chain->written;
        if (waiting.handle) reactor_.schedule(std::exchange(waiting.handle, nullptr));
    }
}

std::vector<virtio::Segment> Guest::cut(std::uint64_t address, std::uint32_t size) {
    std::vector<virtio::Segment> segments;
    while (size > 0 && segments.size() < table_count / 2 - 1) {
        const auto part = static_cast<std::uint32_t>(1 + world_.random().below(size));
        segments.push_back({address, part});
        address += part;
        size -= part;
    }
    if (size > 0) segments.push_back({address, size});
    return segments;
}

namespace {

/// Parks a coroutine where somebody else finds its handle.
class Park {
  public:
    explicit Park(std::coroutine_handle<>& place) noexcept : place_(place) {}
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) const noexcept { place_ = handle; }
    void await_resume() const noexcept {}

  private:
    std::coroutine_handle<>& place_;
};

}  // namespace

Task<Answer> Guest::exchange(Queue& queue,
                             std::vector<std::byte> message,
                             std::uint32_t reply_size) {
    DPFS_ASSERT(message.size() + reply_size <= slot_space);
    std::size_t slot = 0;
    for (;;) {
        if (crashed_) co_return fail(Errno::connection_reset);
        for (slot = 0; slot < slot_count && queue.slots[slot].in_use; ++slot) {
        }
        if (slot < slot_count) break;
        co_await reactor_.sleep(microseconds(50));
    }
    Waiting& waiting = queue.slots[slot];
    waiting = {};
    waiting.in_use = true;

    const std::uint64_t address = queue.slot_address(slot);
    DPFS_ASSERT(memory_.write(address, message).has_value());
    const auto readable = cut(address, static_cast<std::uint32_t>(message.size()));
    const auto writable = cut(address + message.size(), reply_size);
    const auto id =
        queue.ring->add({.readable = readable, .writable = writable, .indirect = true});
    DPFS_ASSERT(id.has_value());
    queue.slot_of_chain.resize(ring_size);
    queue.slot_of_chain[*id] = slot;
    queue.ring->publish();
    if (queue.ring->needs_kick()) {
        const std::uint64_t one = 1;
        DPFS_ASSERT(::write(queue.kick.get(), &one, sizeof one) == sizeof one);
    }

    if (!waiting.done && !crashed_) co_await Park(waiting.handle);
    if (!waiting.done) co_return fail(Errno::connection_reset);
    const std::uint32_t written = waiting.written;
    DPFS_ASSERT(written <= reply_size);
    std::vector<std::byte> reply(written);
    DPFS_ASSERT(memory_.read(address + message.size(), reply).has_value());
    waiting.in_use = false;
    ++answered_count_;
    co_return reply;
}

Task<Answer> Guest::request(std::uint16_t queue,
                            Opcode opcode,
                            std::uint64_t nodeid,
                            std::span<const std::byte> body,
                            std::uint32_t payload_max) {
    const fuse::wire::InHeader header{
        .len = static_cast<std::uint32_t>(sizeof header + body.size()),
        .opcode = static_cast<std::uint32_t>(opcode),
        .unique = ++last_unique_,
        .nodeid = nodeid,
        .uid = 0,
        .gid = 0,
        .pid = 1,
        .total_extlen = 0,
        .padding = 0};
    std::vector<std::byte> message(header.len);
    std::memcpy(message.data(), &header, sizeof header);
    if (!body.empty()) std::memcpy(message.data() + sizeof header, body.data(), body.size());

    const auto reply_max =
        static_cast<std::uint32_t>(sizeof(fuse::wire::OutHeader) + payload_max);
    const std::vector<std::byte> reply = co_await or_return(
        co_await exchange(*queues_.at(queue + 1U), std::move(message), reply_max));
    fuse::wire::OutHeader out;
    DPFS_ASSERT(reply.size() >= sizeof out);
    std::memcpy(&out, reply.data(), sizeof out);
    DPFS_ASSERT(out.unique == header.unique && out.len == reply.size());
    if (out.error != 0) co_return fail(static_cast<Errno>(-out.error));
    co_return std::vector<std::byte>(reply.begin() + sizeof out, reply.end());
}

Task<void> Guest::forget(std::uint64_t nodeid, std::uint64_t count) {
    const fuse::wire::ForgetIn body{count};
    fuse::wire::InHeader header{};
    header.len = sizeof header + sizeof body;
    header.opcode = static_cast<std::uint32_t>(Opcode::forget);
    header.unique = ++last_unique_;
    header.nodeid = nodeid;
    std::vector<std::byte> message(header.len);
    std::memcpy(message.data(), &header, sizeof header);
    std::memcpy(message.data() + sizeof header, &body, sizeof body);
    const Answer gone = co_await exchange(*queues_.at(0), std::move(message), 0);
    DPFS_ASSERT(!gone || gone->empty());
}

// --- the end

void Guest::wake_all_waiting() {
    for (const auto& queue : queues_) {
        for (Waiting& waiting : queue->slots) {
            if (waiting.handle) reactor_.schedule(std::exchange(waiting.handle, nullptr));
        }
    }
}

Task<void> Guest::crash() {
    crashed_ = true;
    crash_.cancel();
    wake_all_waiting();
    socket_.reset();
    co_await watchers_.close();
}

}  // namespace dpfs::sim
