// SPDX-License-Identifier: Apache-2.0
#include "net/nfs4/read_plus.hpp"

#include "base/iovec_cursor.hpp"

#include <algorithm>
#include <array>

namespace dpfs::nfs4 {
namespace {

constexpr std::uint32_t content_data = 0;  // NFS4_CONTENT_DATA
constexpr std::uint32_t content_hole = 1;
constexpr std::size_t content_size_min = 4 + 8 + 4;

/// What was asked for, and how far it has been answered.
struct Progress {
    IovecCursor room;
    std::uint64_t position;             // in the file
    std::optional<std::size_t> placed;  // bytes of the only segment
    bool begun = false;
};

bool take_data(rpc::XdrReader& in, Progress& to) noexcept {
    if (in.u64() != to.position) return false;
    const std::size_t size_max = to.room.left();
    if (to.placed) {
        const std::uint32_t size = in.u32();
        if (!in.ok() || size != *to.placed || !to.room.skip(size)) return false;
    } else {
        const auto data = in.opaque(size_max);
        if (!in.ok() || !to.room.copy_in(data)) return false;
    }
    to.position += size_max - to.room.left();
    return true;
}

bool take_hole(rpc::XdrReader& in, Progress& to) noexcept {
    static constexpr std::array<std::byte, 4096> zeros = {};
    const std::uint64_t begin = in.u64();
    const std::uint64_t length = in.u64();
    // It may begin before what was asked for, but not before the end of another segment.
    if (!in.ok() || begin > to.position || (to.begun && begin != to.position)) return false;
    if (length > ~std::uint64_t{0} - begin || begin + length <= to.position) return false;
    std::uint64_t left = std::min<std::uint64_t>(begin + length - to.position, to.room.left());
    if (left == 0) return false;  // all has been answered
    to.position += left;
    while (left > 0) {
        const auto some = std::min<std::uint64_t>(left, zeros.size());
        if (!to.room.copy_in(std::span(zeros).first(some))) return false;
        left -= some;
    }
    return true;
}

}  // namespace

Result<ReadPlus> take_read_plus(rpc::XdrReader& in,
                                std::uint64_t offset,
                                std::span<const iovec> to,
                                std::optional<std::size_t> placed) noexcept {
    Progress progress = {.room = IovecCursor(to), .position = offset, .placed = placed};
    const bool at_end = in.boolean();
    const std::uint32_t count = in.count(placed ? 4 : content_size_min);
    for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
        const std::uint32_t type = in.u32();
        bool is_good = false;
        if (type == content_data) is_good = take_data(in, progress);
        if (type == content_hole) is_good = !placed && take_hole(in, progress);
        if (!is_good) return fail(Errno::bad_message);
        progress.begun = true;
    }
    const std::size_t size = progress.position - offset;
    if (!in.ok() || (size == 0 && !at_end)) return fail(Errno::bad_message);
    return ReadPlus{.size = size, .at_end = at_end};
}

}  // namespace dpfs::nfs4
