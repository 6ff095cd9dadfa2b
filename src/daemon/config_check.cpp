// SPDX-License-Identifier: Apache-2.0
#include "daemon/config_check.hpp"

#include "base/result.hpp"
#include "hal/vhost_user/served_socket.hpp"
#include "net/rpc/tls_context.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

namespace dpfs::daemon {
namespace {

std::unexpected<std::string> wrong_at(const Places& places,
                                      std::string_view key,
                                      std::string_view message) {
    return wrong(fmt::format("{}: {}", places.of(key), message));
}

Parsed<void> check_socket(const DeviceConfig& device) {
    const std::string& path = device.transport.socket_path;
    struct stat status = {};
    if (::lstat(path.c_str(), &status) == 0) {
        if (!S_ISSOCK(status.st_mode)) {
            return wrong_at(
                device.places,
                "socket",
                fmt::format("'{}' exists and is no socket; name another path", path));
        }
        if (hal::vhost_user::is_served(path)) {
            return wrong_at(
                device.places,
                "socket",
                fmt::format("'{}' is served by another process; end it, or name another path",
                            path));
        }
        return {};
    }
    const std::filesystem::path parent = std::filesystem::path(path).parent_path();
    const std::string folder = parent.empty() ? "." : parent.string();
    if (::stat(folder.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) {
        return wrong_at(
            device.places,
            "socket",
            fmt::format("there is no directory '{}'; make it, or name another path", folder));
    }
    if (::access(folder.c_str(), W_OK | X_OK) != 0) {
        return wrong_at(device.places,
                        "socket",
                        fmt::format("nothing can be made in '{}' ({}); name another path",
                                    folder,
                                    errno_name(fail_errno().error())));
    }
    return {};
}

Parsed<void> check_directory(const DeviceConfig& device) {
    if (!contains(mirror_backends, device.backend)) return {};
    const std::string& path = device.mirror.directory;
    struct stat status = {};
    if (::stat(path.c_str(), &status) != 0) {
        const Errno error = fail_errno().error();
        return wrong_at(device.places,
                        "dir",
                        fmt::format("'{}' cannot be reached ({}); name a directory that exists",
                                    path,
                                    errno_name(error)));
    }
    if (!S_ISDIR(status.st_mode)) {
        return wrong_at(
            device.places, "dir", fmt::format("'{}' is no directory; name one", path));
    }
    return {};
}

/// The files that TLS takes are read: what is wrong with them is said before anything starts.
Parsed<void> check_tls(const DeviceConfig& device) {
    const rpc::TlsOptions& tls = device.nfs.client.tls;
    if (device.backend != Backend::nfs || tls.mode == rpc::TlsMode::off) return {};
    const auto made = rpc::TlsContext::make(tls);
    if (!made) return wrong_at(device.places, "nfs_tls", made.error());
    return {};
}

/// Who names certificates and does not turn TLS on believes to be safe, and is not.
Parsed<void> check_tls_is_on(const DeviceConfig& device) {
    const rpc::TlsOptions& tls = device.nfs.client.tls;
    const bool is_set = !tls.ca_file.empty() || !tls.certificate_file.empty() ||
                        !tls.key_file.empty() || !tls.server_name.empty() ||
                        tls.unchecked_server;
    if (tls.mode == rpc::TlsMode::on || !is_set) return {};
    return wrong_at(device.places,
                    "nfs_tls",
                    "there are other nfs_tls_ options, but TLS is off; write nfs_tls = \"on\", "
                    "or leave them out");
}

/// Two clients of one name would end each other's state at the server; one for two is one.
Parsed<void> check_nfs_clients(const DeviceConfig& device, const DeviceConfig& other) {
    if (device.backend != Backend::nfs || other.backend != Backend::nfs) return {};
    const nfs::NfsOptions& a = device.nfs;
    const nfs::NfsOptions& b = other.nfs;
    const bool share = !a.shared_client.empty() && a.shared_client == b.shared_client;
    if (share && a.client != b.client) {
        return wrong_at(
            device.places,
            "nfs_share",
            fmt::format("'{}' is shared with another device ({}), which has another server, or "
                        "other options of its client; make them the same, or share under "
                        "another name",
                        a.shared_client,
                        other.places.of("nfs_share")));
    }
    if (!share && !a.client.owner.empty() && a.client.owner == b.client.owner &&
        a.client.servers == b.client.servers) {
        return wrong_at(
            device.places,
            "nfs_owner",
            fmt::format("'{}' is that of another device ({}), and the server would take them "
                        "for one; name another, or share the client (nfs_share)",
                        a.client.owner,
                        other.places.of("nfs_owner")));
    }
    return {};
}

Parsed<void> check_cpus(const DaemonConfig& daemon) {
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return {};
    for (const unsigned cpu : daemon.cpus.cpus) {
        if (cpu >= CPU_SETSIZE || !CPU_ISSET(cpu, &allowed)) {
            return wrong_at(
                daemon.places,
                "cpus",
                fmt::format("this process may not run on CPU {}; leave it out", cpu));
        }
    }
    return {};
}

}  // namespace

Parsed<void> check_agreement(const Config& config) {
    std::map<std::string, const DeviceConfig*, std::less<>> by_socket;
    for (const DeviceConfig& device : config.devices) {
        if (auto checked = check_tls_is_on(device); !checked) return checked;
        for (const DeviceConfig& other : config.devices) {
            if (&other == &device) break;
            if (auto checked = check_nfs_clients(device, other); !checked) return checked;
        }
        const auto [other, added] = by_socket.emplace(device.transport.socket_path, &device);
        if (!added) {
            return wrong_at(
                device.places,
                "socket",
                fmt::format("'{}' is that of another device ({}); name another path",
                            device.transport.socket_path,
                            other->second->places.of("socket")));
        }
    }
    return {};
}

Parsed<void> check_surroundings(const Config& config) {
    if (auto checked = check_cpus(config.daemon); !checked) return checked;
    for (const DeviceConfig& device : config.devices) {
        if (auto checked = check_directory(device); !checked) return checked;
        if (auto checked = check_tls(device); !checked) return checked;
        if (auto checked = check_socket(device); !checked) return checked;
    }
    return {};
}

}  // namespace dpfs::daemon
