// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/unique_fd.hpp"
#include "base/wire_struct.hpp"
#include "hal/vhost_user/wire.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace dpfs::hal::test {

/// Bytes of messages, right or wrong, put together from wire structs.
using MessageBytes = std::vector<std::byte>;

template <wire_struct T>
MessageBytes bytes_of(const T& value) {
    const auto bytes = std::as_bytes(std::span(&value, 1));
    return {bytes.begin(), bytes.end()};
}

MessageBytes operator+(MessageBytes a, const MessageBytes& b);

/// A header that counts `payload`, and the payload.
MessageBytes message(std::uint32_t request,
                     const MessageBytes& payload,
                     std::uint32_t flags = vhost_user::wire::flag_version);
inline MessageBytes message(vhost_user::wire::MessageId id, const MessageBytes& payload) {
    return message(std::to_underlying(id), payload);
}

/// Where the front end's address space has a region is as SharedMemory has it.
vhost_user::wire::MemoryRegion region(std::uint64_t guest,
                                      std::uint64_t size,
                                      std::uint64_t offset = 0);
vhost_user::wire::VringState state(std::uint32_t index, std::uint32_t number);
MessageBytes number(std::uint64_t value);
/// A header that says `count`, and regions.
MessageBytes table(std::uint32_t count, const MessageBytes& regions);
MessageBytes single(const vhost_user::wire::MemoryRegion& one);

/// What a descriptor that comes along is.
enum class Fd : std::uint8_t { event, memory, sealed_empty, pipe };

UniqueFd make_fd(Fd kind);

/// What is sent at once.
struct Step {
    MessageBytes bytes;
    std::vector<Fd> fds = {};
};

struct Malformed {
    const char* name;
    std::vector<Step> steps;  ///< the last one is the malformed one
};

/// Every way to break a rule that we know of, each after a handshake and SET_MEM_TABLE.
std::vector<Malformed> malformed_messages();

/// All that starts queue 1.
std::vector<Step> handshake();

}  // namespace dpfs::hal::test
