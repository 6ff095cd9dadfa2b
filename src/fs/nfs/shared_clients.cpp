// SPDX-License-Identifier: Apache-2.0
#include "fs/nfs/shared_clients.hpp"

namespace dpfs::nfs {

std::expected<std::shared_ptr<nfs4::Client>, std::string> SharedClients::client_for(
    const NfsOptions& options,
    const std::vector<reactor::Reactor*>& reactors,
    const Logger& log) {
    const std::string& name = options.shared_client;
    if (!name.empty()) {
        if (auto known = clients_[name].lock()) return known;
    }
    auto made = nfs4::Client::make(
        options.client, reactors, name.empty() ? log : log.child("client=" + name));
    if (!made) return std::unexpected(std::move(made.error()));
    std::shared_ptr<nfs4::Client> client = std::move(*made);
    if (!name.empty()) clients_[name] = client;
    return client;
}

}  // namespace dpfs::nfs
