// SPDX-License-Identifier: Apache-2.0
#include "net/nfs4/attributes.hpp"
#include "nfs_peer.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace dpfs::nfs {

using nfs4::Attribute;
using nfs4::AttributeSet;
using nfs4::Op;
using nfs4::Status;

namespace {

const std::string root = "root of the export";

std::string text_of(std::span<const std::byte> bytes) {
    std::string text;
    for (const std::byte each : bytes) text.push_back(static_cast<char>(each));
    return text;
}

std::span<const std::byte> bytes_of(const std::string& text) {
    return std::as_bytes(std::span(text));
}

}  // namespace

Status NfsPeer::exchange_id(Call& call) {
    call.in.fixed(nfs4::verifier_size);
    call.in.opaque(nfs4::opaque_max);
    call.in.u32();
    call.in.u32();
    call.in.u32();
    call.out.u64(boot_);
    call.out.u32(1);
    call.out.u32(session_ == boot_ ? nfs4::exchange::confirmed : 0);
    call.out.u32(0);
    call.out.u64(0);
    call.out.string("peer");
    call.out.string("scope");
    call.out.u32(0);
    return Status::ok;
}

Status NfsPeer::create_session(Call& call) {
    call.in.u64();
    call.in.u32();
    call.in.u32();
    session_ = boot_;
    std::string id(nfs4::session_id_size, 's');
    id[0] = static_cast<char>(session_);
    std::ranges::copy(bytes_of(id), session_id_.begin());
    callback_sequence_ = 0;
    call.out.fixed(session_id_);
    call.out.u32(1);
    call.out.u32(0);
    for (int channel = 0; channel < 2; ++channel) {
        for (int i = 0; i < 6; ++i) call.out.u32(call.in.u32());
        for (std::uint32_t left = call.in.u32(); left > 0; --left) call.in.u32();
        call.out.u32(0);
    }
    call.in.u32();
    for (std::uint32_t left = call.in.u32(); left > 0; --left) call.in.u32();
    return Status::ok;
}

Status NfsPeer::bind(Call& call) {
    const auto id = call.in.fixed(nfs4::session_id_size);
    const std::uint32_t direction = call.in.u32();
    call.in.u32();
    if (session_ == 0) return Status::badsession;
    call.out.fixed(id);
    call.out.u32(direction);
    call.out.u32(0);
    return Status::ok;
}

Status NfsPeer::sequence(Call& call) {
    const auto id = call.in.fixed(nfs4::session_id_size);
    const std::uint32_t sequence = call.in.u32();
    const std::uint32_t slot = call.in.u32();
    const std::uint32_t highest = call.in.u32();
    call.in.u32();
    if (session_ == 0 || std::uint32_t(id[0]) != session_) return Status::badsession;
    call.out.fixed(id);
    call.out.u32(sequence);
    call.out.u32(slot);
    call.out.u32(highest);
    call.out.u32(highest);
    call.out.u32(flags_ | (revoked_.empty() ? 0 : nfs4::sequence_status::admin_revoked));
    return Status::ok;
}

Status NfsPeer::skip_fixed(Call& call) {
    if (call.op == Op::destroy_session) call.in.fixed(nfs4::session_id_size);
    if (call.op == Op::destroy_clientid) call.in.u64();
    if (call.op == Op::reclaim_complete) call.in.u32();
    return Status::ok;
}

Status NfsPeer::put_file(Call& call) {
    current_ = text_of(call.in.opaque(nfs4::file_handle_size_max));
    if (current_ != root && !files_.contains(current_)) return Status::stale;
    return Status::ok;
}

Status NfsPeer::put_root(Call&) {
    current_ = root;
    return Status::ok;
}

Status NfsPeer::get_handle(Call& call) {
    call.out.opaque(bytes_of(current_));
    return Status::ok;
}

Status NfsPeer::save(Call&) {
    saved_ = current_;
    return Status::ok;
}

Status NfsPeer::restore(Call&) {
    current_ = saved_;
    return Status::ok;
}

