// SPDX-License-Identifier: Apache-2.0
#include "hal/vhost_user/listener.hpp"

#include "base/unix_address.hpp"
#include "hal/vhost_user/served_socket.hpp"

#include <sys/socket.h>
#include <sys/stat.h>

namespace dpfs::hal::vhost_user {
namespace {

/// Front ends that wait while another is served; one is plenty.
constexpr int backlog = 8;

/// Takes away a socket that nobody serves any more.
/// Errors: EADDRINUSE, EEXIST.
Result<void> remove_stale_socket(const UnixAddress& address, const Logger& log) {
    struct stat found = {};
    if (::lstat(address.path(), &found) != 0) {
        if (errno == ENOENT) return {};
        return fail_errno();
    }
    if (!S_ISSOCK(found.st_mode)) return fail(Errno::exists);

    if (is_served(address.path())) return fail(Errno::address_in_use);
    log.info("replaces the socket {} that nobody serves any more", address.path());
    if (::unlink(address.path()) != 0 && errno != ENOENT) return fail_errno();
    return {};
}

Result<void> apply_ownership(const std::string& path, const SocketOwnership& owner) {
    if (owner.uid || owner.gid) {
        const uid_t uid = owner.uid.value_or(static_cast<uid_t>(-1));
        const gid_t gid = owner.gid.value_or(static_cast<gid_t>(-1));
        if (::lchown(path.c_str(), uid, gid) != 0) return fail_errno();
    }
    if (owner.mode && ::chmod(path.c_str(), *owner.mode) != 0) return fail_errno();
    return {};
}

}  // namespace

Result<void> Listener::open(const std::string& path,
                            const SocketOwnership& owner,
                            const Logger& log) {
    const auto address = UnixAddress::of(path);
    if (!address) {
        log.error("socket path '{}' has {} bytes; the system allows 1 to {}",
                  path,
                  path.size(),
                  UnixAddress::path_size_max);
        return fail(address.error());
    }

    if (const auto removed = remove_stale_socket(*address, log); !removed) {
        if (removed.error() == Errno::address_in_use) {
            log.error("socket {} is already served by another process", path);
        } else if (removed.error() == Errno::exists) {
            log.error("{} exists and is not a socket", path);
        } else {
            log.error("socket {}: {}", path, errno_name(removed.error()));
        }
        return removed;
    }

    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket || ::bind(socket.get(), address->get(), UnixAddress::size) != 0) {
        const Errno error = static_cast<Errno>(errno);
        log.error("cannot create socket {}: {}", path, errno_name(error));
        return fail(error);
    }
    path_ = path;
    struct stat made = {};
    if (::lstat(path.c_str(), &made) == 0) {
        device_ = made.st_dev;
        inode_ = made.st_ino;
    }
    socket_ = std::move(socket);

    // The owner is set before anybody can connect.
    auto opened = apply_ownership(path, owner);
    if (opened && ::listen(socket_.get(), backlog) != 0) opened = fail_errno();
    if (!opened) {
        log.error("cannot serve socket {}: {}", path, errno_name(opened.error()));
        close();
    }
    return opened;
}

void Listener::close() noexcept {
    if (!socket_) return;
    struct stat found = {};
    if (::lstat(path_.c_str(), &found) == 0 && found.st_dev == device_ &&
        found.st_ino == inode_) {
        ::unlink(path_.c_str());
    }
    socket_.reset();
}

}  // namespace dpfs::hal::vhost_user
