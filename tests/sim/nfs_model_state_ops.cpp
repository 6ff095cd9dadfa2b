// SPDX-License-Identifier: Apache-2.0
#include "net/nfs4/request.hpp"
#include "nfs_model_compound.hpp"

#include <algorithm>
#include <limits>

namespace dpfs::sim {
namespace {

using nfs4::Status;

constexpr std::uint32_t access_mask = 3;
constexpr std::uint32_t lock_type_posix = 4;   // OPEN4_RESULT_LOCKTYPE_POSIX
constexpr std::uint32_t may_notify_lock = 32;  // OPEN4_RESULT_MAY_NOTIFY_LOCK

Bytes take_owner(rpc::XdrReader& in) {
    in.u64();  // the client id: that of the session counts (RFC 8881, 2.10.8.1)
    const auto bytes = in.opaque(nfs4::opaque_max);
    return {bytes.begin(), bytes.end()};
}

/// Errors: INVAL: an empty range, or one that goes beyond the end of numbers.
std::expected<ModelRange, Status> take_range(rpc::XdrReader& in, nfs4::LockType type) {
    constexpr std::uint64_t all = std::numeric_limits<std::uint64_t>::max();
    const std::uint64_t start = in.u64();
    const std::uint64_t length = in.u64();
    if (length == 0 || (length != all && length - 1 > all - start)) {
        return std::unexpected(Status::inval);
    }
    return ModelRange{
        .start = start,
        .end = length == all ? all : start + length - 1,
        .exclusive = type == nfs4::LockType::write || type == nfs4::LockType::write_wait};
}

}  // namespace

/// OPEN (RFC 8881, 18.16). Delegations are not given.
nfs4::Status ModelCompound::open() {
    in_.u32();  // the seqid of 4.0
    const std::uint32_t access = in_.u32() & access_mask;
    in_.u32();  // deny
    const Bytes owner = take_owner(in_);
    const bool creates = in_.u32() == 1;
    const ModelClient& client = *core_.state.client(client_);
    if (access == 0) return Status::inval;

    std::expected<ModelInode*, Status> inode = std::unexpected(Status::notsupp);
    if (creates) {
        inode = open_by_name(true);
    } else {
        const nfs4::Claim claim{in_.u32()};
        if (claim == nfs4::Claim::previous) {
            in_.u32();
            if (!in_grace() || client.reclaim_done) return Status::no_grace;
            if (!client.may_reclaim) return Status::reclaim_bad;
            inode = current();
        } else {
            if (in_grace() || !client.reclaim_done) return Status::grace;
            if (claim == nfs4::Claim::null) inode = open_by_name(false);
            if (claim == nfs4::Claim::file_handle) inode = current();
        }
    }
    if (!inode) return inode.error();
    if ((*inode)->type == nfs4::FileType::directory) return Status::isdir;
    if ((*inode)->type != nfs4::FileType::regular) return Status::wrong_type;
    file_ = (*inode)->id;

    ModelHeld* const known = core_.state.find_open(client_, owner, *file_);
    nfs4::StateId state;
    if (known != nullptr) {
        known->access |= access;
        ++known->sequence;
        state = core_.state.name_of(*known);
    } else {
        state = core_.state.hold(
            {.client = client_, .owner = owner, .file = *file_, .access = access});
    }
    has_changed_ = true;
    put_state_id(state);
    put_change(**inode);
    out_.u32(lock_type_posix | may_notify_lock);
    nfs4::AttributeSet().put(out_);
    out_.u32(0);  // no delegation
    return Status::ok;
}

/// CLAIM_NULL; with the arguments of a creation before it.
std::expected<ModelInode*, nfs4::Status> ModelCompound::open_by_name(bool creates) {
    nfs4::CreateMode mode = nfs4::CreateMode::unchecked;
    std::optional<nfs4::Verifier> verifier;
    ModelNewAttributes wanted;
    if (creates) {
        mode = nfs4::CreateMode{in_.u32()};
        if (mode == nfs4::CreateMode::exclusive4_1) verifier = nfs4::take_verifier(in_);
        wanted = take_new_attributes(in_);
        if (nfs4::Claim{in_.u32()} != nfs4::Claim::null) {
            return std::unexpected(Status::inval);
        }
    }
    const std::string name(in_.string(nfs4::opaque_max));
    if (!in_.ok()) return std::unexpected(Status::badxdr);
    const ModelClient& client = *core_.state.client(client_);
    if (in_grace() || !client.reclaim_done) return std::unexpected(Status::grace);
    const auto dir = directory(file_);
    if (!dir) return dir;
    const auto found = (*dir)->entries.find(name);
    if (found == (*dir)->entries.end()) {
        if (!creates) return std::unexpected(Status::noent);
        ModelInode& made = core_.files.make(**dir, name, nfs4::FileType::regular);
        made.mode = wanted.mode.value_or(0644);
        made.exclusive_verifier = verifier;
        note("make " + name);
        return &made;
    }
    ModelInode* const inode = core_.files.find(found->second.id);
    if (mode == nfs4::CreateMode::guarded) return std::unexpected(Status::exist);
    if (mode == nfs4::CreateMode::exclusive4_1 && inode->exclusive_verifier != verifier) {
        return std::unexpected(Status::exist);
    }
    if (mode == nfs4::CreateMode::unchecked && wanted.size &&
        inode->type == nfs4::FileType::regular) {
        core_.files.resize(*inode, *wanted.size);
    }
    return inode;
}

nfs4::Status ModelCompound::close() {
    in_.u32();
    const nfs4::StateId state = take_state_id();
    const auto held = core_.state.find(state);
    if (!held) return held.error();
    if ((*held)->kind != ModelHeld::Kind::open) return Status::bad_stateid;
    has_changed_ = true;
    core_.freed_files.insert((*held)->file);
    if (!core_.lies.keeps_opens) core_.state.release(**held);
    put_state_id({.sequence = ~std::uint32_t{0}});
    return Status::ok;
}

nfs4::Status ModelCompound::downgrade() {
    const nfs4::StateId state = take_state_id();
    in_.u32();
    const std::uint32_t access = in_.u32() & access_mask;
    in_.u32();  // deny
    const auto held = core_.state.find(state);
    if (!held) return held.error();
    if ((*held)->kind != ModelHeld::Kind::open) return Status::bad_stateid;
    if (access == 0 || (access & (*held)->access) != access) return Status::inval;
    (*held)->access = access;
    ++(*held)->sequence;
    has_changed_ = true;
    put_state_id(core_.state.name_of(**held));
    return Status::ok;
}

void ModelCompound::put_denied(const ModelState::Conflict& conflict) {
    keeps_result_ = true;
    const ModelRange& range = conflict.range;
    const bool is_open_ended = range.end == std::numeric_limits<std::uint64_t>::max();
    out_.u64(range.start);
    out_.u64(is_open_ended ? range.end : range.end - range.start + 1);
    out_.u32(static_cast<std::uint32_t>(range.exclusive ? nfs4::LockType::write
                                                        : nfs4::LockType::read));
    out_.u64(conflict.holder->client);
    out_.opaque(conflict.holder->owner);
}

/// LOCK (18.10).
nfs4::Status ModelCompound::lock() {
    const nfs4::LockType type{in_.u32()};
    const bool reclaims = in_.boolean();
    const auto range = take_range(in_, type);
    const bool is_first = in_.boolean();
    if (is_first) in_.u32();
    const nfs4::StateId state = take_state_id();
    in_.u32();
    Bytes owner;
    if (is_first) owner = take_owner(in_);
    const auto inode = current();
    if (!inode) return inode.error();
    if (!range) return range.error();
    const ModelClient& client = *core_.state.client(client_);
    if (reclaims) {
        if (!in_grace() || client.reclaim_done) return Status::no_grace;
        if (!client.may_reclaim) return Status::reclaim_bad;
    } else if (in_grace() || !client.reclaim_done) {
        return Status::grace;
    }
    const auto named = core_.state.find(state);
    if (!named) return named.error();
    if ((*named)->file != (*inode)->id || (*named)->client != client_) {
        return Status::bad_stateid;
    }
    const auto kind = is_first ? ModelHeld::Kind::open : ModelHeld::Kind::locks;
    if ((*named)->kind != kind) return Status::bad_stateid;
    if (!is_first) owner = (*named)->owner;
    const auto other = core_.state.conflict(client_, owner, (*inode)->id, *range);
    if (other && !core_.lies.ignores_locks) {
        if (reclaims) return Status::reclaim_conflict;
        put_denied(*other);
        return Status::denied;
    }
    ModelHeld* held = is_first ? core_.state.find_locks(client_, owner, (*inode)->id) : *named;
    if (held == nullptr) {
        const auto made = core_.state.hold({.kind = ModelHeld::Kind::locks,
                                            .client = client_,
                                            .owner = owner,
                                            .file = (*inode)->id,
                                            .open = state.other,
                                            .sequence = 0});
        held = &core_.state.held().at(made.other);
    }
    ModelState::lock(*held, *range);
    ++held->sequence;
    has_changed_ = true;
    put_state_id(core_.state.name_of(*held));
    return Status::ok;
}

nfs4::Status ModelCompound::test_lock() {
    const nfs4::LockType type{in_.u32()};
    const auto range = take_range(in_, type);
    const Bytes owner = take_owner(in_);
    const auto inode = current();
    if (!inode) return inode.error();
    if (!range) return range.error();
    if (in_grace()) return Status::grace;
    if (const auto other = core_.state.conflict(client_, owner, (*inode)->id, *range)) {
        put_denied(*other);
        return Status::denied;
    }
    return Status::ok;
}

nfs4::Status ModelCompound::unlock() {
    const nfs4::LockType type{in_.u32()};
    in_.u32();
    const nfs4::StateId state = take_state_id();
    const auto range = take_range(in_, type);
    if (!range) return range.error();
    const auto held = core_.state.find(state);
    if (!held) return held.error();
    if ((*held)->kind != ModelHeld::Kind::locks) return Status::bad_stateid;
    ModelState::unlock(**held, range->start, range->end);
    ++(*held)->sequence;
    core_.freed_files.insert((*held)->file);
    has_changed_ = true;
    put_state_id(core_.state.name_of(**held));
    return Status::ok;
}

nfs4::Status ModelCompound::free_state() {
    const nfs4::StateId state = take_state_id();
    const auto held = core_.state.find(state);
    if (!held) return held.error();
    if ((*held)->kind == ModelHeld::Kind::open || !(*held)->ranges.empty()) {
        return Status::locks_held;
    }
    core_.state.release(**held);
    has_changed_ = true;
    return Status::ok;
}

nfs4::Status ModelCompound::test_states() {
    const std::uint32_t count = in_.count(sizeof(nfs4::StateId));
    out_.u32(count);
    for (std::uint32_t i = 0; i < count; ++i) {
        const auto held = core_.state.find(take_state_id());
        out_.u32(static_cast<std::uint32_t>(held ? Status::ok : held.error()));
    }
    return Status::ok;
}

}  // namespace dpfs::sim
