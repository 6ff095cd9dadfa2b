// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/log.hpp"
#include "daemon/backend.hpp"
#include "fs/mirror/mirror_options.hpp"
#include "fs/nfs/nfs_options.hpp"
#include "fs/null/null_fs.hpp"
#include "fuse/session_options.hpp"
#include "hal/vhost_user/device_options.hpp"
#include "reactor/blocking_pool.hpp"
#include "reactor/uring_reactor.hpp"

#include <map>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace dpfs::daemon {

/// CPUs by number; empty: wherever the scheduler puts a thread.
struct CpuList {
    std::vector<unsigned> cpus;
};

/// Permissions of a file.
struct FileMode {
    mode_t bits = 0;
};

/// Where a value was written, for messages: "dpfs.toml:12: tag", "--tag".
class Places {
  public:
    /// Of what was not written at all: the default's device or file.
    void set_fallback(std::string place) { fallback_ = std::move(place); }
    void set(std::string_view key, std::string place);
    [[nodiscard]] std::string of(std::string_view key) const;

  private:
    std::map<std::string, std::string, std::less<>> places_;
    std::string fallback_;
};

/// `[daemon]`: what holds for the process. Defaults that another layer's options struct has
/// are not repeated here: the fields are those structs.
struct DaemonConfig {
    LogLevel log_level = LogLevel::info;
    LogFormat log_format = LogFormat::text;
    unsigned thread_count = 1;  ///< reactors of each kind
    CpuList cpus;
    Duration drain_time_max = seconds(30);
    reactor::UringOptions uring;  ///< its `loop` holds for epoll reactors too
    reactor::BlockingPoolOptions blocking;
    Places places;
};

/// One `[[device]]`. Options that do not belong to its back end keep their defaults.
struct DeviceConfig {
    Backend backend = Backend::null;
    FileMode socket_mode{0600};
    hal::vhost_user::DeviceOptions transport = {.socket_path = {}, .tag = "dpfs"};
    fuse::SessionOptions session;
    mirror::MirrorOptions mirror;
    nfs::NfsOptions nfs;
    fs::NullOptions null;
    Places places;
};

struct Config {
    DaemonConfig daemon;
    std::vector<DeviceConfig> devices;
};

}  // namespace dpfs::daemon