Status NfsPeer::look_up(Call& call) {
    const auto found = dir_.find(std::string(call.in.string(255)));
    if (found == dir_.end()) return Status::noent;
    current_ = found->second;
    return Status::ok;
}

Status NfsPeer::get_attributes(Call& call) {
    const AttributeSet wanted = AttributeSet::take(call.in);
    const bool is_root = current_ == root;
    const File& file = is_root ? root_ : files_[current_];
    wanted.put(call.out);
    const std::size_t size_at = call.out.position();
    call.out.u32(0);
    const auto put32 = [&](Attribute attribute, std::uint32_t value) {
        if (wanted.has(attribute)) call.out.u32(value);
    };
    const auto put64 = [&](Attribute attribute, std::uint64_t value) {
        if (wanted.has(attribute)) call.out.u64(value);
    };
    if (wanted.has(Attribute::supported)) {
        AttributeSet{Attribute::clone_block_size, Attribute::xattr_support}.put(call.out);
    }
    put32(Attribute::type, static_cast<std::uint32_t>(file.type));
    put64(Attribute::change, file.change);
    put64(Attribute::size, file.data.size());
    put64(Attribute::fsid, 1);
    put64(Attribute::fsid, 1);
    put32(Attribute::lease_time, 90);
    put64(Attribute::fileid, std::hash<std::string>()(current_) | 1);
    put64(Attribute::read_max, 1 << 20);
    put64(Attribute::write_max, 1 << 20);
    put32(Attribute::mode, file.mode);
    put32(Attribute::link_count, 1);
    if (wanted.has(Attribute::owner)) call.out.string(std::to_string(file.uid));
    if (wanted.has(Attribute::owner_group)) call.out.string("1000");
    put64(Attribute::rawdev, 0);
    put64(Attribute::space_used, file.data.size());
    for (const Attribute time :
         {Attribute::time_access, Attribute::time_metadata, Attribute::time_modify}) {
        const bool is_verifier =
            file.has_verifier_for_times && time != Attribute::time_metadata;
        put64(time, is_verifier ? 0x1234 : 1);
        put32(time, 0);
    }
    put32(Attribute::clone_block_size, 0);
    put32(Attribute::xattr_support, 1);
    call.out.patch_u32(size_at, static_cast<std::uint32_t>(call.out.position() - size_at - 4));
    return Status::ok;
}

AttributeSet NfsPeer::set_from(rpc::XdrReader& in, File& file) {
    const AttributeSet set = AttributeSet::take(in);
    rpc::XdrReader values(in.opaque(1024));
    if (set.has(Attribute::size)) file.data.resize(values.u64());
    if (set.has(Attribute::mode)) file.mode = values.u32();
    if (set.has(Attribute::size)) file.stable = file.data;
    if (set.has(Attribute::time_access_set) && set.has(Attribute::time_modify_set)) {
        file.has_verifier_for_times = false;
    }
    ++file.change;
    return set;
}

Status NfsPeer::set_attributes(Call& call) {
    const Status known = take_state(call);
    if (known != Status::ok) return known;
    set_from(call.in, files_[current_]).put(call.out);
    return Status::ok;
}

Status NfsPeer::open(Call& call) {
    call.in.u32();
    bool wants = (call.in.u32() & nfs4::share::want_no_delegation) == 0;
    call.in.u32();
    call.in.u64();
    const std::string owner = text_of(call.in.opaque(nfs4::opaque_max));
    const bool creates = call.in.u32() != 0;
    File made = {};
    AttributeSet set;
    if (creates) {
        const bool is_exclusive = call.in.u32() == 3;
        if (is_exclusive) call.in.fixed(nfs4::verifier_size);
        set = set_from(call.in, made);
        made.has_verifier_for_times = is_exclusive;
        if (is_exclusive && !sets_exclusively_) {
            set = {};
            made.mode = 0;
        }
    }
    const std::uint32_t claim = call.in.u32();
    if (claim == 0) {
        const std::string name(call.in.string(255));
        if (!dir_.contains(name)) {
            if (!creates) return Status::noent;
            const std::string handle = fmt::format("file {}", ++file_number_);
            made.uid = call.uid;
            files_[handle] = made;
            dir_[name] = handle;
        }
        current_ = dir_[name];
    }
    if (claim == 1) wants = call.in.u32() == 1 && wants;  // as Linux does
    put_state(call, make_state("open " + owner + current_));
    call.out.u32(1);  // change_info4
    call.out.u64(1);
    call.out.u64(2);
    call.out.u32(keeps_removed_ ? 4 | 8 : 4);
    set.put(call.out);
    put_delegation(call, wants);
    return Status::ok;
}

