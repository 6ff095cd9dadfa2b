// SPDX-License-Identifier: Apache-2.0
#include "net/nfs4/copy.hpp"

namespace dpfs::nfs4 {
namespace {

void put_range(Request& request, Op op, const CopyRange& range) {
    request.put_state(op, range.from);
    rpc::XdrWriter& out = request.writer();
    put_state_id(out, range.to);
    out.u64(range.from_offset);
    out.u64(range.to_offset);
    out.u64(range.size);
}

Stable take_stable(rpc::XdrReader& in) noexcept {
    const std::uint32_t number = in.u32();
    if (number > static_cast<std::uint32_t>(Stable::file)) in.fail();
    return Stable{number};
}

}  // namespace

void put_copy(Request& request, const CopyRange& range, bool synchronous) {
    put_range(request, Op::copy, range);
    request.writer().boolean(true);  // consecutive: a count says what has been copied
    request.writer().boolean(synchronous);
    request.writer().u32(0);  // no other server that has the source
}

void put_clone(Request& request, const CopyRange& range) {
    put_range(request, Op::clone, range);
}

WriteResponse take_write_response(rpc::XdrReader& in) noexcept {
    WriteResponse response;
    const std::uint32_t copy_count = in.u32();
    if (copy_count > 1) in.fail();
    if (copy_count == 1) response.copy = take_state_id(in);
    response.size = in.u64();
    response.stable = take_stable(in);
    response.verifier = take_verifier(in);
    return response;
}

Copied take_copied(rpc::XdrReader& in) noexcept {
    Copied copied;
    copied.written = take_write_response(in);
    copied.consecutive = in.boolean();
    copied.synchronous = in.boolean();
    return copied;
}

CopyProgress take_copy_progress(rpc::XdrReader& in) noexcept {
    CopyProgress progress;
    progress.size = in.u64();
    const std::uint32_t outcome_count = in.u32();
    if (outcome_count > 1) in.fail();
    if (outcome_count == 1) progress.outcome = Status{in.u32()};
    return progress;
}

}  // namespace dpfs::nfs4
