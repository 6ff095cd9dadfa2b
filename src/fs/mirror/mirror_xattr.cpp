// SPDX-License-Identifier: Apache-2.0
#include "base/or_return.hpp"
#include "fs/mirror/acl_ids.hpp"
#include "fs/mirror/mirror_fs.hpp"
#include "fs/mirror/proc_fd.hpp"
#include "fs/mirror/set_id.hpp"

#include <cstring>
#include <fcntl.h>
#include <linux/limits.h>
#include <sys/xattr.h>

namespace dpfs::mirror {
namespace {

constexpr std::string_view acl_prefix = "system.posix_acl_";
constexpr std::string_view access_acl = "system.posix_acl_access";

}  // namespace

Result<std::string> MirrorFs::host_xattr(std::string_view name, Errno refused) const {
    if (!options_.xattr) return fail(Errno::not_supported);
    // Where the tenant's kernel does not evaluate ACLs, they would say one thing and its
    // permission checks another.
    const bool is_acl = name.starts_with(acl_prefix);
    if (is_acl && !posix_acl_.load(std::memory_order_relaxed)) {
        return fail(Errno::not_supported);
    }
    auto mapped = xattr_names_.to_host(name);
    if (!mapped || mapped->size() > XATTR_NAME_MAX) return fail(refused);
    return std::move(*mapped);
}

Task<Result<void>> MirrorFs::setxattr(fuse::Context& context,
                                      fuse::NodeId node,
                                      std::string_view name,
                                      std::span<const std::byte> value,
                                      std::uint32_t flags,
                                      bool acl_kill_sgid) {
    if (options_.read_only) co_return fail(Errno::read_only);
    const std::string mapped = co_await or_return(host_xattr(name, Errno::not_permitted));
    InodePin inode = co_await or_return(co_await reach(context, node));
    reactor::Credentials caller;
    const auto* const who = host_caller(context, caller);

    std::vector<std::byte> bytes;  // ACLs name users and groups
    if (name.starts_with(acl_prefix) && maps_ids()) {
        bytes.assign(value.begin(), value.end());
        co_await or_return(acl_ids_to_host(bytes, uid_map_, gid_map_));
        value = bytes;
    }
    const bool is_access_acl = name == access_acl;
    auto set = [&]() -> Result<void> {
        const FdName path(inode->descriptor());
        // An access ACL changes the mode, and with it S_ISGID unless the caller may keep it:
        // which the tenant's kernel has decided.
        const KeepSetIdBits keep(is_access_acl && !acl_kill_sgid);
        if (::setxattr(path.path(),
                       mapped.c_str(),
                       value.data(),
                       value.size(),
                       static_cast<int>(flags)) != 0) {
            return fail_errno();
        }
        return is_access_acl && acl_kill_sgid ? clear_set_group_id(*inode) : Result<void>();
    };
    co_return co_await change(context, inode->mount(), who, set);
}

Result<void> MirrorFs::clear_set_group_id(const Inode& inode) const {
    struct stat found = {};
    const int fd = inode.descriptor();
    if (::fstat(fd, &found) != 0) return fail_errno();
    if ((found.st_mode & S_ISGID) == 0) return {};
    const KeepSetIdBits keep_the_other(true);
    const mode_t mode = found.st_mode & 07777 & ~static_cast<mode_t>(S_ISGID);
    if (::fchmodat(proc_fd_.get(), FdName(fd).c_str(), mode, 0) != 0) return fail_errno();
    return {};
}

Task<Result<std::size_t>> MirrorFs::getxattr(fuse::Context& context,
                                             fuse::NodeId node,
                                             std::string_view name,
                                             std::span<std::byte> value) {
    const std::string mapped = co_await or_return(host_xattr(name, Errno::no_data));
    InodePin inode = co_await or_return(co_await reach(context, node));
    auto get = [&]() -> Result<std::size_t> {
        const FdName path(inode->descriptor());
        const ssize_t size =
            ::getxattr(path.path(), mapped.c_str(), value.data(), value.size());
        if (size < 0) return fail_errno();
        return static_cast<std::size_t>(size);
    };
    const std::size_t size =
        co_await or_return(co_await look(context, inode->mount(), CallKind::look, get));
    if (!value.empty() && name.starts_with(acl_prefix) && maps_ids()) {
        acl_ids_to_guest(value.first(size), uid_map_, gid_map_);
    }
    co_return size;
}

/// Access to a "trusted." name is the guest's kernel's to decide; but it hands a list on as it
/// comes, and xattr(7) shows these names to CAP_SYS_ADMIN only. A request tells the uid.
bool MirrorFs::is_listed(std::string_view name, const fuse::Context& context) const {
    if (name.starts_with("trusted.") && context.caller.uid != 0) return false;
    return posix_acl_.load(std::memory_order_relaxed) || !name.starts_with(acl_prefix);
}

Task<Result<std::size_t>> MirrorFs::listxattr(fuse::Context& context,
                                              fuse::NodeId node,
                                              std::span<std::byte> names) {
    if (!options_.xattr) co_return fail(Errno::not_supported);
    InodePin inode = co_await or_return(co_await reach(context, node));
    std::string host_names;
    auto ask = [&]() -> Result<void> {
        const FdName path(inode->descriptor());
        const ssize_t needed = ::listxattr(path.path(), nullptr, 0);
        if (needed < 0) return fail_errno();
        // Some may have come since; that they are missed is as good as asking a moment ago.
        host_names.resize(static_cast<std::size_t>(needed) + XATTR_NAME_MAX);
        const ssize_t size = ::listxattr(path.path(), host_names.data(), host_names.size());
        if (size < 0) return fail_errno();
        host_names.resize(static_cast<std::size_t>(size));
        return {};
    };
    co_await or_return(co_await look(context, inode->mount(), CallKind::look, ask));

    std::string visible;
    for (std::size_t at = 0; at < host_names.size();) {
        const std::string_view host_name(host_names.c_str() + at);
        at += host_name.size() + 1;
        const auto guest_name = xattr_names_.to_guest(host_name);
        if (!guest_name || !is_listed(*guest_name, context)) continue;
        visible.append(*guest_name).push_back('\0');
    }
    if (names.empty()) co_return visible.size();
    if (names.size() < visible.size()) co_return fail(Errno::range);
    std::memcpy(names.data(), visible.data(), visible.size());
    co_return visible.size();
}

Task<Result<void>> MirrorFs::removexattr(fuse::Context& context,
                                         fuse::NodeId node,
                                         std::string_view name) {
    if (options_.read_only) co_return fail(Errno::read_only);
    const std::string mapped = co_await or_return(host_xattr(name, Errno::not_permitted));
    InodePin inode = co_await or_return(co_await reach(context, node));
    reactor::Credentials caller;
    const auto* const who = host_caller(context, caller);
    auto remove_it = [&]() -> Result<void> {
        const FdName path(inode->descriptor());
        if (::removexattr(path.path(), mapped.c_str()) != 0) return fail_errno();
        return {};
    };
    co_return co_await change(context, inode->mount(), who, remove_it);
}

}  // namespace dpfs::mirror
