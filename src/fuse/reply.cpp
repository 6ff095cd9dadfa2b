// SPDX-License-Identifier: Apache-2.0
#include "fuse/reply.hpp"

#include <algorithm>

namespace dpfs::fuse {
namespace {

struct WireDuration {
    std::uint64_t seconds;
    std::uint32_t nanoseconds;
};

WireDuration to_wire(Duration duration) noexcept {
    const auto ns = static_cast<std::uint64_t>(std::max<std::int64_t>(duration.ns, 0));
    return {ns / 1'000'000'000, static_cast<std::uint32_t>(ns % 1'000'000'000)};
}

wire::SxTime to_wire(const statx_timestamp& time) noexcept {
    return {.tv_sec = time.tv_sec, .tv_nsec = time.tv_nsec, .reserved = 0};
}

}  // namespace

wire::EntryOut to_wire(const Entry& entry) noexcept {
    const WireDuration entry_valid = to_wire(entry.entry_valid);
    const WireDuration attr_valid = to_wire(entry.attributes_valid);
    return {.nodeid = static_cast<std::uint64_t>(entry.node),
            .generation = entry.generation,
            .entry_valid = entry_valid.seconds,
            .attr_valid = attr_valid.seconds,
            .entry_valid_nsec = entry_valid.nanoseconds,
            .attr_valid_nsec = attr_valid.nanoseconds,
            .attr = entry.attributes};
}

wire::AttrOut to_wire(const TimedAttributes& timed) noexcept {
    const WireDuration valid = to_wire(timed.valid);
    return {.attr_valid = valid.seconds,
            .attr_valid_nsec = valid.nanoseconds,
            .dummy = 0,
            .attr = timed.attributes};
}

wire::OpenOut to_wire(const OpenReply& reply) noexcept {
    // FUSE_PASSTHROUGH is never negotiated; its flag would make the kernel refuse the open.
    return {.fh = static_cast<std::uint64_t>(reply.handle),
            .open_flags = reply.open_flags & ~wire::fopen::passthrough,
            .backing_id = 0};
}

wire::StatfsOut to_wire(const FileSystemStatus& status) noexcept {
    return {.blocks = status.blocks,
            .bfree = status.blocks_free,
            .bavail = status.blocks_available,
            .files = status.files,
            .ffree = status.files_free,
            .bsize = status.block_size,
            .namelen = status.name_size_max,
            .frsize = status.fragment_size,
            .padding = 0,
            .spare = {}};
}

wire::LkOut to_wire(const Lock& lock) noexcept {
    return {.lk = {.start = lock.start, .end = lock.end, .type = lock.type, .pid = lock.pid}};
}

wire::StatxOut to_wire(const struct ::statx& stat, Duration valid) noexcept {
    const WireDuration attr_valid = to_wire(valid);
    return {.attr_valid = attr_valid.seconds,
            .attr_valid_nsec = attr_valid.nanoseconds,
            .flags = 0,
            .spare = {},
            .stat = {.mask = stat.stx_mask,
                     .blksize = stat.stx_blksize,
                     .attributes = stat.stx_attributes,
                     .nlink = stat.stx_nlink,
                     .uid = stat.stx_uid,
                     .gid = stat.stx_gid,
                     .mode = stat.stx_mode,
                     .spare0 = {},
                     .ino = stat.stx_ino,
                     .size = stat.stx_size,
                     .blocks = stat.stx_blocks,
                     .attributes_mask = stat.stx_attributes_mask,
                     .atime = to_wire(stat.stx_atime),
                     .btime = to_wire(stat.stx_btime),
                     .ctime = to_wire(stat.stx_ctime),
                     .mtime = to_wire(stat.stx_mtime),
                     .rdev_major = stat.stx_rdev_major,
                     .rdev_minor = stat.stx_rdev_minor,
                     .dev_major = stat.stx_dev_major,
                     .dev_minor = stat.stx_dev_minor,
                     .spare2 = {}}};
}

}  // namespace dpfs::fuse
