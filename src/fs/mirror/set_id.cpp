// SPDX-License-Identifier: Apache-2.0
#include "fs/mirror/set_id.hpp"

#include "base/assert.hpp"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace dpfs::mirror {
namespace {

constexpr std::uint32_t fsetid_bit = 1u << CAP_FSETID;  // in the first word

/// Sets or clears CAP_FSETID in this thread's effective set. True if that changed it.
bool switch_fsetid(bool on) noexcept {
    __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct words[2] = {};
    if (::syscall(SYS_capget, &header, words) != 0) return false;
    const std::uint32_t before = words[0].effective;
    const std::uint32_t after = on ? before | fsetid_bit : before & ~fsetid_bit;
    if (before == after) return false;
    words[0].effective = after;
    return ::syscall(SYS_capset, &header, words) == 0;
}

}  // namespace

KeepSetIdBits::KeepSetIdBits(bool wanted) noexcept : raised_(wanted && switch_fsetid(true)) {}

KeepSetIdBits::~KeepSetIdBits() {
    // Errno is the guarded call's, which its caller has yet to read.
    const int error = errno;
    // To drop a capability needs none, so this has no reason to fail; the thread's next
    // requests would have it.
    if (raised_) DPFS_ASSERT(switch_fsetid(false));
    errno = error;
}

}  // namespace dpfs::mirror
