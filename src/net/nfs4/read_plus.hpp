// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "net/nfs4/request.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <sys/uio.h>

namespace dpfs::nfs4 {

/// How a READ_PLUS went.
struct ReadPlus {
    std::size_t size = 0;  ///< bytes from the start of what was asked for, holes included
    bool at_end = false;   ///< of the file
};

/// Reads READ_PLUS' result (RFC 7862, 15.10) and puts it into `to`, which is all that was asked
/// for, from `offset` of the file on: data are copied, holes become zeros. `placed`: so many
/// bytes of a single segment's data have been put there already, and are not in `in`.
///
/// Segments follow each other without a gap. Data lie within what was asked for; a hole may
/// reach beyond it, on both sides (15.10.3). Errors: EBADMSG: anything else, or nothing before
/// the end; parts of `to` may have been written to.
[[nodiscard]] Result<ReadPlus> take_read_plus(rpc::XdrReader& in,
                                              std::uint64_t offset,
                                              std::span<const iovec> to,
                                              std::optional<std::size_t> placed) noexcept;

}  // namespace dpfs::nfs4
