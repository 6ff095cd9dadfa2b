// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "reactor/operation.hpp"

#include <cstdint>

namespace dpfs::reactor {

enum class DescriptorKind : std::uint8_t {
    stream,         ///< a socket, a pipe, an eventfd…: has no position, and can be waited for
    buffered_file,  ///< blocks while its pages are read, and cannot be waited for
    direct_file,    ///< opened with O_DIRECT
};

/// One or two system calls; a bad descriptor is a stream, whose first use then fails.
[[nodiscard]] DescriptorKind kind_of_descriptor(int fd) noexcept;

/// Makes a readv, writev, accept, connect, recvmsg, sendmsg or poll on a stream without
/// blocking, although its descriptor may be in blocking mode. `events`: those that have been
/// reported since; 0 at the first try.
/// Gives ≥ 0, or minus errno; -EAGAIN or (connect) -EINPROGRESS: to be tried again after
/// events.
[[nodiscard]] std::int32_t try_without_blocking(const Arguments& call,
                                                std::uint32_t events) noexcept;

/// Makes a readv of a buffered file as far as it needs no I/O: -EAGAIN (or another error) where
/// not all that the file has is in memory.
[[nodiscard]] std::int32_t read_cached(const Arguments& call) noexcept;

/// What poll(2) reports, of `events`, for a file that never blocks.
[[nodiscard]] std::int32_t always_ready_events(std::uint32_t events) noexcept;

}  // namespace dpfs::reactor