void NfsPeer::put_delegation(Call& call, bool wanted) {
    if (!wanted || !delegates_ || delegations_.contains(current_)) {
        call.out.u32(0);
        return;
    }
    const std::string other = fmt::format("delegat{:05}", ++state_number_);
    if (recalls_at_once_) send_recall(current_, other);
    delegations_[current_] = other;
    call.out.u32(1);  // for reading
    call.out.u32(1);
    call.out.fixed(bytes_of(other));
    call.out.u32(wants_back_ ? 1 : 0);
    for (int i = 0; i < 3; ++i) call.out.u32(0);
    call.out.string("");  // nobody's right to read without asking
}

Status NfsPeer::return_delegation(Call& call) {
    call.in.u32();
    const std::string other = text_of(call.in.fixed(12));
    const auto held = delegations_.find(current_);
    if (held == delegations_.end() || held->second != other) return status_of(other);
    delegations_.erase(held);
    return Status::ok;
}

Status NfsPeer::close(Call& call) {
    call.in.u32();
    call.in.u32();
    const std::string other = text_of(call.in.fixed(12));
    if (live_.erase(other) == 0) return status_of(other);
    std::erase_if(states_, [&](const auto& each) { return each.second == other; });
    call.out.u32(0);
    call.out.fixed(bytes_of(other));
    return Status::ok;
}

Status NfsPeer::lock(Call& call) {
    call.in.u32();
    call.in.u32();
    call.in.u64();
    call.in.u64();
    const bool first = call.in.u32() != 0;
    if (first) call.in.u32();
    call.in.u32();
    const std::string other = text_of(call.in.fixed(12));
    call.in.u32();
    std::string state = other;
    if (first) {
        call.in.u64();
        const std::string owner = text_of(call.in.opaque(nfs4::opaque_max));
        if (!live_.contains(other)) return status_of(other);
        state = make_state("lock " + owner + current_);
    } else if (!live_.contains(other)) {
        return status_of(other);
    }
    put_state(call, state);
    return Status::ok;
}

Status NfsPeer::unlock(Call& call) {
    call.in.u32();
    call.in.u32();
    const Status known = take_state(call);
    call.in.u64();
    call.in.u64();
    if (known == Status::ok) put_state(call, last_state_);
    return known;
}

Status NfsPeer::end_state(Call& call) {
    const Status known = take_state(call);
    if (known != Status::ok) return known;
    live_.erase(last_state_);
    std::erase_if(states_, [&](const auto& each) { return each.second == last_state_; });
    return Status::ok;
}

Status NfsPeer::free_state(Call& call) {
    const Status known = end_state(call);
    return revoked_.erase(last_state_) > 0 ? Status::ok : known;
}

Status NfsPeer::test_states(Call& call) {
    const std::uint32_t count = call.in.count(16);
    call.out.u32(count);
    for (std::uint32_t i = 0; i < count; ++i) {
        call.out.u32(static_cast<std::uint32_t>(take_state(call)));
    }
    return Status::ok;
}

Status NfsPeer::status_of(const std::string& state) const {
    if (revoked_.contains(state)) return Status::admin_revoked;
    const bool is_delegation = std::ranges::any_of(
        delegations_, [&](const auto& each) { return each.second == state; });
    return live_.contains(state) || is_delegation ? Status::ok : Status::bad_stateid;
}

