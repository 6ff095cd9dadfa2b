// SPDX-License-Identifier: Apache-2.0
#include "base/or_return.hpp"
#include "hal/vhost_user/connection.hpp"
#include "virtio/wire.hpp"

// Messages about memory: the guest's, the dirty log's, the list of requests in flight.

namespace dpfs::hal::vhost_user {
namespace {

/// More is no log: one bit for each page of 2^52 bytes.
constexpr std::uint64_t log_size_max = 1ULL << 37;

/// Of an area that lists requests in flight: 65 queues of 1024 entries take 2.1 MB.
constexpr std::uint64_t inflight_size_max = 1ULL << 24;

std::string describe(const wire::MemoryRegion& region) {
    return fmt::format("guest {:#x}, user {:#x}, {:#x} bytes at {:#x} of its file",
                       std::uint64_t{region.guest_address},
                       std::uint64_t{region.user_address},
                       std::uint64_t{region.size},
                       std::uint64_t{region.mmap_offset});
}

}  // namespace

/// Makes `table` the guest's memory: when it ends, every ring uses it.
Task<Result<void>> Connection::use_memory(MemoryTable table) {
    if (log_ != nullptr && !log_covers(*table.snapshot())) {
        co_return refuse("the dirty log of {:#x} bytes does not cover the memory", log_size_);
    }
    for (const auto& vring : context_.vrings) {
        const auto used = co_await vring->set_memory(table.snapshot());
        if (!used) {
            co_return refuse("queue {} is running and does not lie in the new memory",
                             vring->index());
        }
    }
    memory_ = std::move(table);
    if (context_.options.fixed_buffers) fixed_memory_.follow(memory_.snapshot());
    co_return Result<void>();
}

Task<Result<Reply>> Connection::set_mem_table(Message& message) {
    const auto header = message.as<wire::MemoryTableHeader>();
    const std::uint32_t count = header.num_regions;
    if (count > wire::memory_table_regions_max ||
        message.size != sizeof(header) + count * sizeof(wire::MemoryRegion)) {
        co_return refuse("{} regions in {} bytes", count, message.size);
    }
    if (message.fd_count != count) {
        co_return refuse("{} file descriptors for {} regions", message.fd_count, count);
    }
    MemoryTable table;
    for (std::uint32_t i = 0; i < count; ++i) {
        const auto region =
            message.as<wire::MemoryRegion>(sizeof(header) + i * sizeof(wire::MemoryRegion));
        const auto added = table.add(region, message.fds[i].get(), memory_, memory_lost_);
        if (!added) {
            co_return refuse(
                "region {} ({}): {}", i, describe(region), errno_name(added.error()));
        }
    }
    co_await or_return(co_await use_memory(std::move(table)));
    co_return Reply::none();
}

Task<Result<Reply>> Connection::get_max_mem_slots(Message& /*message*/) {
    co_return Reply::number(MemoryTable::slot_count_max);
}

Task<Result<Reply>> Connection::add_mem_reg(Message& message) {
    const wire::MemoryRegion region = message.as<wire::SingleMemoryRegion>().region;
    if (message.fd_count != 1) co_return refuse("no file descriptor for {}", describe(region));
    MemoryTable table = memory_;
    const auto added = table.add(region, message.fds[0].get(), memory_, memory_lost_);
    if (!added) co_return refuse("{}: {}", describe(region), errno_name(added.error()));
    co_await or_return(co_await use_memory(std::move(table)));
    co_return Reply::none();
}

Task<Result<Reply>> Connection::rem_mem_reg(Message& message) {
    const wire::MemoryRegion region = message.as<wire::SingleMemoryRegion>().region;
    MemoryTable table = memory_;
    if (!table.remove(region)) co_return refuse("there is no region {}", describe(region));
    co_await or_return(co_await use_memory(std::move(table)));
    co_return Reply::none();
}

bool Connection::log_covers(const virtio::GuestMemory& memory) const noexcept {
    if (memory.regions().empty()) return true;
    const virtio::MemoryRegion& last = memory.regions().back();
    const std::uint64_t last_page =
        (last.guest_address + (last.size - 1)) / virtio::DirtyLog::page_size;
    return last_page / 8 < log_size_;
}

Task<Result<Reply>> Connection::set_log_base(Message& message) {
    const auto log = message.as<wire::Log>();
    const std::uint64_t size = log.size;
    if (message.fd_count != 1) co_return refuse("no file descriptor");
    if (size == 0 || size > log_size_max) co_return refuse("a log of {:#x} bytes", size);
    auto mapped = virtio::map_shared(message.fds[0].get(), size, log.offset);
    if (!mapped) {
        co_return refuse("cannot map {:#x} bytes at {:#x}: {}",
                         size,
                         std::uint64_t{log.offset},
                         errno_name(mapped.error()));
    }
    log_ = std::make_shared<const virtio::DirtyLog>(
        guard(std::move(*mapped), size, memory_lost_), size);
    log_size_ = size;
    if (!log_covers(*memory_.snapshot())) {
        co_return refuse("a log of {:#x} bytes does not cover the memory", size);
    }
    co_await apply_logs();
    co_return Reply::number(0);
}

/// Optional: the front end may wish to hear of writes; it reads the log itself in any case.
Task<Result<Reply>> Connection::set_log_fd(Message& message) {
    for (UniqueFd& fd : message.fds) fd.reset();
    message.fd_count = 0;
    co_return Reply::none();
}

Task<Result<Reply>> Connection::get_inflight_fd(Message& message) {
    auto request = message.as<wire::Inflight>();
    const std::uint16_t count = request.num_queues;
    const std::uint16_t size = request.queue_size;
    if (count == 0 || count > rings_.size() || size == 0 ||
        size > context_.options.queue_size_max) {
        co_return refuse("{} queues of {} entries", count, size);
    }
    const std::uint64_t bytes = inflight_area_size(packed(), count, size);
    auto fd = make_inflight_area(bytes);
    if (!fd) co_return refuse("{} bytes: {}", bytes, errno_name(fd.error()));
    request.mmap_size = bytes;
    request.mmap_offset = 0;
    Reply reply;
    // As long as the request, which may or may not have the structure's padding.
    reply.append(std::as_bytes(std::span(&request, 1)).first(message.size));
    reply.fd = std::move(*fd);
    co_return reply;
}

Task<Result<Reply>> Connection::set_inflight_fd(Message& message) {
    const auto request = message.as<wire::Inflight>();
    const std::uint16_t count = request.num_queues;
    const std::uint16_t size = request.queue_size;
    const std::uint64_t bytes = request.mmap_size;
    if (message.fd_count != 1) co_return refuse("no file descriptor");
    if (any_ring_runs()) co_return refuse("rings are running");
    if (request.mmap_offset % inflight_alignment != 0) {
        co_return refuse("an area that is not aligned, at {:#x}",
                         std::uint64_t{request.mmap_offset});
    }
    if (count == 0 || count > rings_.size() || size == 0 ||
        size > context_.options.queue_size_max || bytes > inflight_size_max ||
        bytes < inflight_area_size(packed(), count, size)) {
        co_return refuse("{} bytes for {} queues of {} entries", bytes, count, size);
    }
    auto mapped = virtio::map_shared(message.fds[0].get(), bytes, request.mmap_offset);
    if (!mapped) co_return refuse("cannot map it: {}", errno_name(mapped.error()));
    inflight_ = {
        .bytes = guard(std::move(*mapped), bytes, memory_lost_),
        .queue_count = count,
        .queue_size = size,
        .packed = packed(),
    };
    co_return Reply::none();
}

}  // namespace dpfs::hal::vhost_user
