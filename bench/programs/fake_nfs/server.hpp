// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/unique_fd.hpp"
#include "fake_nfs/compound.hpp"
#include "fake_nfs/tree.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

namespace dpfs::fake_nfs {

struct ServerOptions {
    std::uint16_t port = 0;  ///< on 127.0.0.1; 0: any that is free
    bool spins = false;      ///< never sleeps: whoever sends to it need not wake it
    Limits limits = {};
};

/// An NFSv4.1 server that answers at once, from memory: what is measured against it is its
/// client. One thread, one recv and one sendmsg for as many calls as have come.
///
/// Thread    run() is one thread's; port(), stop(), stall() and answered() are anybody's.
class Server {
  public:
    /// Listens. Exits the program if it cannot.
    explicit Server(ServerOptions options);
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    ~Server();

    /// Serves until stop().
    void run();
    void stop() noexcept;
    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

    /// The connection of this number (in the order in which they came, from 0 on) is neither
    /// read nor written from now on; -1: none is.
    void stall(int number) noexcept;

    /// Before run(): what there is beside what clients make.
    [[nodiscard]] Tree& tree() noexcept { return tree_; }

  private:
    struct Connection;

    void accept();
    /// True if anything was done.
    bool serve(Connection& connection);
    bool receive(Connection& connection);
    /// Answers the whole records that are there. False: the peer breaks the protocol.
    bool answer(Connection& connection);
    /// False: the connection has failed.
    bool send(Connection& connection);
    void remove_ended();

    const ServerOptions options_;
    UniqueFd listener_, events_, wake_;
    std::uint16_t port_ = 0;
    std::atomic<bool> stopping_ = false;
    std::atomic<int> stalled_ = -1;
    Tree tree_;
    Compound compound_;
    std::vector<std::unique_ptr<Connection>> connections_;
    int connection_count_ = 0;
};

}  // namespace dpfs::fake_nfs
