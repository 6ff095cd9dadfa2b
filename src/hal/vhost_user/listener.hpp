// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/log.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"

#include <optional>
#include <string>
#include <sys/types.h>

namespace dpfs::hal::vhost_user {

/// Who may connect; what is not set stays as umask and the process's identity make it.
struct SocketOwnership {
    std::optional<mode_t> mode = {};
    std::optional<uid_t> uid = {};
    std::optional<gid_t> gid = {};
};

/// A listening UNIX socket with a name in the file system, which goes when this goes.
class Listener {
  public:
    Listener() = default;
    Listener(Listener&&) = delete;
    ~Listener() { close(); }

    /// Binds and listens. A socket that a dead process left at `path` is replaced.
    /// Errors: ENAMETOOLONG; EADDRINUSE (somebody accepts connections there); EEXIST
    /// (something that is no socket is there); others as the system gives them. Logged.
    Result<void> open(const std::string& path, const SocketOwnership& owner, const Logger& log);

    /// Ends it; the name is removed, unless somebody else's socket has taken its place.
    void close() noexcept;

    [[nodiscard]] int fd() const noexcept { return socket_.get(); }

  private:
    UniqueFd socket_;
    std::string path_;
    dev_t device_ = 0;  // of the name, to know it again
    ino_t inode_ = 0;
};

}  // namespace dpfs::hal::vhost_user
