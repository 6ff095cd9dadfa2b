// SPDX-License-Identifier: Apache-2.0
// nfs_server [--entries N]: the fake NFS server as a program. Prints its port; it exports
// /export, with a file of 256 MiB, "data", and a directory of N files, "listing".
#include "fake_nfs/server.hpp"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

void fill(dpfs::fake_nfs::Tree& tree, int entry_count) {
    using enum dpfs::nfs4::FileType;
    auto& exported = *tree.find(tree.root(), "export");
    tree.resize(*tree.make(exported, "data", regular), 256 << 20);
    auto& listing = *tree.make(exported, "listing", directory);
    for (int i = 0; i < entry_count; ++i)
        tree.make(listing, "entry-" + std::to_string(100'000 + i), regular);
}

}  // namespace

int main(int count, char** arguments) {
    std::signal(SIGPIPE, SIG_IGN);
    int entry_count = 0;
    if (count == 3 && std::string_view(arguments[1]) == "--entries") {
        entry_count = std::atoi(arguments[2]);
    } else if (count != 1) {
        std::fputs("nfs_server [--entries N]\n", stderr);
        return 2;
    }
    dpfs::fake_nfs::Server server({});
    fill(server.tree(), entry_count);
    std::printf("%u\n", server.port());
    std::fflush(stdout);
    server.run();
}
