// SPDX-License-Identifier: Apache-2.0
#include "net/rpc/message.hpp"

#include <algorithm>

namespace dpfs::rpc {
namespace {

constexpr std::uint32_t rpc_version = 2;
constexpr std::uint32_t auth_none = 0;
constexpr std::uint32_t auth_sys = 1;
constexpr std::size_t auth_size_max = 400;  // RFC 5531, 8.2

constexpr std::uint32_t message_accepted = 0;
constexpr std::uint32_t message_denied = 1;

void put_header(XdrWriter& out, Procedure procedure) {
    out.u32(0);  // the mark
    out.u32(0);  // the xid
    out.u32(static_cast<std::uint32_t>(Direction::call));
    out.u32(rpc_version);
    out.u32(procedure.program);
    out.u32(procedure.version);
    out.u32(procedure.number);
}

void put_no_verifier(XdrWriter& out) {
    out.u32(auth_none);
    out.u32(0);
}

ReplyStatus accepted(std::uint32_t status) noexcept {
    switch (status) {
        case 0:
            return ReplyStatus::success;
        case 1:
            return ReplyStatus::program_unavailable;
        case 2:
            return ReplyStatus::program_mismatch;
        case 3:
            return ReplyStatus::procedure_unavailable;
        case 4:
            return ReplyStatus::garbage_arguments;
        case 5:
            return ReplyStatus::system_error;
        default:
            return ReplyStatus::malformed;
    }
}

}  // namespace

std::string_view name_of(ReplyStatus status) noexcept {
    switch (status) {
        case ReplyStatus::success:
            return "success";
        case ReplyStatus::program_unavailable:
            return "program unavailable";
        case ReplyStatus::program_mismatch:
            return "program version not supported";
        case ReplyStatus::procedure_unavailable:
            return "procedure unavailable";
        case ReplyStatus::garbage_arguments:
            return "garbage arguments";
        case ReplyStatus::system_error:
            return "system error";
        case ReplyStatus::version_mismatch:
            return "RPC version not supported";
        case ReplyStatus::authentication:
            return "authentication refused";
        case ReplyStatus::malformed:
            return "malformed reply";
    }
    return "?";
}

void begin_call(std::vector<std::byte>& record, Procedure procedure, const AuthSys& who) {
    record.clear();
    XdrWriter out(record);
    put_header(out, procedure);
    out.u32(auth_sys);
    const std::size_t size_at = out.position();
    out.u32(0);
    out.u32(0);  // stamp: any number
    out.string(who.machine);
    out.u32(who.uid);
    out.u32(who.gid);
    const auto groups = who.groups.first(std::min(who.groups.size(), AuthSys::group_count_max));
    out.u32(static_cast<std::uint32_t>(groups.size()));
    for (const std::uint32_t group : groups) out.u32(group);
    out.patch_u32(size_at, static_cast<std::uint32_t>(out.position() - size_at - 4));
    put_no_verifier(out);
}

void begin_call(std::vector<std::byte>& record, Procedure procedure) {
    record.clear();
    XdrWriter out(record);
    put_header(out, procedure);
    put_no_verifier(out);  // credentials: none either
    put_no_verifier(out);
}

ReplyStatus take_reply_header(XdrReader& reply) noexcept {
    reply.u32();  // the xid, by which the call was found
    if (reply.u32() != static_cast<std::uint32_t>(Direction::reply)) {
        return ReplyStatus::malformed;
    }
    const std::uint32_t disposition = reply.u32();
    if (disposition == message_denied) {
        const std::uint32_t reason = reply.u32();
        if (!reply.ok() || reason > 1) return ReplyStatus::malformed;
        return reason == 0 ? ReplyStatus::version_mismatch : ReplyStatus::authentication;
    }
    if (disposition != message_accepted) return ReplyStatus::malformed;
    reply.u32();  // the verifier's flavor: AUTH_SYS has nothing to verify
    reply.opaque(auth_size_max);
    const ReplyStatus status = accepted(reply.u32());
    return reply.ok() ? status : ReplyStatus::malformed;
}

Result<IncomingCall> take_call_header(XdrReader& call) noexcept {
    IncomingCall header;
    header.xid = call.u32();
    const bool is_call = call.u32() == static_cast<std::uint32_t>(Direction::call);
    const bool is_version_2 = call.u32() == rpc_version;
    header.procedure.program = call.u32();
    header.procedure.version = call.u32();
    header.procedure.number = call.u32();
    for (int i = 0; i < 2; ++i) {  // credentials and verifier: whoever holds the connection
        call.u32();
        call.opaque(auth_size_max);
    }
    if (!call.ok() || !is_call || !is_version_2) return fail(Errno::bad_message);
    return header;
}

void begin_reply(std::vector<std::byte>& record, std::uint32_t xid, ReplyStatus status) {
    record.clear();
    XdrWriter out(record);
    out.u32(0);  // the mark
    out.u32(xid);
    out.u32(static_cast<std::uint32_t>(Direction::reply));
    out.u32(message_accepted);
    put_no_verifier(out);
    out.u32(static_cast<std::uint32_t>(status));
}

void finish_record(std::vector<std::byte>& record, std::size_t extra) noexcept {
    const std::size_t size = record.size() - record_mark_size + extra;
    XdrWriter(record).patch_u32(0, last_fragment | static_cast<std::uint32_t>(size));
}

}  // namespace dpfs::rpc
