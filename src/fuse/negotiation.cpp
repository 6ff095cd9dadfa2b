// SPDX-License-Identifier: Apache-2.0
#include "fuse/negotiation.hpp"

#include "fuse/wire.hpp"

#include <algorithm>
#include <limits>

namespace dpfs::fuse {
namespace {

namespace init = wire::init;

/// max_pages counts the tenant's pages; 4 KiB are the smallest that Linux has, so that a count
/// made for them is never too small.
constexpr std::uint32_t page_size = 4096;
/// What a kernel without FUSE_MAX_PAGES uses (FUSE_DEFAULT_MAX_PAGES_PER_REQ).
constexpr std::uint32_t default_pages_max = 32;
constexpr std::uint32_t pages_max_max = std::numeric_limits<std::uint16_t>::max();

/// Those that hold whatever the options say; docs/fuse-opcodes.md has the reason for each.
constexpr std::uint64_t always_wanted =
    init::async_read | init::posix_locks | init::atomic_o_trunc | init::big_writes |
    init::dont_mask | init::flock_locks | init::auto_inval_data | init::async_dio |
    init::parallel_dirops | init::posix_acl | init::max_pages | init::cache_symlinks |
    init::explicit_inval_data | init::handle_killpriv_v2 | init::setxattr_ext | init::init_ext |
    init::security_ctx | init::create_supp_group | init::direct_io_allow_mmap;

std::uint64_t flags_of(const wire::InitIn& in) noexcept {
    // Without the flag there is no flags2: 7.35 and older sent a shorter struct.
    const std::uint64_t upper = (in.flags & init::init_ext) != 0 ? in.flags2 : 0;
    return in.flags | upper << 32;
}

std::uint32_t whole_pages(std::uint32_t size) noexcept {
    return std::clamp(size / page_size, 1U, pages_max_max);
}

/// Flags that mean nothing, or the wrong thing, without others.
std::uint64_t consistent(std::uint64_t flags) noexcept {
    if ((flags & init::do_readdirplus) == 0) flags &= ~init::readdirplus_auto;
    // Linux would take the first of the two; say what it does.
    if ((flags & init::auto_inval_data) != 0) flags &= ~init::explicit_inval_data;
    return flags;
}

std::uint16_t whole_seconds(Duration time) noexcept {
    const std::int64_t seconds = time.ns / 1'000'000'000;
    return static_cast<std::uint16_t>(std::clamp<std::int64_t>(seconds, 0, 65535));
}

}  // namespace

std::uint64_t wanted_flags(const SessionOptions& options) noexcept {
    std::uint64_t flags = always_wanted;
    if (options.readdirplus != ReaddirPlus::never) flags |= init::do_readdirplus;
    if (options.readdirplus == ReaddirPlus::adaptive) flags |= init::readdirplus_auto;
    if (options.writeback) flags |= init::writeback_cache;
    if (options.id_mapped_mounts) flags |= init::allow_idmap;
    if (whole_seconds(options.request_timeout) > 0) flags |= init::request_timeout;
    return flags;
}

Result<Capabilities> offer(const wire::InitIn& in, const SessionOptions& options) noexcept {
    if (in.major < wire::kernel_version) return fail(Errno::protocol);
    if (in.major == wire::kernel_version && in.minor < minor_version_min) {
        return fail(Errno::protocol);
    }

    const std::uint64_t flags = flags_of(in) & (wanted_flags(options) | informative_flags);
    const std::uint32_t pages =
        (flags & init::max_pages) != 0
            ? whole_pages(options.request_size_max)
            : std::min(whole_pages(options.request_size_max), default_pages_max);
    const bool timed = (flags & init::request_timeout) != 0;
    return Capabilities{.flags = flags,
                        .request_size_max = pages * page_size,
                        .readahead_max = std::min(in.max_readahead, options.readahead_max),
                        .time_granularity = 1,
                        .request_timeout = timed ? options.request_timeout : Duration{}};
}

Negotiation agree(const wire::InitIn& in,
                  const Capabilities& offered,
                  const Capabilities& chosen) noexcept {
    const std::uint32_t pages =
        whole_pages(std::min(chosen.request_size_max, offered.request_size_max));
    return {.minor = std::min(in.minor, wire::kernel_minor_version),
            .flags = consistent(chosen.flags & offered.flags),
            .request_size_max = pages * page_size,
            .pages_max = pages};
}

wire::InitOut init_reply(const wire::InitIn& in,
                         const Negotiation& agreed,
                         const Capabilities& chosen,
                         const SessionOptions& options) noexcept {
    const std::uint64_t flags = agreed.flags & ~informative_flags;
    wire::InitOut out{};
    out.major = wire::kernel_version;
    out.minor = wire::kernel_minor_version;
    out.max_readahead =
        std::min({in.max_readahead, options.readahead_max, chosen.readahead_max});
    out.flags = static_cast<std::uint32_t>(flags);
    out.flags2 = static_cast<std::uint32_t>(flags >> 32);
    out.max_background = options.background_max;
    // Where Linux begins to call the device congested: 3/4, as its own default has it.
    out.congestion_threshold = static_cast<std::uint16_t>(options.background_max / 4 * 3);
    out.max_write = agreed.request_size_max;
    out.time_gran = std::clamp(chosen.time_granularity, 1U, 1'000'000'000U);
    if (agreed.has(init::max_pages))
        out.max_pages = static_cast<std::uint16_t>(agreed.pages_max);
    if (agreed.has(init::request_timeout)) {
        out.request_timeout = whole_seconds(chosen.request_timeout);
    }
    return out;
}

}  // namespace dpfs::fuse