Status NfsPeer::read(Call& call) {
    const Status known = take_state(call);
    const std::uint64_t offset = call.in.u64();
    const std::uint32_t size = call.in.u32();
    if (known != Status::ok) return known;
    const std::string& data = files_[current_].data;
    const std::string part = data.substr(std::min<std::size_t>(offset, data.size()), size);
    call.out.boolean(offset + part.size() >= data.size());
    call.out.opaque(bytes_of(part));
    return Status::ok;
}

Status NfsPeer::write(Call& call) {
    const Status known = take_state(call);
    const std::uint64_t offset = call.in.u64();
    const nfs4::Stable asked{call.in.u32()};
    const auto stable = static_cast<std::uint32_t>(write_stable_.value_or(asked));
    const std::string data = text_of(call.in.opaque(1 << 20));
    if (known != Status::ok) return known;
    File& file = files_[current_];
    if (file.data.size() < offset + data.size()) file.data.resize(offset + data.size());
    file.data.replace(offset, data.size(), data);
    if (stable != 0) file.stable = file.data;
    ++file.change;
    call.out.u32(static_cast<std::uint32_t>(data.size()));
    call.out.u32(stable);
    put_verifier(call);
    return Status::ok;
}

Status NfsPeer::commit(Call& call) {
    call.in.u64();
    call.in.u32();
    files_[current_].stable = files_[current_].data;
    put_verifier(call);
    return Status::ok;
}

Status NfsPeer::remove(Call& call) {
    const bool was = dir_.erase(std::string(call.in.string(255))) != 0;
    if (!was) return Status::noent;
    call.out.u32(1);
    call.out.u64(1);
    call.out.u64(2);
    return Status::ok;
}

Status NfsPeer::rename(Call& call) {
    const std::string from(call.in.string(255));
    const std::string to(call.in.string(255));
    if (!dir_.contains(from)) return Status::noent;
    dir_[to] = dir_[from];
    dir_.erase(from);
    for (int i = 0; i < 2; ++i) {
        call.out.u32(1);
        call.out.u64(1);
        call.out.u64(2);
    }
    return Status::ok;
}

Status NfsPeer::link(Call& call) {
    dir_[std::string(call.in.string(255))] = saved_;
    call.out.u32(1);
    call.out.u64(1);
    call.out.u64(2);
    return Status::ok;
}

Status NfsPeer::read_directory(Call& call) {
    const std::uint64_t cookie = call.in.u64();
    call.in.fixed(nfs4::verifier_size);
    call.in.u32();
    call.in.u32();
    const AttributeSet wanted = AttributeSet::take(call.in);
    call.out.fixed(nfs4::Verifier{});
    std::uint64_t number = 2;
    const std::string dir = current_;
    for (const auto& [name, handle] : dir_) {
        if (++number <= cookie) continue;
        call.out.boolean(true);
        call.out.u64(number);
        call.out.string(name);
        AttributeSet{Attribute::fileid}.put(call.out);
        call.out.u32(8);
        call.out.u64(number);
    }
    static_cast<void>(wanted);
    current_ = dir;
    call.out.boolean(false);
    call.out.boolean(true);
    return Status::ok;
}

Status NfsPeer::range(Call& call) {
    const Status known = take_state(call);
    call.in.u64();
    call.in.u64();
    return known;
}

std::string NfsPeer::make_state(const std::string& key) {
    std::string& other = states_[key];
    if (other.empty()) {
        other = fmt::format("{:>4}{:>8}", boot_, ++state_number_);
        live_.insert(other);
    }
    return other;
}

void NfsPeer::put_state(Call& call, const std::string& other) {
    call.out.u32(1);
    call.out.fixed(bytes_of(other));
}

Status NfsPeer::take_state(Call& call) {
    call.in.u32();
    last_state_ = text_of(call.in.fixed(12));
    const bool is_special = last_state_ == std::string(12, '\0');
    // The current state of a compound is the last that was made.
    return is_special ? Status::ok : status_of(last_state_);
}

void NfsPeer::put_verifier(Call& call) const {
    call.out.u64(memory_);
}

}  // namespace dpfs::nfs
