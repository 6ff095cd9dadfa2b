// SPDX-License-Identifier: Apache-2.0
#include "nfs_model_compound.hpp"

#include "net/nfs4/request.hpp"

#include <algorithm>
#include <array>

namespace dpfs::sim {
namespace {

using nfs4::Op;
using nfs4::Status;

constexpr std::size_t tag_size_max = 1024;
constexpr Op test_stateid{55};
constexpr Op open_downgrade{21};

/// What has nothing to do with files, and is never asked to wait by chance.
bool is_about_sessions(Op op) {
    return op == Op::exchange_id || op == Op::create_session ||
           op == Op::bind_conn_to_session || op == Op::destroy_session ||
           op == Op::destroy_clientid || op == Op::sequence;
}

}  // namespace

ModelCompound::ModelCompound(ModelCore& core,
                             std::uint64_t connection,
                             std::span<const std::byte> arguments,
                             Instant now)
    : core_(core), connection_(connection), in_(arguments), arguments_(arguments), now_(now) {}

void ModelCompound::begin_answer() {
    answer_.clear();
    out_.u32(0);
    out_.u32(0);  // no tag
    count_at_ = out_.position();
    out_.u32(0);
    done_count_ = 0;
}

void ModelCompound::end_answer(Status status) {
    out_.patch_u32(0, static_cast<std::uint32_t>(status));
    out_.patch_u32(count_at_, done_count_);
    report(status);
}

void ModelCompound::report(Status status) {
    core_.log.debug("connection {} slot {} sequence {}:{}: {}",
                    connection_,
                    slot_number_,
                    sequence_,
                    operations_,
                    nfs4::name_of(status));
}

bool ModelCompound::begin() {
    begin_answer();
    in_.string(tag_size_max);
    in_.u32();  // the minor version
    op_count_ = in_.u32();
    rpc::XdrReader ahead = in_;
    if (!in_.ok() || Op{ahead.u32()} != Op::sequence) return false;
    core_.state.expire(now_);
    in_.u32();
    out_.u32(static_cast<std::uint32_t>(Op::sequence));
    const std::size_t status_at = out_.position();
    out_.u32(0);
    const Status status = take_sequence();
    if (status == Status::ok && slot_) {
        ++done_count_;
        return false;
    }
    if (status == Status::ok) return true;  // replayed
    answer_.resize(status_at + 4);
    out_.patch_u32(status_at, static_cast<std::uint32_t>(status));
    ++done_count_;
    end_answer(status);
    return true;
}

void ModelCompound::finish(Instant now) {
    now_ = now;
    core_.state.expire(now_);
    Status status = Status::ok;
    if (slot_ && core_.state.session(slot_->first) == nullptr) {
        // Its session has gone while it waited: nothing is done.
        begin_answer();
        out_.u32(static_cast<std::uint32_t>(Op::sequence));
        out_.u32(static_cast<std::uint32_t>(Status::badsession));
        done_count_ = 1;
        return end_answer(Status::badsession);
    }
    while (done_count_ < op_count_ && status == Status::ok) {
        const Op op{in_.u32()};
        status = run_operation(op);
        ++done_count_;
    }
    end_answer(status);
    if (!slot_) return;
    ModelSession* const session = core_.state.session(slot_->first);
    if (session == nullptr) return;
    ModelSlot& slot = session->slots[slot_->second];
    slot.busy = false;
    slot.cached = is_cached_ || core_.behaviour.keeps_uncached || op_count_ == 1;
    slot.answer = answer_;
    slot.data_size = data_size_;
}

Status ModelCompound::run_operation(Op op) {
    out_.u32(static_cast<std::uint32_t>(op));
    const std::size_t status_at = out_.position();
    out_.u32(0);
    keeps_result_ = false;
    operations_ += fmt::format(" {}", static_cast<std::uint32_t>(op));
    Status status = must_wait(op) ? Status::delay : dispatch(op);
    if (status == Status::ok && !in_.ok()) status = Status::badxdr;
    if (status != Status::ok && !keeps_result_) answer_.resize(status_at + 4);
    out_.patch_u32(status_at, static_cast<std::uint32_t>(status));
    return status;
}

bool ModelCompound::must_wait(Op op) {
    if (is_about_sessions(op) || op == Op::reclaim_complete) return false;
    const auto& behaviour = core_.behaviour;
    return core_.random.chance(has_changed_ ? behaviour.late_delay : behaviour.delay);
}

struct ModelCompound::Handler {
    Op op;
    Status (ModelCompound::*run)();
};

Status ModelCompound::dispatch(Op op) {
    static constexpr std::array sessionless = {
        Handler{Op::exchange_id, &ModelCompound::exchange_id},
        Handler{Op::create_session, &ModelCompound::create_session},
        Handler{Op::bind_conn_to_session, &ModelCompound::bind_connection},
        Handler{Op::destroy_session, &ModelCompound::destroy_session},
        Handler{Op::destroy_clientid, &ModelCompound::destroy_client},
    };
    static constexpr std::array others = {
        Handler{Op::reclaim_complete, &ModelCompound::reclaim_complete},
        Handler{Op::putrootfh, &ModelCompound::put_root},
        Handler{Op::putfh, &ModelCompound::put_file},
        Handler{Op::savefh, &ModelCompound::save_file},
        Handler{Op::restorefh, &ModelCompound::restore_file},
        Handler{Op::getfh, &ModelCompound::get_handle},
        Handler{Op::getattr, &ModelCompound::get_attributes},
        Handler{Op::setattr, &ModelCompound::set_attributes},
        Handler{Op::lookup, &ModelCompound::look_up},
        Handler{Op::create, &ModelCompound::make},
        Handler{Op::remove, &ModelCompound::remove},
        Handler{Op::rename, &ModelCompound::rename},
        Handler{Op::link, &ModelCompound::link},
        Handler{Op::readlink, &ModelCompound::read_link},
        Handler{Op::readdir, &ModelCompound::read_directory},
        Handler{Op::read, &ModelCompound::read},
        Handler{Op::write, &ModelCompound::write},
        Handler{Op::commit, &ModelCompound::commit},
        Handler{Op::allocate, &ModelCompound::allocate},
        Handler{Op::deallocate, &ModelCompound::deallocate},
        Handler{Op::seek, &ModelCompound::seek},
        Handler{Op::open, &ModelCompound::open},
        Handler{Op::close, &ModelCompound::close},
        Handler{open_downgrade, &ModelCompound::downgrade},
        Handler{Op::lock, &ModelCompound::lock},
        Handler{Op::lockt, &ModelCompound::test_lock},
        Handler{Op::locku, &ModelCompound::unlock},
        Handler{Op::free_stateid, &ModelCompound::free_state},
        Handler{test_stateid, &ModelCompound::test_states},
    };
    if (op == Op::sequence) return Status::sequence_pos;
    const auto alone = std::ranges::find(sessionless, op, &Handler::op);
    if (alone != sessionless.end()) return (this->*alone->run)();
    if (!slot_) return Status::op_not_in_session;
    const auto found = std::ranges::find(others, op, &Handler::op);
    return found == others.end() ? Status::notsupp : (this->*found->run)();
}

/// SEQUENCE (RFC 8881, 18.46). slot_ is set if the request is a new one.
Status ModelCompound::take_sequence() {
    nfs4::SessionId id = {};
    const auto bytes = in_.fixed(id.size());
    const std::uint32_t sequence = sequence_ = in_.u32();
    const std::uint32_t index = slot_number_ = in_.u32();
    const std::uint32_t highest = in_.u32();
    is_cached_ = in_.boolean();
    if (!in_.ok()) return Status::badxdr;
    std::ranges::copy(bytes, id.begin());
    ModelSession* const session = core_.state.session(id);
    if (session == nullptr) return Status::badsession;
    if (!session->connections.contains(connection_)) {
        if (!core_.behaviour.binds_silently) return Status::conn_not_bound_to_session;
        session->connections.insert(connection_);
    }
    if (index >= session->slots.size()) return Status::badslot;
    if (core_.random.chance(core_.behaviour.sequence_delay)) return Status::delay;
    ModelSlot& slot = session->slots[index];
    if (const Status status = check_slot(slot, sequence); status != Status::ok) return status;
    ModelClient* const client = core_.state.client(session->client);
    client->renewed = now_;
    if (sequence == slot.sequence && !core_.lies.repeats) {
        replay(slot);
        return Status::ok;
    }
    judge_slots(*session, highest);
    slot = {.sequence = sequence, .busy = true};
    slot.request.assign(arguments_.end() - static_cast<std::ptrdiff_t>(in_.left()),
                        arguments_.end());
    if (core_.lies.mixes_requests && !slot.request.empty()) slot.request.back() ^= std::byte{1};
    slot_ = {id, index};
    session_number_ = session->number;
    client_ = session->client;
    if (core_.random.chance(core_.behaviour.new_target)) {
        session->target = static_cast<std::uint32_t>(core_.random.below(session->slots.size()));
        session->target_since = now_;
        session->target_told = 0;
    }
    ++session->target_told;
    out_.fixed(id);
    out_.u32(sequence);
    out_.u32(index);
    out_.u32(static_cast<std::uint32_t>(session->slots.size()) - 1);
    out_.u32(session->target);
    out_.u32(0);  // status flags
    return Status::ok;
}

void ModelCompound::judge_slots(const ModelSession& session, std::uint32_t highest) {
    if (slot_number_ > highest) ++core_.slot_breach_count;
    constexpr Duration patience = seconds(2);
    // Answers overtake each other: an older target may come last, until there are more answers.
    constexpr std::uint32_t told_often = 64;
    if (!core_.behaviour.judges_targets || session.target_told < told_often) return;
    if (now_ < session.target_since + patience) return;
    std::uint32_t allowed = std::max(session.target, core_.behaviour.lane_count - 1);
    if (core_.lies.denies_slots) allowed = 0;
    for (std::uint32_t i = allowed + 1; i < session.slots.size(); ++i) {
        if (session.slots[i].busy) return;
    }
    ++core_.judged_target_count;
    if (highest > allowed) ++core_.slot_breach_count;
}

Status ModelCompound::check_slot(ModelSlot& slot, std::uint32_t sequence) {
    if (sequence == slot.sequence + 1) {
        // The one before it must have been answered, so the client is not waiting for it.
        return slot.busy ? Status::delay : Status::ok;
    }
    if (sequence != slot.sequence || sequence == 0) return Status::seq_misordered;
    if (slot.busy) return Status::delay;
    const auto request = arguments_.last(in_.left());
    if (!std::ranges::equal(request, slot.request)) {
        // SEQUENCE alone is how a client finds out what has become of a request; it may also
        // overtake it.
        if (!request.empty() && !slot.request.empty()) ++core_.false_retry_count;
        operations_ += " false retry";
        if (core_.behaviour.tells_false_retries) return Status::seq_false_retry;
    }
    if (!slot.cached && core_.behaviour.refuses_replay_at_once) {
        return Status::retry_uncached_rep;
    }
    return Status::ok;
}

/// The slot's last answer again, or as much of it as was kept.
void ModelCompound::replay(const ModelSlot& slot) {
    ++core_.replay_count;
    answer_ = slot.answer;
    operations_ += " replay";
    if (slot.cached) {
        data_size_ = slot.data_size;
        return report(Status::ok);
    }
    constexpr std::size_t sequence_end = 4 + 4 + 4 + 8 + nfs4::session_id_size + 20;
    // What it ended with is of no matter: its second operation cannot be said again.
    const rpc::XdrReader second(std::span(slot.answer).subspan(sequence_end));
    rpc::XdrReader reader = second;
    const std::uint32_t op = reader.u32();
    answer_.resize(sequence_end);
    out_.u32(op);
    out_.u32(static_cast<std::uint32_t>(Status::retry_uncached_rep));
    done_count_ = 2;
    end_answer(Status::retry_uncached_rep);
}

nfs4::StateId ModelCompound::take_state_id() {
    const nfs4::StateId state = nfs4::take_state_id(in_);
    const bool is_current = state.sequence == 1 && state.other == nfs4::StateId{}.other;
    return is_current ? state_ : state;
}

void ModelCompound::put_state_id(const nfs4::StateId& state) {
    state_ = state;
    out_.u32(state.sequence);
    out_.fixed(state.other);
}

void ModelCompound::put_change(const ModelInode& inode) {
    out_.boolean(true);
    out_.u64(inode.change - 1);
    out_.u64(inode.change);
}

std::expected<ModelInode*, Status> ModelCompound::current() {
    if (!file_) return std::unexpected(Status::nofilehandle);
    ModelInode* const inode = core_.files.find(*file_);
    if (inode == nullptr) return std::unexpected(Status::stale);
    return inode;
}

std::expected<ModelInode*, Status> ModelCompound::directory(std::optional<std::uint64_t> id) {
    if (!id) return std::unexpected(Status::nofilehandle);
    ModelInode* const inode = core_.files.find(*id);
    if (inode == nullptr) return std::unexpected(Status::stale);
    if (inode->type != nfs4::FileType::directory) return std::unexpected(Status::notdir);
    return inode;
}

void ModelCompound::note(std::string key) {
    has_changed_ = true;
    core_.history.executed(std::move(key), Status::ok, session_number_, now_);
}

}  // namespace dpfs::sim
