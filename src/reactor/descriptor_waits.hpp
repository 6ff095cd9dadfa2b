// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "reactor/operation.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace dpfs::reactor {

/// Who waits for which events of which descriptor, on one epoll set.
///
/// A registration is one-shot and renewed when somebody waits again. Therefore a descriptor
/// that was closed behind our back while a duplicate of it lives, which epoll goes on
/// reporting under its old number, is reported once and not for ever.
class DescriptorWaits {
  public:
    /// `epoll_fd` outlives this.
    explicit DescriptorWaits(int epoll_fd) noexcept : epoll_fd_(epoll_fd) {}

    /// Adds `operation`, which waits for poll(2) `events` of its descriptor.
    /// Errors: EPERM: one that cannot be waited for (a regular file); EBADF; ENOMEM, ENOSPC.
    Result<void> add(Operation& operation, std::uint32_t events);
    /// `operation` has been added.
    void remove(Operation& operation) noexcept;

    /// Those of `fd`, in the order in which they came, linked by `next`.
    [[nodiscard]] Operation* first(int fd) const noexcept;
    /// `fd` has been reported, and is not watched any more.
    void note_report(int fd) noexcept;
    /// Watches `fd` again for those who still wait for it.
    void renew(int fd) noexcept;

    [[nodiscard]] std::size_t count() const noexcept { return count_; }

  private:
    struct Descriptor {
        Operation* first = nullptr;
        Operation* last = nullptr;
        std::uint32_t watched = 0;  // events
    };
    [[nodiscard]] Result<void> watch(int fd, std::uint32_t events) noexcept;

    int epoll_fd_;
    std::vector<Descriptor> descriptors_;  // by number
    std::size_t count_ = 0;
};

/// What a waiting operation waits for: poll(2) events.
[[nodiscard]] std::uint32_t awaited_events(const Arguments& call) noexcept;

}  // namespace dpfs::reactor
