// SPDX-License-Identifier: Apache-2.0
#include "fuse/directory_writer.hpp"

#include "base/assert.hpp"
#include "fuse/reply.hpp"
#include "fuse/wire.hpp"
#include "fuse/wire_file.hpp"

#include <algorithm>
#include <array>
#include <span>

namespace dpfs::fuse {

DirectoryWriter::DirectoryWriter(IovecCursor reply, std::size_t size_max, bool plus) noexcept
    : reply_(reply), size_max_(std::min(size_max, reply.left())), plus_(plus) {}

bool DirectoryWriter::has_room_for(std::size_t name_size) const noexcept {
    const std::size_t fixed = sizeof(wire::Dirent) + (plus_ ? sizeof(wire::EntryOut) : 0);
    // Sizes in the order that cannot overflow: a name is far smaller than the address space.
    return wire::record_align(fixed + name_size) <= size_max_ - size_;
}

bool DirectoryWriter::add(const Item& item) noexcept {
    DPFS_ASSERT(!plus_);
    if (!has_room_for(item.name.size())) return false;
    put_dirent(item);
    return true;
}

bool DirectoryWriter::add(const Item& item, const Entry& entry) noexcept {
    DPFS_ASSERT(plus_);
    if (!has_room_for(item.name.size())) return false;
    const wire::EntryOut out = to_wire(entry);
    put(std::as_bytes(std::span(&out, 1)));
    put_dirent(item);
    return true;
}

void DirectoryWriter::put_dirent(const Item& item) noexcept {
    const wire::Dirent dirent{.ino = item.ino,
                              .off = item.next_offset,
                              .namelen = static_cast<std::uint32_t>(item.name.size()),
                              .type = item.type};
    static constexpr std::array<std::byte, wire::record_alignment> zeroes{};
    const std::size_t padding = wire::record_align(item.name.size()) - item.name.size();

    put(std::as_bytes(std::span(&dirent, 1)));
    put(std::as_bytes(std::span(item.name)));
    put(std::span(zeroes).first(padding));
}

void DirectoryWriter::put(std::span<const std::byte> bytes) noexcept {
    // has_room_for() has been asked, and size_max_ is within the reply.
    const Result<void> written = reply_.copy_in(bytes);
    DPFS_ASSERT(written.has_value());
    size_ += bytes.size();
}

}  // namespace dpfs::fuse
