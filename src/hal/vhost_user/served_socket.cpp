// SPDX-License-Identifier: Apache-2.0
#include "hal/vhost_user/served_socket.hpp"

#include "base/unique_fd.hpp"
#include "base/unix_address.hpp"

#include <cerrno>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace dpfs::hal::vhost_user {
namespace {

/// Whether the process that called listen(2) has ended: unix(7), SO_PEERCRED. A process of
/// another PID namespace has number 0 here, and counts as alive.
bool listener_is_dead(int connection) {
    ucred listener = {};
    socklen_t size = sizeof listener;
    if (::getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &listener, &size) != 0) return false;
    if (listener.pid == 0) return false;

    const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, listener.pid, 0)));
    if (!process) return errno == ESRCH;
    // Readable once it has ended, though nobody has waited for it: pidfd_open(2).
    pollfd ended = {.fd = process.get(), .events = POLLIN, .revents = 0};
    return ::poll(&ended, 1, 0) == 1;
}

}  // namespace

bool is_served(const std::string& path) {
    const auto address = UnixAddress::of(path);
    if (!address) return false;
    const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (::connect(probe.get(), address->get(), UnixAddress::size) != 0) {
        return errno != ECONNREFUSED;
    }
    return !listener_is_dead(probe.get());
}

}  // namespace dpfs::hal::vhost_user
