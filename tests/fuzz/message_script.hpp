// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "hostile_memory.hpp"
#include "hostile_messages.hpp"
#include "script_reader.hpp"

#include <cstdint>
#include <vector>

namespace dpfs::fuzz {

/// What a front end sends at once: a message as a rule, with descriptors.
struct Sending {
    hal::test::MessageBytes bytes;
    std::vector<UniqueFd> fds;
};

/// Makes messages out of a fuzzer's input: sensible ones first of all, because only those lead
/// anywhere, each with a small chance of being wrong in one respect.
class MessageScript {
  public:
    using MessageId = hal::vhost_user::wire::MessageId;

    MessageScript(ScriptReader& input, HostileMemory& memory)
        : input_(input), memory_(memory) {}

    /// A message of a known type.
    Sending told();
    /// A header with anything in it, and a payload of another size perhaps.
    Sending with_raw_header();
    /// Bytes as they stand in the input.
    Sending raw();
    /// All that a VMM says to start a queue; it forgets one of them now and then.
    std::vector<Sending> set_up();

  private:
    using Kind = HostileMemory::Kind;

    [[nodiscard]] hal::test::MessageBytes payload_for(MessageId id);
    [[nodiscard]] hal::test::MessageBytes vring_payload(MessageId id);
    [[nodiscard]] hal::test::MessageBytes memory_payload(MessageId id);
    [[nodiscard]] hal::test::MessageBytes config_payload();
    [[nodiscard]] hal::test::MessageBytes inflight_payload();
    [[nodiscard]] hal::test::MessageBytes log_payload();
    [[nodiscard]] std::vector<Kind> kinds_for(MessageId id);
    [[nodiscard]] std::vector<Kind> any_kinds();

    [[nodiscard]] std::uint64_t features();
    [[nodiscard]] std::uint64_t size();
    [[nodiscard]] std::uint64_t address();
    [[nodiscard]] std::uint32_t queue();
    [[nodiscard]] std::uint32_t ring_size();
    [[nodiscard]] hal::vhost_user::wire::MemoryRegion region();

    [[nodiscard]] Sending sending(hal::test::MessageBytes bytes,
                                  const std::vector<Kind>& kinds);
    [[nodiscard]] Sending plain(MessageId id,
                                const hal::test::MessageBytes& payload,
                                const std::vector<Kind>& kinds = {});

    ScriptReader& input_;
    HostileMemory& memory_;
    std::uint32_t queue_ = 1;  // the one that messages are about, as a rule
    std::uint32_t region_count_ = 0;
};

}  // namespace dpfs::fuzz
