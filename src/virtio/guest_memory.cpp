// SPDX-License-Identifier: Apache-2.0
#include "virtio/guest_memory.hpp"

#include "virtio/wire.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>
#include <limits>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace dpfs::virtio {
namespace {

constexpr std::uint64_t address_max = std::numeric_limits<std::uint64_t>::max();
// Far over any guest's memory, and low enough that rounding up to a page cannot wrap.
constexpr std::uint64_t mapping_end_max = 1ULL << 62;

/// What is aligned for the guest must be so for us. Pages are, so this fails for no real
/// memory.
bool alike_aligned(std::uint64_t guest_address, const std::byte* host) {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): only to look at the number
    const auto host_address = reinterpret_cast<std::uintptr_t>(host);
    return (guest_address - host_address) % descriptor_alignment == 0;
}

bool wraps(std::uint64_t address, std::uint64_t size) {
    return size > address_max - address;
}

/// Calls mmap, and gives the mapping an owner that unmaps it.
Result<Mapping> map_pages(std::uint64_t size, int flags, int fd, std::uint64_t offset) {
    void* const pages =
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, flags, fd, static_cast<off_t>(offset));
    if (pages == MAP_FAILED) return fail_errno();
    // A core dump of ours must neither hold the tenant's memory nor be as large.
    ::madvise(pages, size, MADV_DONTDUMP);
    return Mapping(static_cast<std::byte*>(pages),
                   [size](std::byte* first) { ::munmap(first, size); });
}

/// What offsets and lengths of this file's mappings must be multiples of.
std::uint64_t mapping_granularity(int fd) {
    struct statfs system = {};
    if (::fstatfs(fd, &system) == 0 && system.f_type == HUGETLBFS_MAGIC) {
        return static_cast<std::uint64_t>(system.f_bsize);
    }
    return static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

Result<Mapping> map_shared(int fd, std::uint64_t size, std::uint64_t offset) {
    if (size == 0 || wraps(offset, size) || offset + size > mapping_end_max) {
        return fail(Errno::invalid);
    }
    struct stat file = {};
    if (::fstat(fd, &file) != 0) return fail_errno();
    if (S_ISREG(file.st_mode) && offset + size > static_cast<std::uint64_t>(file.st_size)) {
        return fail(Errno::invalid);
    }
    const std::uint64_t granularity = mapping_granularity(fd);
    const std::uint64_t before = offset % granularity;
    const std::uint64_t whole = (before + size + granularity - 1) / granularity * granularity;

    // NORESERVE: the memory is the guest's, already accounted for where it was made.
    auto pages = map_pages(whole, MAP_SHARED | MAP_NORESERVE, fd, offset - before);
    if (!pages) return fail(pages.error());
    std::byte* const first = pages->get() + before;
    return Mapping(std::move(*pages), first);
}

Result<Mapping> map_anonymous(std::uint64_t size) {
    if (size == 0 || size > mapping_end_max) return fail(Errno::invalid);
    return map_pages(size, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

Result<GuestMemory> GuestMemory::with(MemoryRegion region) const {
    if (region.size == 0 || !region.host || wraps(region.guest_address, region.size) ||
        wraps(region.user_address, region.size) ||
        !alike_aligned(region.guest_address, region.host.get())) {
        return fail(Errno::invalid);
    }
    const auto after = std::ranges::lower_bound(
        regions_, region.guest_address, {}, &MemoryRegion::guest_address);
    if (after != regions_.end() && after->guest_address - region.guest_address < region.size) {
        return fail(Errno::exists);
    }
    if (after != regions_.begin() && std::prev(after)->contains(region.guest_address, 1)) {
        return fail(Errno::exists);
    }
    GuestMemory next;
    next.regions_.reserve(regions_.size() + 1);
    next.regions_.assign(regions_.begin(), after);
    next.regions_.push_back(std::move(region));
    next.regions_.insert(next.regions_.end(), after, regions_.end());
    return next;
}

Result<GuestMemory> GuestMemory::without(std::uint64_t guest_address,
                                         std::uint64_t size) const {
    const MemoryRegion* const region = find(guest_address);
    if (!region || region->guest_address != guest_address || region->size != size) {
        return fail(Errno::no_entry);
    }
    GuestMemory next = *this;
    next.regions_.erase(next.regions_.begin() + (region - regions_.data()));
    return next;
}

const MemoryRegion* GuestMemory::find(std::uint64_t address) const noexcept {
    const auto after =
        std::ranges::upper_bound(regions_, address, {}, &MemoryRegion::guest_address);
    if (after == regions_.begin()) return nullptr;
    const MemoryRegion& region = *std::prev(after);
    return region.contains(address, 1) ? &region : nullptr;
}

std::span<std::byte> GuestMemory::piece(std::uint64_t address,
                                        std::uint64_t length) const noexcept {
    const MemoryRegion* const region = find(address);
    if (!region) return {};
    return {region->at(address),
            std::min(length, region->size - (address - region->guest_address))};
}

// In the loops below an address cannot wrap: with() refuses a region that does.

Result<void> GuestMemory::translate(std::uint64_t address,
                                    std::uint64_t length,
                                    std::vector<iovec>& out) const {
    const std::size_t count_before = out.size();
    while (length > 0) {
        const auto host = piece(address, length);
        if (host.empty()) {
            out.resize(count_before);
            return fail(Errno::fault);
        }
        out.push_back({host.data(), host.size()});
        address += host.size();
        length -= host.size();
    }
    return {};
}

Result<void> GuestMemory::read(std::uint64_t address, std::span<std::byte> out) const {
    while (!out.empty()) {
        const auto host = piece(address, out.size());
        if (host.empty()) return fail(Errno::fault);
        for (std::size_t i = 0; i < host.size(); ++i) {
            out[i] = std::atomic_ref(host[i]).load(std::memory_order_relaxed);
        }
        address += host.size();
        out = out.subspan(host.size());
    }
    return {};
}

Result<void> GuestMemory::write(std::uint64_t address, std::span<const std::byte> in) const {
    while (!in.empty()) {
        const auto host = piece(address, in.size());
        if (host.empty()) return fail(Errno::fault);
        std::memcpy(host.data(), in.data(), host.size());
        address += host.size();
        in = in.subspan(host.size());
    }
    return {};
}

Result<RingPart> GuestMemory::ring_part(AddressSpace space,
                                        std::uint64_t address,
                                        std::uint64_t size,
                                        std::size_t alignment) const {
    for (const MemoryRegion& region : regions_) {
        const std::uint64_t start =
            space == AddressSpace::guest ? region.guest_address : region.user_address;
        const std::uint64_t offset = address - start;
        if (address < start || offset >= region.size || size > region.size - offset) continue;

        std::byte* const host = region.host.get() + offset;
        const std::uint64_t guest_address = region.guest_address + offset;
        if (guest_address % alignment != 0) return fail(Errno::invalid);
        return RingPart{.bytes = Mapping(region.host, host), .guest_address = guest_address};
    }
    return fail(Errno::fault);
}

Result<std::uint64_t> GuestMemory::guest_address_of(const void* host) const {
    const auto* const byte = static_cast<const std::byte*>(host);
    for (const MemoryRegion& region : regions_) {
        const std::byte* const first = region.host.get();
        // std::less: a total order also between pointers into different mappings.
        if (std::less<const std::byte*>()(byte, first) ||
            !std::less<const std::byte*>()(byte, first + region.size))
            continue;
        return region.guest_address + static_cast<std::uint64_t>(byte - first);
    }
    return fail(Errno::fault);
}

}  // namespace dpfs::virtio
