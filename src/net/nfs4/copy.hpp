// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "net/nfs4/request.hpp"

#include <cstdint>
#include <optional>

/// Copies that the server makes by itself. Source: RFC 7862, 4 and 15.
namespace dpfs::nfs4 {

/// Bytes of the saved file (SAVEFH) that are to be in the current one too.
struct CopyRange {
    StateId from, to;
    std::uint64_t from_offset = 0;
    std::uint64_t to_offset = 0;
    std::uint64_t size = 0;  ///< 0: all up to the end
};

/// 15.2; from the start on, and within this server. `synchronous`: not answered before it is
/// done.
void put_copy(Request& request, const CopyRange& range, bool synchronous);
/// 15.13: all of it or nothing; both files share the bytes from then on.
void put_clone(Request& request, const CopyRange& range);

/// write_response4: what COPY and CB_OFFLOAD say (15.2.2 and 16.1.1).
struct WriteResponse {
    std::optional<StateId> copy;  ///< it goes on, under this name
    std::uint64_t size = 0;       ///< bytes
    Stable stable = Stable::unstable;
    Verifier verifier = {};
};
[[nodiscard]] WriteResponse take_write_response(rpc::XdrReader& in) noexcept;

struct Copied {
    WriteResponse written;
    bool consecutive = false;  ///< what has been copied begins at the start
    bool synchronous = false;
};
[[nodiscard]] Copied take_copied(rpc::XdrReader& in) noexcept;

/// How far a copy has come (OFFLOAD_STATUS; 15.9).
struct CopyProgress {
    std::uint64_t size = 0;         ///< bytes so far
    std::optional<Status> outcome;  ///< it has ended
};
[[nodiscard]] CopyProgress take_copy_progress(rpc::XdrReader& in) noexcept;

}  // namespace dpfs::nfs4
