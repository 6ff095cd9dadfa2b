// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "net/rpc/xdr.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace dpfs::rpc {

/// Who makes a call, as AUTH_SYS says it. Source: RFC 5531, appendix A.
struct AuthSys {
    static constexpr std::size_t group_count_max = 16;

    std::string_view machine;
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::span<const std::uint32_t> groups;  ///< what is beyond group_count_max is left out
};

/// Which procedure of which program.
struct Procedure {
    std::uint32_t program;
    std::uint32_t version;
    std::uint32_t number;
};

/// Bytes of the mark before each fragment of a record. Source: RFC 5531, 11.
inline constexpr std::size_t record_mark_size = 4;
inline constexpr std::uint32_t last_fragment = 0x8000'0000;
/// Where a record's xid stands, the mark included.
inline constexpr std::size_t xid_position = record_mark_size;

/// Begins a record with a call: room for the mark and the xid, which are filled in when it is
/// sent, then the header (RFC 5531, 9). The procedure's arguments follow.
void begin_call(std::vector<std::byte>& record, Procedure procedure, const AuthSys& who);
/// The same without credentials (AUTH_NONE).
void begin_call(std::vector<std::byte>& record, Procedure procedure);

enum class Direction : std::uint32_t { call = 0, reply = 1 };

/// What the peer's RPC layer made of a call. Source: RFC 5531, 9.
enum class ReplyStatus : std::uint8_t {
    success,
    program_unavailable,
    program_mismatch,
    procedure_unavailable,
    garbage_arguments,
    system_error,
    version_mismatch,
    authentication,
    malformed,  ///< no reply at all: the peer breaks the protocol
};
[[nodiscard]] std::string_view name_of(ReplyStatus status) noexcept;

/// Reads the header of a reply, from its xid on; the results follow it in `reply`.
[[nodiscard]] ReplyStatus take_reply_header(XdrReader& reply) noexcept;

/// The header of a call that the peer makes (a callback), from its xid on.
struct IncomingCall {
    std::uint32_t xid = 0;
    Procedure procedure = {};
};
/// Errors: EBADMSG: not a call of RPC version 2.
[[nodiscard]] Result<IncomingCall> take_call_header(XdrReader& call) noexcept;

/// Begins a record with the reply to it; the results follow if `status` is success.
void begin_reply(std::vector<std::byte>& record, std::uint32_t xid, ReplyStatus status);

/// Fills in the mark of a record that is one fragment, `extra` bytes of which are elsewhere.
void finish_record(std::vector<std::byte>& record, std::size_t extra) noexcept;

}  // namespace dpfs::rpc
