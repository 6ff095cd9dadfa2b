// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/gate.hpp"
#include "base/unique_fd.hpp"
#include "net/nfs4/wire.hpp"
#include "net/rpc/xdr.hpp"
#include "reactor/reactor.hpp"
#include "reactor/sim_world.hpp"
#include "script_reader.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace dpfs::fuzz {

/// An NFS server that makes a session as it should, and then answers, and calls back, whatever
/// a script says: results of the operations that were asked for with any content, replies that
/// are none, bytes that are no records, or an end of the connection.
///
/// Thread  its reactor's; every connect() of the world leads here.
class HostileNfsServer final : public reactor::SimNetwork {
  public:
    HostileNfsServer(reactor::SimWorld& world, reactor::Reactor& reactor, ScriptReader& script);
    ~HostileNfsServer();

    /// What the client asks next, after SEQUENCE and PUTFH.
    void expect(std::vector<nfs4::Op> operations) { expected_ = std::move(operations); }
    std::int32_t connect(int fd, const sockaddr& address) noexcept override;
    Task<void> stop();

  private:
    using Bytes = std::vector<std::byte>;
    struct Link {
        UniqueFd fd = {};
        reactor::CancelSource io = {};
        bool ended = false;
    };
    using LinkPointer = std::shared_ptr<Link>;

    Task<void> serve(LinkPointer link);
    Task<bool> receive(LinkPointer link, std::span<std::byte> to);
    Task<bool> receive_record(LinkPointer link, Bytes& record);
    static bool send(Link& link, std::span<const std::byte> bytes);

    /// False: the connection ends.
    bool answer(Link& link, std::span<const std::byte> call);
    /// What makes, or ends, a session. Empty: `first` does not.
    Bytes answer_greeting(std::uint32_t xid, nfs4::Op first, rpc::XdrReader& call);
    void spoil(Bytes& record);
    bool answer_by_script(Link& link, std::uint32_t xid, std::span<const std::byte> sequence);
    void put_results(rpc::XdrWriter& out, std::span<const std::byte> sequence);
    void put_sequence(rpc::XdrWriter& out, std::span<const std::byte> sequence);
    Bytes callback();
    Bytes some_bytes();

    reactor::SimWorld& world_;
    reactor::Reactor& reactor_;
    ScriptReader& script_;
    std::vector<nfs4::Op> expected_;
    std::vector<LinkPointer> links_;
    Gate work_;
    std::uint32_t callback_count_ = 0;
    // One of the answers that make a session is changed in one place.
    std::uint32_t greeting_count_ = 0;
    std::uint32_t spoiled_greeting_;
    std::uint16_t spoiled_at_;
    std::uint8_t spoiled_by_;
};

}  // namespace dpfs::fuzz
