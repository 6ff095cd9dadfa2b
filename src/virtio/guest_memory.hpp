// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <sys/uio.h>
#include <vector>

namespace dpfs::virtio {

/// Memory mapped into this process: unmapped when the last copy is gone. The pointer is to the
/// first byte asked for, which need not be the first byte mapped.
using Mapping = std::shared_ptr<std::byte>;

/// Maps `size` bytes at `offset` of `fd`, shared, readable and writable; the descriptor may be
/// closed afterwards. `offset` need not lie on a page: whole pages of the file's own page size
/// (2 MiB, 1 GiB on hugetlbfs) are mapped. Left out of core dumps: it is the tenant's data.
/// Errors: EINVAL (size 0, wrap-around, beyond the end of a regular file), others from mmap.
/// The file must not shrink while mapped (a front end seals it): that would be a SIGBUS.
Result<Mapping> map_shared(int fd, std::uint64_t size, std::uint64_t offset);

/// Zeroed private memory, for tests and for a driver in this process. Errors: as map_shared().
Result<Mapping> map_anonymous(std::uint64_t size);

/// What an address of a ring counts in.
enum class AddressSpace : std::uint8_t {
    guest,  // guest-physical (or I/O virtual) addresses, as in descriptors
    user,   // virtual addresses of the front end's process, as in vhost-user ring addresses
};

/// One piece of the guest's memory.
struct MemoryRegion {
    std::uint64_t guest_address = 0;
    std::uint64_t user_address = 0;  // equal to guest_address where the front end has no other
    std::uint64_t size = 0;          // bytes
    Mapping host = {};               // at guest_address, `size` bytes long

    /// Whether [address, address + length) lies inside; safe for any values.
    [[nodiscard]] bool contains(std::uint64_t address, std::uint64_t length) const noexcept {
        const std::uint64_t offset = address - guest_address;
        return address >= guest_address && offset <= size && length <= size - offset;
    }
    /// Only for a range that is inside.
    [[nodiscard]] std::byte* at(std::uint64_t address) const noexcept {
        return host.get() + (address - guest_address);
    }
};

/// A part of a ring: memory that stays mapped as long as this is held, whatever becomes of the
/// map it came from.
struct RingPart {
    Mapping bytes;
    std::uint64_t guest_address = 0;  // for the dirty log
};

/// Which memory a guest has, at one moment: a value that never changes. A change of the map
/// makes a new one, while requests that are under way keep theirs, and with it the mappings.
///
/// Thread    a const object may be read by many threads.
class GuestMemory {
  public:
    GuestMemory() = default;

    /// This map and one region more. Errors: EINVAL (empty, not mapped, an address range that
    /// wraps around, guest and host address not alike modulo 16), EEXIST (overlaps guest
    /// addresses of another; user addresses may overlap, as a front end may show one memory at
    /// two guest addresses).
    [[nodiscard]] Result<GuestMemory> with(MemoryRegion region) const;

    /// This map less the region that starts at `guest_address` and is `size` long.
    /// Errors: ENOENT.
    [[nodiscard]] Result<GuestMemory> without(std::uint64_t guest_address,
                                              std::uint64_t size) const;

    /// In order of guest addresses.
    [[nodiscard]] std::span<const MemoryRegion> regions() const noexcept { return regions_; }

    /// The region that holds this guest address, or nullptr.
    [[nodiscard]] const MemoryRegion* find(std::uint64_t address) const noexcept;

    /// Appends the guest range as iovecs: one for each region that it touches.
    /// Errors: EFAULT (any byte unmapped, wrap-around); `out` then holds what it held before.
    Result<void> translate(std::uint64_t address,
                           std::uint64_t length,
                           std::vector<iovec>& out) const;

    /// Copies out of, or into, guest memory; the range may cross regions. For control
    /// structures: each byte is read once, so a copy can be checked and then used. Errors:
    /// EFAULT; nothing or a part has been copied then.
    Result<void> read(std::uint64_t address, std::span<std::byte> out) const;
    Result<void> write(std::uint64_t address, std::span<const std::byte> in) const;

    /// Finds a part of a ring: one piece of memory in one region.
    /// `alignment` at most 16. Errors: EFAULT (not mapped, or crosses a region's end), EINVAL
    /// (not aligned).
    Result<RingPart> ring_part(AddressSpace space,
                               std::uint64_t address,
                               std::uint64_t size,
                               std::size_t alignment) const;

    /// The way back: what guest address a host pointer from translate() has.
    /// Errors: EFAULT (not from this map).
    Result<std::uint64_t> guest_address_of(const void* host) const;

  private:
    /// As much of the range as lies in the region of its first byte; empty where there is none.
    [[nodiscard]] std::span<std::byte> piece(std::uint64_t address,
                                             std::uint64_t length) const noexcept;

    std::vector<MemoryRegion> regions_;  // sorted by guest_address, disjoint
};

}  // namespace dpfs::virtio
