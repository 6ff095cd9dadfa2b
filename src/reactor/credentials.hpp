// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"

#include <array>
#include <cstdint>
#include <span>

namespace dpfs::reactor {

/// Whom the kernel shall take a file operation to come from: file-system uid and gid, and the
/// supplementary groups. A plain value; equal values share one io_uring personality.
struct Credentials {
    static constexpr std::uint32_t group_count_max = 32;

    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::uint32_t group_count = 0;
    std::array<std::uint32_t, group_count_max> groups = {};

    [[nodiscard]] std::span<const std::uint32_t> group_list() const noexcept {
        return std::span(groups).first(group_count);
    }
    bool operator==(const Credentials& other) const noexcept;
};

/// Makes system calls of this thread act as `who` from now on (nullptr: as the daemon itself).
/// Lazy: costs nothing where the thread already acts so, because the switch is not undone at
/// the end of an operation but at the start of the next one by somebody else.
///
/// The thread keeps the capabilities that file access needs (CAP_DAC_OVERRIDE and its kind):
/// who may do what has been decided by the tenant's kernel (virtio-fs implies
/// default_permissions), while owner, set-id rules, quotas and reserved blocks follow the
/// caller.
///
/// Thread    any that has called prepare_thread_credentials().
/// Errors    EPERM when the daemon may not change identities (it runs without CAP_SETUID).
/// Source    setfsuid(2), setgroups(2) as raw, per-thread system calls; capabilities(7),
///           SECBIT_NO_SETUID_FIXUP.
Result<void> act_as(const Credentials* who) noexcept;

/// Once on each thread that calls act_as(). Drops from the effective set what would make a
/// tenant's request more than its caller's: CAP_FSETID (set-id bits would survive a write) and
/// CAP_SYS_RESOURCE (quotas and reserved blocks would not hold).
Result<void> prepare_thread_credentials() noexcept;

/// Whether this process may switch identities at all; where it may not, every request acts as
/// the daemon's own user, which the operator is told at start.
[[nodiscard]] bool can_switch_credentials() noexcept;

}  // namespace dpfs::reactor
