// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "net/rpc/message.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace dpfs::rpc {

/// What a server says when it is asked for TLS.
enum class TlsAnswer : std::uint8_t {
    begins,     ///< the handshake comes next
    refused,    ///< it does not know AUTH_TLS, or has no TLS
    malformed,  ///< no answer to the question: the peer breaks the protocol
};
[[nodiscard]] std::string_view name_of(TlsAnswer answer) noexcept;

/// No answer to begin_tls_probe() is longer, in bytes and without its mark.
inline constexpr std::size_t tls_answer_size_max = 1024;

/// The whole record that asks for TLS: a NULL call of `procedure`'s program with AUTH_TLS.
/// Source: RFC 9289, 4.1.
void begin_tls_probe(std::vector<std::byte>& record, Procedure procedure, std::uint32_t xid);

/// Reads what came in answer, from its xid on. `reply` is hostile.
[[nodiscard]] TlsAnswer read_tls_answer(std::span<const std::byte> reply,
                                        std::uint32_t xid) noexcept;

}  // namespace dpfs::rpc
