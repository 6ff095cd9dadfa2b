// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/log.hpp"
#include "fs/mirror/mirror_options.hpp"
#include "fuse/file_system.hpp"

#include <expected>
#include <memory>
#include <string>

namespace dpfs::mirror {

/// Serves one local directory: the `uring` back end on io_uring reactors, the `aio` back end on
/// epoll reactors. Nothing outside the directory can be reached, whatever the tenant sends.
class MirrorFs final : public fuse::FileSystem {
  public:
    /// Opens the directory and finds out what its file system can do. Blocks: for start-up.
    /// Sets the process's umask to 0: a tenant's umask comes with its requests.
    /// Errors: one line that says what is wrong with which option.
    static std::expected<std::unique_ptr<MirrorFs>, std::string> make(MirrorOptions options,
                                                                      Logger log);
    ~MirrorFs() override;
};

}  // namespace dpfs::mirror
