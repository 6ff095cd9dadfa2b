// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "reactor/operation.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

struct io_uring;
struct io_uring_sqe;

namespace dpfs::reactor {

/// Which of our operations this kernel's io_uring has.
class UringOpcodes {
  public:
    /// Asks the kernel (IORING_REGISTER_PROBE, Linux 5.6); without an answer: none.
    static UringOpcodes probe(io_uring& ring);

    [[nodiscard]] bool has(OpCode code) const noexcept {
        return supported_[std::to_underlying(code)];
    }
    /// Reads and writes of several iovecs in a registered buffer (Linux 6.15).
    [[nodiscard]] bool has_vectored_fixed() const noexcept { return vectored_fixed_; }

    /// Pretends that the kernel lacks `code`.
    void forget(OpCode code) noexcept { supported_[std::to_underlying(code)] = false; }

  private:
    static constexpr std::size_t count = std::to_underlying(OpCode::fsetxattr) + 1;
    std::array<bool, count> supported_ = {};
    bool vectored_fixed_ = false;
};

/// Fills `request` with the system call; `user_data` and `personality` stay the caller's.
void fill_request(io_uring_sqe& request, const Arguments& call) noexcept;

/// Turns a readv or writev that fill_request() has made into one that finds its memory in the
/// registered buffer `index`, where this kernel can do that.
void use_fixed_buffer(io_uring_sqe& request,
                      const UringOpcodes& opcodes,
                      std::uint16_t index) noexcept;

/// Whether the result of `code` can depend on who makes the call, when `call.as` is not set.
/// Descriptors that are open carry their opener with them; paths, new files, changes of files
/// (set-id bits, quotas) and what a peer may ask about us do not.
[[nodiscard]] bool depends_on_caller(OpCode code) noexcept;

}  // namespace dpfs::reactor
