// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fuse_script.hpp"
#include "message.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace dpfs::fuzz {

/// A request as it was sent, and what came back.
struct Exchange {
    const fuse::test::Bytes& sent;
    const fuse::test::TestRequest& request;

    [[nodiscard]] fuse::wire::InHeader header() const;
    [[nodiscard]] fuse::wire::Opcode opcode() const {
        return fuse::wire::Opcode{header().opcode};
    }
    [[nodiscard]] bool succeeded() const;
    /// The arguments' first bytes as a struct; what is missing is zero.
    template <wire_struct T>
    [[nodiscard]] T arguments() const;
};

/// Demands of any reply that it is one: as long as it says, about its request, with an errno or
/// with what its opcode gives; and that nothing lies behind it.
void check_reply(const Exchange& exchange);

/// What the tenant holds after a reply that told it of something.
void take_note(const Exchange& exchange, Holding& holding);

/// Whether a FORGET or BATCH_FORGET is one that has to be believed; then the references are
/// gone.
void take_note_of_forget(const fuse::test::Bytes& sent, Holding& holding);

}  // namespace dpfs::fuzz
