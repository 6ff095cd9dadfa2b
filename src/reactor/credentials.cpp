// SPDX-License-Identifier: Apache-2.0
#include "reactor/credentials.hpp"

#include <algorithm>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

namespace dpfs::reactor {
namespace {

using Groups = std::span<const std::uint32_t>;

/// The kernel's two words of one capability set; version 3 of the interface.
struct Capabilities {
    __user_cap_data_struct words[2] = {};

    [[nodiscard]] bool has_effective(unsigned capability) const noexcept {
        return (words[capability / 32].effective >> (capability % 32) & 1u) != 0;
    }
    void drop_effective(unsigned capability) noexcept {
        words[capability / 32].effective &= ~(1u << (capability % 32));
    }
};

Result<Capabilities> read_capabilities() noexcept {
    __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    Capabilities found;
    if (::syscall(SYS_capget, &header, found.words) != 0) return fail_errno();
    return found;
}

Result<void> write_capabilities(const Capabilities& wanted) noexcept {
    __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    if (::syscall(SYS_capset, &header, wanted.words) != 0) return fail_errno();
    return {};
}

// The libc functions of these names change all threads of the process; these change one.

Result<void> set_thread_groups(Groups groups) noexcept {
    if (::syscall(SYS_setgroups, groups.size(), groups.data()) != 0) return fail_errno();
    return {};
}

/// setfsuid(2) and setfsgid(2) report no errors; asking for an id that is none reads it back.
bool set_thread_fs_id(long call, std::uint32_t id) noexcept {
    constexpr std::uint32_t no_id = ~0u;
    ::syscall(call, id);
    return static_cast<std::uint32_t>(::syscall(call, no_id)) == id;
}

/// What the process is when nobody has been impersonated yet.
struct Daemon {
    std::uint32_t uid = ::geteuid();
    std::uint32_t gid = ::getegid();
    std::vector<std::uint32_t> groups;
    bool can_switch = false;

    Daemon() {
        const int count = ::getgroups(0, nullptr);
        groups.resize(static_cast<std::size_t>(std::max(count, 0)));
        if (count > 0 && ::getgroups(count, groups.data()) != count) groups.clear();

        const Result<Capabilities> mine = read_capabilities();
        // A user namespace may forbid setgroups(2) to a process that has the capability.
        can_switch = mine && mine->has_effective(CAP_SETUID) &&
                     mine->has_effective(CAP_SETGID) && set_thread_groups(groups).has_value();
    }
};

const Daemon& the_daemon() {
    static const Daemon daemon;
    return daemon;
}

/// Whom this thread acts as. A new thread has its maker's identity, hence `unknown`.
struct ThreadIdentity {
    enum class Kind : unsigned char { unknown, daemon, caller };
    Kind kind = Kind::unknown;
    /// The kernel takes file capabilities away when fsuid leaves 0, unless told not to; where
    /// it cannot be told (no CAP_SETPCAP), they are put back after each switch.
    bool restores_capabilities = false;
    Capabilities capabilities;
    Credentials caller;
};

thread_local ThreadIdentity identity;

Result<void> become(std::uint32_t uid, std::uint32_t gid, Groups groups) noexcept {
    identity.kind = ThreadIdentity::Kind::unknown;  // until all of it has worked
    if (const auto set = set_thread_groups(groups); !set) return set;
    if (!set_thread_fs_id(SYS_setfsgid, gid)) return fail(Errno::not_permitted);
    if (!set_thread_fs_id(SYS_setfsuid, uid)) return fail(Errno::not_permitted);
    if (identity.restores_capabilities) return write_capabilities(identity.capabilities);
    return {};
}

}  // namespace

bool Credentials::operator==(const Credentials& other) const noexcept {
    return uid == other.uid && gid == other.gid &&
           std::ranges::equal(group_list(), other.group_list());
}

Result<void> act_as(const Credentials* who) noexcept {
    using Kind = ThreadIdentity::Kind;
    const Daemon& daemon = the_daemon();
    if (who == nullptr) {
        if (identity.kind == Kind::daemon || !daemon.can_switch) return {};
        const auto became = become(daemon.uid, daemon.gid, daemon.groups);
        if (became) identity.kind = Kind::daemon;
        return became;
    }
    if (identity.kind == Kind::caller && identity.caller == *who) return {};
    if (!daemon.can_switch || who->group_count > Credentials::group_count_max) {
        return fail(Errno::not_permitted);
    }

    const auto became = become(who->uid, who->gid, who->group_list());
    if (!became) return became;
    identity.kind = Kind::caller;
    identity.caller = *who;
    return {};
}

Result<void> prepare_thread_credentials() noexcept {
    if (!can_switch_credentials()) return {};
    const int bits = ::prctl(PR_GET_SECUREBITS);
    if (bits < 0) return fail_errno();
    const auto wanted = static_cast<unsigned long>(bits) | SECBIT_NO_SETUID_FIXUP;
    identity.restores_capabilities = ::prctl(PR_SET_SECUREBITS, wanted) != 0;

    Result<Capabilities> mine = read_capabilities();
    if (!mine) return fail(mine.error());
    mine->drop_effective(CAP_FSETID);
    mine->drop_effective(CAP_SYS_RESOURCE);
    identity.capabilities = *mine;
    if (const auto written = write_capabilities(*mine); !written) return written;

    identity.kind = ThreadIdentity::Kind::unknown;
    return act_as(nullptr);
}

bool can_switch_credentials() noexcept {
    return the_daemon().can_switch;
}

}  // namespace dpfs::reactor
