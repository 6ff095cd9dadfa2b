// SPDX-License-Identifier: Apache-2.0
#include "net/nfs4/request.hpp"
#include "nfs_model_compound.hpp"

#include <algorithm>

namespace dpfs::sim {
namespace {

struct Channel {
    std::uint32_t request_size, response_size, cached_size, operations, slots;
};

Channel take_channel(rpc::XdrReader& in) {
    in.u32();  // header padding
    Channel channel{};
    channel.request_size = in.u32();
    channel.response_size = in.u32();
    channel.cached_size = in.u32();
    channel.operations = in.u32();
    channel.slots = in.u32();
    const std::uint32_t ird_count = in.count(4);
    for (std::uint32_t i = 0; i < ird_count; ++i) in.u32();
    return channel;
}

void put_channel(rpc::XdrWriter& out, const Channel& channel) {
    for (const std::uint32_t each : {0U,
                                     channel.request_size,
                                     channel.response_size,
                                     channel.cached_size,
                                     channel.operations,
                                     channel.slots,
                                     0U}) {
        out.u32(each);
    }
}

nfs4::SessionId take_session_id(rpc::XdrReader& in) {
    nfs4::SessionId id = {};
    const auto bytes = in.fixed(id.size());
    if (in.ok()) std::ranges::copy(bytes, id.begin());
    return id;
}

}  // namespace

nfs4::Status ModelCompound::exchange_id() {
    core_.state.expire(now_);
    const nfs4::Verifier verifier = nfs4::take_verifier(in_);
    const std::string owner(in_.string(nfs4::opaque_max));
    in_.u32();  // flags
    if (in_.u32() != 0) return Status::encr_alg_unsupp;
    const std::uint32_t implementation_count = in_.u32();
    if (!in_.ok() || implementation_count != 0) return Status::badxdr;
    const ModelClient& client = core_.state.exchange(owner, verifier, now_);
    out_.u64(client.id);
    out_.u32(client.sequence);
    out_.u32(client.confirmed ? nfs4::exchange::confirmed : 0);
    out_.u32(0);  // SP4_NONE
    out_.u64(1);
    out_.string("model");
    out_.string("scope");
    out_.u32(0);  // no implementation id
    return Status::ok;
}

nfs4::Status ModelCompound::create_session() {
    core_.state.expire(now_);
    const std::uint64_t id = in_.u64();
    const std::uint32_t sequence = in_.u32();
    const std::uint32_t flags = in_.u32();
    Channel fore = take_channel(in_);
    const Channel back = take_channel(in_);
    ModelClient* const client = core_.state.client(id);
    if (client == nullptr) return Status::stale_clientid;
    if (sequence + 1 == client->sequence && !client->last_session.empty()) {
        out_.fixed(client->last_session);
        return Status::ok;
    }
    if (sequence != client->sequence) return Status::seq_misordered;
    core_.state.confirm(*client, now_);
    fore.slots = std::min(fore.slots, core_.behaviour.slot_count_max);
    ModelSession& session = core_.state.make_session(*client, fore.slots);
    session.connections.insert(connection_);
    const bool has_back = (flags & nfs4::session_flag::back_channel) != 0;
    if (has_back) session.back_connection = connection_;
    const std::size_t begin = out_.position();
    out_.fixed(session.id);
    out_.u32(sequence);
    out_.u32(has_back ? nfs4::session_flag::back_channel : 0);
    put_channel(out_, fore);
    put_channel(out_, back);
    ++client->sequence;
    client->last_session.assign(answer_.begin() + static_cast<std::ptrdiff_t>(begin),
                                answer_.end());
    return Status::ok;
}

nfs4::Status ModelCompound::bind_connection() {
    core_.state.expire(now_);
    const nfs4::SessionId id = take_session_id(in_);
    const std::uint32_t direction = in_.u32();
    in_.boolean();  // RDMA
    ModelSession* const session = core_.state.session(id);
    if (session == nullptr) return Status::badsession;
    session->connections.insert(connection_);
    constexpr std::uint32_t fore = 1;
    constexpr std::uint32_t both = 3;
    const bool has_back = direction != fore;
    if (has_back) session->back_connection = connection_;
    out_.fixed(id);
    out_.u32(has_back ? both : fore);
    out_.boolean(false);
    return Status::ok;
}

nfs4::Status ModelCompound::destroy_session() {
    const nfs4::SessionId id = take_session_id(in_);
    if (core_.state.session(id) == nullptr) return Status::badsession;
    core_.state.end_session(id);
    return Status::ok;
}

nfs4::Status ModelCompound::destroy_client() {
    const std::uint64_t id = in_.u64();
    if (core_.state.client(id) == nullptr) return Status::stale_clientid;
    const bool is_busy = std::ranges::any_of(
        core_.state.sessions(), [id](const auto& each) { return each.second.client == id; });
    if (is_busy) return Status::clientid_busy;
    core_.state.forget_client(id, now_);
    return Status::ok;
}

nfs4::Status ModelCompound::reclaim_complete() {
    in_.boolean();  // of one file system
    ModelClient* const client = core_.state.client(client_);
    if (client->reclaim_done) return Status::complete_already;
    core_.state.finish_reclaim(*client, now_);
    return Status::ok;
}

}  // namespace dpfs::sim
