// SPDX-License-Identifier: Apache-2.0
#include "hostile_guest.hpp"

#include "fuse/wire_init.hpp"

#include <algorithm>
#include <poll.h>

namespace dpfs::hostile {
namespace {

constexpr int timeout_ms = 60'000;  // never reached unless something is broken

}  // namespace

std::unique_ptr<HostileGuest> HostileGuest::connect(const std::string& socket,
                                                    std::uint64_t features) {
    auto front_end = FrontEnd::connect(socket);
    if (!front_end) return nullptr;
    std::unique_ptr<HostileGuest> guest(new HostileGuest(std::move(*front_end)));
    return guest->start(features) ? std::move(guest) : nullptr;
}

Result<void> HostileGuest::start(std::uint64_t features) {
    auto memory = SharedMemory::make(memory_start, memory_size);
    if (!memory) return fail(memory.error());
    memory_ = std::move(*memory);
    if (auto done = front_end_.negotiate(features, ~std::uint64_t{0}); !done) return done;
    const auto region = memory_.region();
    const int fd = memory_.fd();
    if (auto done = front_end_.set_memory_table({&region, 1}, {&fd, 1}); !done) return done;
    for (const std::uint32_t index : {hiprio, request}) {
        auto queue =
            DriverQueue::make(memory_,
                              front_end_,
                              {.index = index,
                               .size = queue_size,
                               .table_count = 8,
                               .guest_address = memory_start + index * queue_area_size});
        if (!queue) return fail(queue.error());
        if (auto done = (*queue)->start(front_end_); !done) return done;
        queues_.push_back(std::move(*queue));
    }
    return {};
}

bool HostileGuest::mount() {
    const wire::InitIn in = {.major = wire::kernel_version,
                             .minor = wire::kernel_minor_version,
                             .max_readahead = 1U << 17,
                             .flags = 0,
                             .flags2 = 0,
                             .unused = {}};
    const auto reply = call(wire::Opcode::init, 0, bytes_of(in), sizeof(wire::InitOut));
    return reply && reply->error == 0;
}

void HostileGuest::post(std::uint32_t queue,
                        std::uint32_t slot_index,
                        wire::Opcode opcode,
                        std::uint64_t nodeid,
                        std::span<const std::byte> arguments,
                        std::uint32_t reply_room) {
    const wire::InHeader header = {
        .len = static_cast<std::uint32_t>(sizeof(wire::InHeader) + arguments.size()),
        .opcode = static_cast<std::uint32_t>(opcode),
        .unique = unique_ += 2,
        .nodeid = nodeid,
        .uid = 0,
        .gid = 0,
        .pid = 1,
        .total_extlen = 0,
        .padding = 0};
    std::byte* const at = slot(slot_index);
    std::memcpy(at, &header, sizeof(header));
    std::ranges::copy(arguments, at + sizeof(header));
    const virtio::Segment in = {.address = slot_address(slot_index), .size = header.len};
    const virtio::Segment out = {
        .address = slot_address(slot_index) + reply_at,
        .size = static_cast<std::uint32_t>(sizeof(wire::OutHeader)) + reply_room};
    const bool has_reply =
        opcode != wire::Opcode::forget && opcode != wire::Opcode::batch_forget;
    (void)queues_[queue]->ring().add({.readable = {&in, 1},
                                      .writable = {&out, has_reply ? 1UZ : 0UZ},
                                      .direct_count = 0,
                                      .indirect = true});
    queues_[queue]->ring().publish();
}

std::optional<Reply> HostileGuest::call(wire::Opcode opcode,
                                        std::uint64_t nodeid,
                                        std::span<const std::byte> arguments,
                                        std::uint32_t reply_room) {
    post(request, 0, opcode, nodeid, arguments, reply_room);
    kick(request);
    const auto used = queues_[request]->wait_for_used(timeout_ms);
    if (!used || used->written < sizeof(wire::OutHeader)) return std::nullopt;
    wire::OutHeader out;
    const std::byte* const at = slot(0) + reply_at;
    std::memcpy(&out, at, sizeof(out));
    return Reply{.error = -out.error, .body = {at + sizeof(out), at + used->written}};
}

bool HostileGuest::collect(std::uint32_t queue, std::size_t count) {
    for (; count > 0; --count) {
        if (!queues_[queue]->wait_for_used(timeout_ms)) return false;
    }
    return true;
}

bool HostileGuest::wait_until_stopped(std::uint32_t queue) const {
    pollfd state = {.fd = queues_[queue]->error_fd(), .events = POLLIN, .revents = 0};
    return ::poll(&state, 1, timeout_ms) == 1;
}

std::vector<std::byte> name_bytes(std::string_view name) {
    std::vector<std::byte> bytes(name.size() + 1);
    std::memcpy(bytes.data(), name.data(), name.size());
    return bytes;
}

}  // namespace dpfs::hostile
