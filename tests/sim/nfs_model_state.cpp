// SPDX-License-Identifier: Apache-2.0
#include "nfs_model_state.hpp"

#include <algorithm>
#include <cstring>

namespace dpfs::sim {
namespace {

template <std::size_t size>
std::array<std::byte, size> name_from(std::uint32_t boot, std::uint64_t number) {
    std::array<std::byte, size> name = {};
    std::memcpy(name.data(), &boot, sizeof boot);
    std::memcpy(name.data() + sizeof boot, &number, sizeof number);
    return name;
}

}  // namespace

ModelClient& ModelState::exchange(const std::string& owner,
                                  const nfs4::Verifier& verifier,
                                  Instant now) {
    for (auto& [id, each] : clients_) {
        if (each.owner == owner && each.verifier == verifier) return each;
    }
    const std::uint64_t id = std::uint64_t{boot_} << 32 | next_number_++;
    ModelClient& made = clients_[id];
    made = {.id = id, .owner = owner, .verifier = verifier, .renewed = now};
    made.may_reclaim = grace_ && reclaimable_.contains(owner);
    return made;
}

ModelClient* ModelState::client(std::uint64_t id) noexcept {
    const auto found = clients_.find(id);
    return found == clients_.end() ? nullptr : &found->second;
}

void ModelState::confirm(ModelClient& client, Instant now) {
    client.renewed = now;
    if (client.confirmed) return;
    client.confirmed = true;
    std::vector<std::uint64_t> older;
    for (const auto& [id, each] : clients_) {
        if (each.owner == client.owner && id != client.id) older.push_back(id);
    }
    for (const std::uint64_t id : older) forget_client(id, now);
}

ModelSession& ModelState::make_session(ModelClient& client, std::uint32_t slot_count) {
    const std::uint64_t number = next_number_++;
    const auto id = name_from<nfs4::session_id_size>(boot_, number);
    ModelSession& session = sessions_[id];
    session.number = number;
    session.id = id;
    session.client = client.id;
    session.slots.resize(slot_count);
    session.target = slot_count - 1;
    return session;
}

ModelSession* ModelState::session(const nfs4::SessionId& id) noexcept {
    const auto found = sessions_.find(id);
    return found == sessions_.end() ? nullptr : &found->second;
}

void ModelState::lose_session(const nfs4::SessionId& id, Instant now) {
    if (const ModelSession* const lost = session(id)) {
        history_.session_lost(lost->number, now);
        sessions_.erase(id);
    }
}

void ModelState::forget_client(std::uint64_t id, Instant now) {
    std::vector<nfs4::SessionId> lost;
    for (const auto& [name, each] : sessions_) {
        if (each.client == id) lost.push_back(name);
    }
    for (const nfs4::SessionId& each : lost) lose_session(each, now);
    std::vector<std::uint64_t> files;
    std::erase_if(held_, [&](const auto& each) {
        if (each.second.client != id) return false;
        ++loss_count_;
        files.push_back(each.second.file);
        return true;
    });
    if (const ModelClient* const gone = client(id)) {
        // Another of the same name may have its own record by now.
        const bool has_heir = std::ranges::any_of(clients_, [&](const auto& each) {
            return each.first != id && each.second.owner == gone->owner &&
                   each.second.confirmed;
        });
        if (!has_heir) records_.erase(gone->owner);
    }
    clients_.erase(id);
    for (const std::uint64_t file : files) {
        if (!is_open(file)) files_.collect(file);
    }
}

void ModelState::expire(Instant now) {
    std::vector<std::uint64_t> late;
    for (const auto& [id, each] : clients_) {
        if (each.renewed + times_.lease < now) late.push_back(id);
    }
    for (const std::uint64_t id : late) forget_client(id, now);
}

nfs4::StateId ModelState::hold(ModelHeld held) {
    const Other other = name_from<12>(boot_, next_number_++);
    held_[other] = std::move(held);
    return {.sequence = 1, .other = other};
}

std::expected<ModelHeld*, nfs4::Status> ModelState::find(const nfs4::StateId& state) {
    std::uint32_t boot = 0;
    std::memcpy(&boot, state.other.data(), sizeof boot);
    const auto found = held_.find(state.other);
    if (found == held_.end()) {
        return std::unexpected(boot == boot_ ? nfs4::Status::bad_stateid
                                             : nfs4::Status::stale_stateid);
    }
    if (state.sequence != 0 && state.sequence < found->second.sequence) {
        return std::unexpected(nfs4::Status::old_stateid);
    }
    if (state.sequence > found->second.sequence) {
        return std::unexpected(nfs4::Status::bad_stateid);
    }
    return &found->second;
}

nfs4::StateId ModelState::name_of(const ModelHeld& held) const {
    for (const auto& [other, each] : held_) {
        if (&each == &held) return {.sequence = held.sequence, .other = other};
    }
    return {};
}

ModelHeld* ModelState::find_open(std::uint64_t client, const Bytes& owner, std::uint64_t file) {
    for (auto& [other, each] : held_) {
        if (each.kind == ModelHeld::Kind::open && each.client == client && each.file == file &&
            each.owner == owner) {
            return &each;
        }
    }
    return nullptr;
}

ModelHeld* ModelState::find_locks(std::uint64_t client,
                                  const Bytes& owner,
                                  std::uint64_t file) {
    for (auto& [other, each] : held_) {
        if (each.kind == ModelHeld::Kind::locks && each.client == client && each.file == file &&
            each.owner == owner) {
            return &each;
        }
    }
    return nullptr;
}

void ModelState::release(const ModelHeld& held) {
    const Other other = name_of(held).other;
    const std::uint64_t file = held.file;
    std::erase_if(held_, [&other](const auto& each) {
        return each.first == other ||
               (each.second.kind == ModelHeld::Kind::locks && each.second.open == other);
    });
    if (!is_open(file)) files_.collect(file);
}

std::optional<ModelState::Conflict> ModelState::conflict(std::uint64_t client,
                                                         const Bytes& owner,
                                                         std::uint64_t file,
                                                         const ModelRange& wanted) const {
    for (const auto& [other, each] : held_) {
        if (each.file != file || (each.client == client && each.owner == owner)) continue;
        for (const ModelRange& range : each.ranges) {
            const bool overlaps = range.start <= wanted.end && wanted.start <= range.end;
            if (overlaps && (range.exclusive || wanted.exclusive)) {
                return Conflict{range, &each};
            }
        }
    }
    return std::nullopt;
}

void ModelState::lock(ModelHeld& held, const ModelRange& range) {
    unlock(held, range.start, range.end);
    held.ranges.push_back(range);
}

void ModelState::unlock(ModelHeld& held, std::uint64_t start, std::uint64_t end) {
    std::vector<ModelRange> left;
    for (const ModelRange& each : held.ranges) {
        if (each.start < start) {
            left.push_back({each.start, std::min(each.end, start - 1), each.exclusive});
        }
        if (each.end > end) {
            left.push_back({std::max(each.start, end + 1), each.end, each.exclusive});
        }
    }
    held.ranges = std::move(left);
}

bool ModelState::is_open(std::uint64_t file) const {
    return std::ranges::any_of(held_,
                               [file](const auto& each) { return each.second.file == file; });
}

void ModelState::restart(Instant now) {
    for (const auto& [id, each] : sessions_) history_.session_lost(each.number, now);
    sessions_.clear();
    clients_.clear();
    held_.clear();
    ++boot_;
    // Who had not come back when grace was cut short by this crash still may.
    if (grace_) {
        reclaimable_.insert(records_.begin(), records_.end());
    } else {
        reclaimable_ = records_;
    }
    grace_ = !reclaimable_.empty();
    grace_end_ = now + times_.grace;
    records_ = reclaimable_;
}

bool ModelState::in_grace(Instant now) {
    if (grace_ && grace_end_ <= now) end_grace();
    return grace_;
}

void ModelState::finish_reclaim(ModelClient& client, Instant now) {
    client.reclaim_done = true;
    records_.insert(client.owner);
    if (!in_grace(now)) return;
    reclaimable_.erase(client.owner);
    if (reclaimable_.empty()) end_grace();
}

void ModelState::end_grace() {
    grace_ = false;
    // Who has not come back may find its locks with others now.
    for (const std::string& owner : reclaimable_) {
        const bool is_back = std::ranges::any_of(clients_, [&owner](const auto& each) {
            return each.second.owner == owner && each.second.reclaim_done;
        });
        if (is_back) continue;
        ++loss_count_;
        records_.erase(owner);
    }
    reclaimable_.clear();
    for (auto& [id, each] : clients_) each.may_reclaim = false;
}

}  // namespace dpfs::sim
