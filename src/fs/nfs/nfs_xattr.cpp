// SPDX-License-Identifier: Apache-2.0
#include "base/or_return.hpp"
#include "fs/nfs/nfs_fs.hpp"
#include "net/nfs4/xattr.hpp"

#include <algorithm>
#include <linux/limits.h>
#include <string>
#include <sys/xattr.h>

namespace dpfs::nfs {
namespace {

using nfs4::Op;

constexpr std::string_view user_prefix = "user.";
constexpr int listing_attempt_count_max = 3;
constexpr std::uint32_t listing_size_max = 1 << 15;  // bytes of one answer
// What a SETXATTR needs around its value: RPC and credentials, SEQUENCE, handle, name.
constexpr std::size_t request_overhead_max = 2048;

/// A tenant's name as the server knows it. Errors: EOPNOTSUPP: of a namespace that NFS has not.
Result<std::string_view> server_name(std::string_view name) noexcept {
    if (!name.starts_with(user_prefix)) return fail(Errno::not_supported);
    name.remove_prefix(user_prefix.size());
    // As of Linux' own file systems: "user." alone is no name.
    if (name.empty()) return fail(Errno::invalid);
    return name;
}

/// Adds names as the tenant knows them, each with its NUL. Errors: E2BIG: more than
/// listxattr(2) can give; EIO: the server gives what is no name.
Result<void> add_names(const nfs4::XattrNames& page, std::string& list) {
    for (const std::string_view name : page.names) {
        if (name.empty() || name.find('\0') != name.npos) return fail(Errno::io_error);
        // Longer than Linux can ask for: nobody could name it.
        if (user_prefix.size() + name.size() > XATTR_NAME_MAX) continue;
        list.append(user_prefix).append(name).push_back('\0');
    }
    if (list.size() > XATTR_LIST_MAX) return fail(Errno::too_big);
    return {};
}

/// user. attributes are those of regular files and directories (xattr(7)). A server need not be
/// asked for others', and must not: nfs-ganesha 15.2 opens a FIFO for that, and hangs.
bool may_have_attributes(const Inode& inode) noexcept {
    return inode.type() == nfs4::FileType::regular || inode.type() == nfs4::FileType::directory;
}

}  // namespace

/// ACCESS has bits for extended attributes that some servers set without having any: what the
/// file system says is what counts (RFC 8276, 8.2).
Task<Result<InodePin>> NfsFs::xattr_inode(fuse::Context& context,
                                          fuse::NodeId node,
                                          Errno if_special) {
    InodePin inode = co_await or_return(inodes_.pin(node));
    if (!may_have_attributes(*inode)) co_return fail(if_special);
    const auto facts = co_await or_return(co_await facts_of(context, *inode));
    if (!facts.has_xattr) co_return fail(Errno::not_supported);
    co_return inode;
}

Task<Result<void>> NfsFs::setxattr(fuse::Context& context,
                                   fuse::NodeId node,
                                   std::string_view name,
                                   std::span<const std::byte> value,
                                   std::uint32_t flags,
                                   bool acl_kill_sgid) {
    static_cast<void>(acl_kill_sgid);  // no lists of access control
    // ENOSYS: the tenant's kernel does not ask again, in all of these but listxattr().
    if (client_->options().minor_version < 2) co_return fail(Errno::not_implemented);
    const auto bare = co_await or_return(server_name(name));
    if (options_.read_only) co_return fail(Errno::read_only);
    const InodePin inode =
        co_await or_return(co_await xattr_inode(context, node, Errno::not_permitted));
    Lane& lane = this->lane(context);
    if (value.size() + request_overhead_max > lane.session().request_size_max) {
        co_return fail(Errno::too_big);
    }
    auto mode = nfs4::SetXattr::either;
    if ((flags & XATTR_CREATE) != 0) mode = nfs4::SetXattr::create;
    if ((flags & XATTR_REPLACE) != 0) mode = nfs4::SetXattr::replace;
    const auto request = lane.request(as(context.caller));
    request->put_file(inode->handle());
    request->must_be_cached();
    end_delegation(context, *inode);
    nfs4::put_setxattr(*request, mode, bare, value);
    const auto sent = co_await lane.run(*request, &context.cancel);
    // All else in it is as always: more than the server's own bound for a value, which nothing
    // tells (nfs-ganesha 15.2: 8191 bytes).
    if (request->status() == nfs4::Status::badxdr) co_return fail(Errno::too_big);
    co_await or_return(sent);
    co_await or_return(request->take(Op::putfh));
    co_return request->take(Op::setxattr);
}

Task<Result<std::size_t>> NfsFs::getxattr(fuse::Context& context,
                                          fuse::NodeId node,
                                          std::string_view name,
                                          std::span<std::byte> value) {
    if (client_->options().minor_version < 2) co_return fail(Errno::not_implemented);
    const auto bare = co_await or_return(server_name(name));
    const InodePin inode =
        co_await or_return(co_await xattr_inode(context, node, Errno::no_data));
    Lane& lane = this->lane(context);
    const auto request = lane.request(as(context.caller));
    request->put_file(inode->handle());
    nfs4::put_getxattr(*request, bare);
    co_await or_return(co_await lane.run(*request, &context.cancel));
    co_await or_return(request->take(Op::putfh));
    co_await or_return(request->take(Op::getxattr));
    const auto found = nfs4::take_getxattr(request->reader());
    co_await or_return(request->taken());
    if (value.empty()) co_return found.size();  // the size is what is asked
    if (found.size() > value.size()) co_return fail(Errno::range);
    std::ranges::copy(found, value.begin());
    co_return found.size();
}

Task<Result<std::size_t>> NfsFs::listxattr(fuse::Context& context,
                                           fuse::NodeId node,
                                           std::span<std::byte> names) {
    // None, as of a file system that has none: EOPNOTSUPP would make tar(1) warn of each file.
    if (client_->options().minor_version < 2) co_return std::size_t{0};
    const InodePin inode = co_await or_return(inodes_.pin(node));
    if (!may_have_attributes(*inode)) co_return std::size_t{0};
    const auto facts = co_await or_return(co_await facts_of(context, *inode));
    if (!facts.has_xattr) co_return std::size_t{0};
    const std::string list = co_await or_return(co_await fetch_xattr_names(context, *inode));
    if (names.empty()) co_return list.size();
    if (list.size() > names.size()) co_return fail(Errno::range);
    std::ranges::copy(std::as_bytes(std::span(list)), names.begin());
    co_return list.size();
}

Task<Result<std::string>> NfsFs::fetch_xattr_names(fuse::Context& context, Inode& inode) {
    Lane& lane = this->lane(context);
    std::string list;
    std::uint64_t cookie = 0;
    for (int attempt = 1;;) {
        const auto request = lane.request(as(context.caller));
        request->put_file(inode.handle());
        nfs4::put_listxattrs(*request, cookie, listing_size_max);
        co_await or_return(co_await lane.run(*request, &context.cancel));
        if (request->status() == nfs4::Status::bad_cookie && cookie != 0 &&
            attempt < listing_attempt_count_max) {
            // The list has changed: what has been read of it says nothing.
            list.clear();
            cookie = 0;
            ++attempt;
            continue;
        }
        co_await or_return(request->take(Op::putfh));
        co_await or_return(request->take(Op::listxattrs));
        const nfs4::XattrNames page = nfs4::take_listxattrs(request->reader());
        co_await or_return(request->taken());
        co_await or_return(add_names(page, list));
        if (page.at_end) co_return list;
        // Nothing, not the end, and the same place again: that would go on for ever.
        if (page.names.empty() || page.cookie == cookie) co_return fail(Errno::io_error);
        cookie = page.cookie;
    }
}

Task<Result<void>> NfsFs::removexattr(fuse::Context& context,
                                      fuse::NodeId node,
                                      std::string_view name) {
    if (client_->options().minor_version < 2) co_return fail(Errno::not_implemented);
    const auto bare = co_await or_return(server_name(name));
    if (options_.read_only) co_return fail(Errno::read_only);
    const InodePin inode =
        co_await or_return(co_await xattr_inode(context, node, Errno::not_permitted));
    Lane& lane = this->lane(context);
    const auto request = lane.request(as(context.caller));
    request->put_file(inode->handle());
    request->must_be_cached();
    end_delegation(context, *inode);
    nfs4::put_removexattr(*request, bare);
    co_await or_return(co_await lane.run(*request, &context.cancel));
    co_await or_return(request->take(Op::putfh));
    co_return request->take(Op::removexattr);
}

}  // namespace dpfs::nfs
