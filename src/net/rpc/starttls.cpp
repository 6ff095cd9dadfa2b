// SPDX-License-Identifier: Apache-2.0
#include "net/rpc/starttls.hpp"

#include <algorithm>

namespace dpfs::rpc {
namespace {

constexpr std::uint32_t rpc_version = 2;
constexpr std::uint32_t auth_none = 0;
constexpr std::uint32_t auth_tls = 7;
constexpr std::string_view token = "STARTTLS";

/// Whether the verifier of an accepted reply is the token. The header is known to be sound.
bool has_token(XdrReader reply) noexcept {
    reply.u32();  // the xid
    reply.u32();  // a reply
    reply.u32();  // accepted
    const bool is_none = reply.u32() == auth_none;
    return is_none && std::ranges::equal(reply.opaque(tls_answer_size_max),
                                         std::as_bytes(std::span(token)));
}

}  // namespace

std::string_view name_of(TlsAnswer answer) noexcept {
    switch (answer) {
        case TlsAnswer::begins:
            return "TLS begins";
        case TlsAnswer::refused:
            return "TLS refused";
        case TlsAnswer::malformed:
            return "malformed answer";
    }
    return "?";
}

void begin_tls_probe(std::vector<std::byte>& record, Procedure procedure, std::uint32_t xid) {
    record.clear();
    XdrWriter out(record);
    out.u32(0);  // the mark
    out.u32(xid);
    out.u32(static_cast<std::uint32_t>(Direction::call));
    out.u32(rpc_version);
    out.u32(procedure.program);
    out.u32(procedure.version);
    out.u32(0);  // NULL, whatever the procedure is
    out.u32(auth_tls);
    out.u32(0);
    out.u32(auth_none);
    out.u32(0);
    finish_record(record, 0);
}

TlsAnswer read_tls_answer(std::span<const std::byte> reply, std::uint32_t xid) noexcept {
    if (XdrReader(reply).u32() != xid) return TlsAnswer::malformed;
    XdrReader in(reply);
    switch (take_reply_header(in)) {
        case ReplyStatus::malformed:
            return TlsAnswer::malformed;
        case ReplyStatus::success:
            return has_token(XdrReader(reply)) ? TlsAnswer::begins : TlsAnswer::refused;
        case ReplyStatus::program_unavailable:
        case ReplyStatus::program_mismatch:
        case ReplyStatus::procedure_unavailable:
        case ReplyStatus::garbage_arguments:
        case ReplyStatus::system_error:
        case ReplyStatus::version_mismatch:
        case ReplyStatus::authentication:
            break;
    }
    return TlsAnswer::refused;
}

}  // namespace dpfs::rpc
