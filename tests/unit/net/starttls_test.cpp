// SPDX-License-Identifier: Apache-2.0
// What a server may answer to the question for TLS (RFC 9289, 4.1), good and bad.
#include "net/rpc/starttls.hpp"

#include "tls_peer.hpp"

#include <gtest/gtest.h>

namespace dpfs::rpc {
namespace {

constexpr std::uint32_t xid = 7;
constexpr Procedure procedure = {.program = 100'003, .version = 4, .number = 1};

/// As it comes from the wire: without its mark.
std::vector<std::byte> answer_with(std::string_view verifier, std::uint32_t flavor = 0) {
    std::vector<std::byte> answer;
    XdrWriter out(answer);
    out.u32(xid);
    out.u32(1);  // a reply
    out.u32(0);  // accepted
    out.u32(flavor);
    out.string(verifier);
    out.u32(0);  // success
    return answer;
}

std::vector<std::byte> denial() {
    std::vector<std::byte> answer;
    XdrWriter out(answer);
    out.u32(xid);
    out.u32(1);  // a reply
    out.u32(1);  // denied
    out.u32(1);  // AUTH_ERROR
    out.u32(2);  // AUTH_REJECTEDCRED
    return answer;
}

TEST(Starttls, asks_by_a_null_call_with_auth_tls) {
    std::vector<std::byte> record;
    begin_tls_probe(record, procedure, xid);
    XdrReader in(record);
    EXPECT_EQ(in.u32(), last_fragment | 40);
    EXPECT_EQ(in.u32(), xid);
    EXPECT_EQ(in.u32(), 0U);  // a call
    EXPECT_EQ(in.u32(), 2U);  // of RPC 2
    EXPECT_EQ(in.u32(), procedure.program);
    EXPECT_EQ(in.u32(), procedure.version);
    EXPECT_EQ(in.u32(), 0U);  // NULL
    EXPECT_EQ(in.u32(), 7U);  // AUTH_TLS
    EXPECT_EQ(in.u32(), 0U);
    EXPECT_EQ(in.u32(), 0U);  // AUTH_NONE
    EXPECT_EQ(in.u32(), 0U);
    EXPECT_EQ(in.left(), 0U);
}

TEST(Starttls, begins_when_the_verifier_says_so) {
    EXPECT_EQ(read_tls_answer(answer_with("STARTTLS"), xid), TlsAnswer::begins);
}

TEST(Starttls, is_refused_by_a_server_that_does_not_know_the_flavor) {
    EXPECT_EQ(read_tls_answer(denial(), xid), TlsAnswer::refused);
}

TEST(Starttls, is_refused_by_any_other_verifier) {
    EXPECT_EQ(read_tls_answer(answer_with(""), xid), TlsAnswer::refused);
    EXPECT_EQ(read_tls_answer(answer_with("STARTTL"), xid), TlsAnswer::refused);
    EXPECT_EQ(read_tls_answer(answer_with("STARTTLS!"), xid), TlsAnswer::refused);
    EXPECT_EQ(read_tls_answer(answer_with("starttls"), xid), TlsAnswer::refused);
    EXPECT_EQ(read_tls_answer(answer_with("STARTTLS", 1), xid), TlsAnswer::refused);
}

TEST(Starttls, is_not_what_answers_another_call) {
    EXPECT_EQ(read_tls_answer(answer_with("STARTTLS"), xid + 1), TlsAnswer::malformed);
}

TEST(Starttls, is_malformed_wherever_it_is_cut) {
    const auto answer = answer_with("STARTTLS");
    for (std::size_t size = 0; size < answer.size(); ++size) {
        EXPECT_EQ(read_tls_answer(std::span(answer).first(size), xid), TlsAnswer::malformed);
    }
}

}  // namespace
}  // namespace dpfs::rpc
