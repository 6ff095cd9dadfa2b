// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/log.hpp"
#include "fs/nfs/nfs_options.hpp"
#include "net/nfs4/client.hpp"
#include "reactor/reactor.hpp"

#include <expected>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace dpfs::nfs {

/// The clients that file systems of one process share, by their names.
///
/// Thread    one.
class SharedClients {
  public:
    /// The client that `options` ask for: made by the first who asks for its name, and given to
    /// all others for as long as somebody has it. Whoever shares one has the same client
    /// options (but for the instance: the first one's counts) and reactors. Blocks: the
    /// server's name is resolved. Errors: one line.
    std::expected<std::shared_ptr<nfs4::Client>, std::string> client_for(
        const NfsOptions& options,
        const std::vector<reactor::Reactor*>& reactors,
        const Logger& log);

  private:
    std::map<std::string, std::weak_ptr<nfs4::Client>, std::less<>> clients_;
};

}  // namespace dpfs::nfs
