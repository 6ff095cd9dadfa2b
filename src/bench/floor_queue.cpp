// SPDX-License-Identifier: Apache-2.0
#include "bench/floor_queue.hpp"

#include "bench/create_out.hpp"
#include "fuse/wire_file.hpp"
#include "fuse/wire_init.hpp"
#include "fuse/wire_inode.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <span>
#include <sys/eventfd.h>
#include <sys/uio.h>

namespace dpfs::bench {

namespace wire = fuse::wire;
using wire::Opcode;

namespace {

constexpr std::size_t copied_size_max = std::size_t{1} << 20;
constexpr std::uint64_t any_file = 2;  // the nodeid of every name

template <wire_struct T>
T read_struct(std::span<const iovec> buffers, std::size_t index) {
    T value = {};
    if (index < buffers.size()) {
        std::memcpy(
            &value, buffers[index].iov_base, std::min(buffers[index].iov_len, sizeof(value)));
    }
    return value;
}

template <wire_struct T>
void write_struct(std::span<const iovec> buffers, std::size_t index, const T& value) {
    if (index >= buffers.size()) return;
    std::memcpy(
        buffers[index].iov_base, &value, std::min(buffers[index].iov_len, sizeof(value)));
}

wire::EntryOut entry() {
    wire::EntryOut entry = {};
    entry.nodeid = any_file;
    entry.attr.ino = any_file;
    return entry;
}

UniqueFd reopen(int fd, int flags) {
    return UniqueFd(::open(fmt::format("/proc/self/fd/{}", fd).c_str(), flags | O_CLOEXEC));
}

}  // namespace

FloorQueue::FloorQueue(virtio::GuestMemory memory,
                       std::unique_ptr<virtio::Virtqueue> ring,
                       int call_fd,
                       int kick_fd,
                       int place)
    : memory_(std::move(memory)),
      ring_(std::move(ring)),
      call_fd_(call_fd),
      kick_fd_(kick_fd),
      place_(place),
      zeroes_(std::make_unique<std::byte[]>(copied_size_max)) {
    ring_->disable_notifications();
}

bool FloorQueue::work() {
    bool worked = false;
    while (ring_->pop(memory_, chain_).value_or(false)) {
        ring_->push(chain_.head(), answer());
        worked = true;
    }
    if (!worked) return false;
    ring_->flush();
    if (ring_->needs_notification()) (void)::eventfd_write(call_fd_, 1);
    return true;
}

void FloorQueue::wake_up() {
    eventfd_t count = 0;
    (void)::eventfd_read(kick_fd_, &count);
    ring_->disable_notifications();
}

/// Gives the bytes that were written.
std::uint32_t FloorQueue::answer() {
    const auto header = read_struct<wire::InHeader>(chain_.readable(), 0);
    const auto opcode = static_cast<Opcode>(header.opcode);
    if (opcode != Opcode::read && opcode != Opcode::write) return answer_without_data(header);
    const std::int64_t size = opcode == Opcode::read ? read_file() : write_file();
    if (size < 0) return reply(header.unique, static_cast<std::int32_t>(size), 0);
    if (opcode == Opcode::read) {
        return reply(header.unique, 0, static_cast<std::uint32_t>(size));
    }
    const wire::WriteOut out = {.size = static_cast<std::uint32_t>(size), .padding = 0};
    write_struct(chain_.writable(), 1, out);
    return reply(header.unique, 0, sizeof(out));
}

std::uint32_t FloorQueue::answer_without_data(const wire::InHeader& header) {
    const auto out = chain_.writable();
    if (out.empty()) return 0;  // FORGET
    const auto opcode = static_cast<Opcode>(header.opcode);
    // A fixed reply is as long as what the driver has room for.
    auto size = static_cast<std::uint32_t>(chain_.writable_size() - sizeof(wire::OutHeader));
    if (opcode == Opcode::init) {
        wire::InitOut init = {};
        init.major = wire::kernel_version;
        init.minor = wire::kernel_minor_version;
        init.max_write = copied_size_max;
        init.flags = wire::init::max_pages;
        init.max_pages = copied_size_max / 4096;
        write_struct(out, 1, init);
    } else if (opcode == Opcode::lookup || opcode == Opcode::mkdir) {
        write_struct(out, 1, entry());
    } else if (opcode == Opcode::create || opcode == Opcode::open) {
        const auto flags = read_struct<wire::OpenIn>(chain_.readable(), 1).flags;
        const int fd = open_file(flags);
        if (fd < 0) return reply(header.unique, fd, 0);
        const wire::OpenOut open = {
            .fh = static_cast<std::uint64_t>(fd), .open_flags = 0, .backing_id = 0};
        if (opcode == Opcode::create) {
            write_struct(out, 1, CreateOut{.entry = entry(), .open = open});
        } else {
            write_struct(out, 1, open);
        }
    } else if (opcode == Opcode::readdir || opcode == Opcode::readdirplus) {
        size = 0;
    }
    return reply(header.unique, 0, size);
}

std::uint32_t FloorQueue::reply(std::uint64_t unique, std::int32_t error, std::uint32_t size) {
    const auto whole = static_cast<std::uint32_t>(sizeof(wire::OutHeader)) + size;
    write_struct(
        chain_.writable(), 0, wire::OutHeader{.len = whole, .error = error, .unique = unique});
    return whole;
}

std::int64_t FloorQueue::read_file() {
    const auto in = read_struct<wire::ReadIn>(chain_.readable(), 1);
    const auto data = chain_.writable().subspan(1);
    if (place_ >= 0) {
        const ssize_t size = ::preadv(static_cast<int>(in.fh),
                                      data.data(),
                                      static_cast<int>(data.size()),
                                      static_cast<off_t>(in.offset));
        return size < 0 ? -errno : size;
    }
    for (const iovec& piece : data) {
        std::memcpy(piece.iov_base, zeroes_.get(), std::min(piece.iov_len, copied_size_max));
    }
    return in.size;
}

std::int64_t FloorQueue::write_file() {
    const auto in = read_struct<wire::WriteIn>(chain_.readable(), 1);
    const auto data =
        chain_.readable().subspan(std::min<std::size_t>(2, chain_.readable().size()));
    if (place_ >= 0) {
        const ssize_t size = ::pwritev(static_cast<int>(in.fh),
                                       data.data(),
                                       static_cast<int>(data.size()),
                                       static_cast<off_t>(in.offset));
        return size < 0 ? -errno : size;
    }
    for (const iovec& piece : data) {
        std::memcpy(zeroes_.get(), piece.iov_base, std::min(piece.iov_len, copied_size_max));
    }
    return in.size;
}

/// The one file; minus errno where it cannot be had.
int FloorQueue::open_file(std::uint32_t flags) {
    if (place_ < 0) return 0;
    if (!file_) {
        file_ = UniqueFd(::openat(place_, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
        if (!file_ && errno == ENOTDIR) file_ = reopen(place_, O_RDWR);
        if (!file_) return -errno;
    }
    if ((flags & O_DIRECT) == 0) return file_.get();
    if (!direct_) {
        direct_ = reopen(file_.get(), O_RDWR | O_DIRECT);
        if (!direct_) return -errno;
    }
    return direct_.get();
}

}  // namespace dpfs::bench
