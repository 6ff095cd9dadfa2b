// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/gate.hpp"
#include "base/unique_fd.hpp"
#include "nfs_model_compound.hpp"
#include "reactor/sim_world.hpp"

#include <deque>
#include <map>
#include <memory>

namespace dpfs::sim {

/// What goes wrong on the way to the model server and back: chances in a thousand, for each
/// request or answer unless something else is said.
struct ModelWire {
    std::uint32_t cut = 0;  ///< of a connection: it breaks after some bytes, either way
    std::uint32_t cut_size_max = 20'000;
    std::uint32_t late = 0;  ///< a step takes up to late_max instead of time_max
    Duration time_max = microseconds(100);
    Duration late_max = milliseconds(200);
    std::uint32_t slow = 0;        ///< there is time between the arrival and the execution
    std::uint32_t silent = 0;      ///< done, and never answered
    std::uint32_t duplicated = 0;  ///< the answer comes twice
    std::uint32_t pieces = 0;      ///< the answer comes in pieces
    /// Of an answer: a byte is another one (but not of a READ's data, which nobody could see);
    /// its end is missing; it claims to be huge.
    std::uint32_t corrupt = 0, truncated = 0, oversized = 0;
};

/// An NFSv4.1 server in the simulation: every connect() of the world leads here. It talks ONC
/// RPC over real sockets to a client that cannot tell it from another server.
///
/// Thread    the world's.
/// Lifetime  stop() has ended before it is destroyed.
class ModelServer final : public reactor::SimNetwork {
  public:
    ModelServer(reactor::SimWorld& world,
                reactor::Reactor& reactor,
                NfsHistory& history,
                ModelState::Times times,
                Logger log);
    ~ModelServer();

    std::int32_t connect(int fd, const sockaddr& address) noexcept override;
    /// Breaks all connections, and waits until nothing is left.
    Task<void> stop();

    // --- what happens to servers
    void cut_all();
    /// Nobody can connect, and nothing that is connected says anything, until it is `up` again.
    void set_reachable(bool reachable);
    /// The process dies; it cannot be reached until it is started again.
    void crash();
    void start_again();
    /// Sessions are forgotten, the rest is kept (RFC 8881, 2.10.12.1).
    void lose_sessions();
    /// Some client's state and lease are gone, as after an administrator's order.
    void forget_a_client();
    /// Asks its clients to use no more than so many slots (CB_RECALL_SLOT).
    void recall_slots(std::uint32_t highest);

    [[nodiscard]] ModelCore& core() noexcept { return core_; }
    [[nodiscard]] ModelWire& wire() noexcept { return wire_; }
    [[nodiscard]] std::uint64_t connection_count() const noexcept { return link_count_; }
    [[nodiscard]] std::uint64_t cut_count() const noexcept { return cut_count_; }

  private:
    struct Link;
    using LinkPointer = std::shared_ptr<Link>;

    Task<void> serve(LinkPointer link);
    Task<void> send_loop(LinkPointer link);
    Task<bool> receive(LinkPointer link, std::span<std::byte> to);
    Task<bool> receive_record(LinkPointer link, Bytes& record);
    Task<void> handle(LinkPointer link, Bytes record);
    Task<void> pause();
    void send(Link& link, Bytes record);
    void spoil(Bytes& record, std::size_t data_size);
    void close(Link& link);
    void take_callback_answer(std::span<const std::byte> record);
    [[nodiscard]] Instant now() const noexcept { return world_.now(); }

    reactor::SimWorld& world_;
    reactor::Reactor& reactor_;
    reactor::SimRandom& random_;
    ModelCore core_;
    ModelWire wire_;
    std::map<std::uint64_t, LinkPointer> links_;
    std::uint64_t link_count_ = 0;
    std::uint64_t cut_count_ = 0;
    std::uint64_t life_ = 1;  // counts crashes
    bool reachable_ = true;
    bool running_ = true;
    std::map<std::uint32_t, nfs4::SessionId> callbacks_;  // under way, by xid
    std::uint32_t callback_count_ = 0;
    reactor::CancelSource ending_;
    Gate work_;
};

}  // namespace dpfs::sim
