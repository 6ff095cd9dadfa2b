// SPDX-License-Identifier: Apache-2.0
#include "hostile_memory.hpp"

#include "require.hpp"
#include "virtio/wire.hpp"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace dpfs::fuzz {
namespace {

UniqueFd make_file(std::uint64_t size, unsigned seals = 0) {
    const unsigned flags = MFD_CLOEXEC | (seals != 0 ? MFD_ALLOW_SEALING : 0U);
    UniqueFd fd(::memfd_create("dpfs-fuzz", flags));
    require(fd && ::ftruncate(fd.get(), static_cast<off_t>(size)) == 0);
    if (seals != 0) require(::fcntl(fd.get(), F_ADD_SEALS, seals) == 0);
    return fd;
}

UniqueFd make_event() {
    UniqueFd fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    require(!!fd);
    return fd;
}

UniqueFd copy_of(const UniqueFd& fd) {
    return UniqueFd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
}

/// The second end of a pair whose first is closed at once.
UniqueFd half_of(bool socket) {
    int ends[2];
    require((socket ? ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)
                    : ::pipe2(ends, O_CLOEXEC)) == 0);
    ::close(ends[0]);
    return UniqueFd(ends[1]);
}

}  // namespace

HostileMemory::HostileMemory()
    : memory_(make_file(memory_size)), other_(make_file(other_size)) {
    for (UniqueFd& fd : kicks_) fd = make_event();
    for (UniqueFd& fd : calls_) fd = make_event();
}

UniqueFd HostileMemory::make(Kind kind, std::uint32_t queue) {
    switch (kind) {
        case Kind::memory:
            return copy_of(memory_);
        case Kind::other:
            return copy_of(other_);
        case Kind::event:
            return make_event();
        case Kind::kick:
            return copy_of(kicks_[queue % queue_count]);
        case Kind::call:
            return copy_of(calls_[queue % queue_count]);
        case Kind::inflight:
            return copy_of(inflight_ ? inflight_ : other_);
        case Kind::small:
            return make_file(100);
        case Kind::empty:
            return make_file(0);
        case Kind::sealed:
            return make_file(memory_size, F_SEAL_SHRINK | F_SEAL_WRITE);
        case Kind::huge:
            return make_file(1ULL << 40);
        case Kind::pipe:
            return half_of(false);
        case Kind::null:
            return UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC));
        case Kind::closed_socket:
            return half_of(true);
    }
    return {};
}

void HostileMemory::kick(std::uint32_t queue) const {
    (void)::eventfd_write(kicks_[queue].get(), 1);
}

void HostileMemory::resize_file(bool other, std::uint64_t size) const {
    const UniqueFd& file = other ? other_ : memory_;
    require(::ftruncate(file.get(), static_cast<off_t>(size)) == 0);
}

void HostileMemory::write(std::uint64_t guest_address, std::span<const std::byte> bytes) const {
    const UniqueFd& file = guest_address < other_start ? memory_ : other_;
    const std::uint64_t offset =
        guest_address - (guest_address < other_start ? guest_start : other_start);
    struct stat status = {};
    require(::fstat(file.get(), &status) == 0);
    if (offset + bytes.size() > static_cast<std::uint64_t>(status.st_size)) return;
    require(::pwrite(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)) >= 0);
}

void HostileMemory::start_ring(std::uint32_t queue, std::uint32_t size, bool packed) {
    rings_[queue] = {.size = size, .packed = packed};
    const std::vector<std::byte> nothing(page_size);
    write(ring_address(queue, RingPart::descriptors), nothing);
}

void HostileMemory::offer(std::uint32_t queue, std::uint32_t readable, std::uint32_t writable) {
    rings_[queue].packed ? offer_packed(queue, readable, writable)
                         : offer_split(queue, readable, writable);
}

void HostileMemory::offer_split(std::uint32_t queue,
                                std::uint32_t readable,
                                std::uint32_t writable) {
    Ring& ring = rings_[queue];
    const std::uint64_t table = ring_address(queue, RingPart::descriptors);
    const std::uint32_t head = ring.next % ring.size;
    const std::uint32_t second = (head + 1) % ring.size;
    ring.next += 2;
    store(table + head * sizeof(virtio::Descriptor),
          virtio::Descriptor{.addr = buffers_start,
                             .len = readable,
                             .flags = virtio::descriptor_next,
                             .next = static_cast<std::uint16_t>(second)});
    store(table + second * sizeof(virtio::Descriptor),
          virtio::Descriptor{.addr = buffers_start + 2 * page_size,
                             .len = writable,
                             .flags = virtio::descriptor_write,
                             .next = 0U});
    const std::uint64_t driver = ring_address(queue, RingPart::driver);
    store(driver + 4 + (ring.available % ring.size) * 2ULL,
          le<std::uint16_t>(static_cast<std::uint16_t>(head)));
    store(driver + 2, le<std::uint16_t>(++ring.available));
}

void HostileMemory::offer_packed(std::uint32_t queue,
                                 std::uint32_t readable,
                                 std::uint32_t writable) {
    Ring& ring = rings_[queue];
    const auto put = [&](std::uint64_t buffer, std::uint32_t length, unsigned flags) {
        flags |= ring.wrap ? virtio::descriptor_available : virtio::descriptor_used;
        store(ring_address(queue, RingPart::descriptors) +
                  ring.next * sizeof(virtio::PackedDescriptor),
              virtio::PackedDescriptor{.addr = buffer,
                                       .len = length,
                                       .id = static_cast<std::uint16_t>(ring.next),
                                       .flags = static_cast<std::uint16_t>(flags)});
        ring.next = (ring.next + 1) % ring.size;
        if (ring.next == 0) ring.wrap = !ring.wrap;
    };
    // The device may see the first before there is a second: a hostile driver's right.
    put(buffers_start, readable, virtio::descriptor_next);
    put(buffers_start + 2 * page_size, writable, virtio::descriptor_write);
}

void HostileMemory::keep_inflight(std::vector<std::byte> payload, UniqueFd fd) {
    area_ = std::move(payload);
    inflight_ = std::move(fd);
}

}  // namespace dpfs::fuzz
