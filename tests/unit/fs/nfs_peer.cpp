// SPDX-License-Identifier: Apache-2.0
#include "nfs_peer.hpp"

#include "base/socket_address.hpp"
#include "net/rpc/message.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <netinet/in.h>
#include <sys/socket.h>

namespace dpfs::nfs {

using nfs4::Op;
using nfs4::Status;

namespace {

bool read_all(int fd, void* to, std::size_t size) {
    return ::recv(fd, to, size, MSG_WAITALL) == static_cast<ssize_t>(size);
}

std::vector<std::byte> read_record(int fd) {
    std::array<std::byte, 4> mark = {};
    if (!read_all(fd, mark.data(), mark.size())) return {};
    std::vector<std::byte> record(rpc::XdrReader(mark).u32() & ~rpc::last_fragment);
    if (!read_all(fd, record.data(), record.size())) return {};
    return record;
}

/// Where the arguments of a call begin, and who makes it.
std::uint32_t take_credentials(rpc::XdrReader& in) {
    for (int i = 0; i < 6; ++i) in.u32();  // xid to procedure
    const std::uint32_t flavor = in.u32();
    const auto body = in.opaque(400);
    std::uint32_t uid = 0;
    if (flavor == 1) {
        rpc::XdrReader auth(body);
        auth.u32();
        auth.string(255);
        uid = auth.u32();
    }
    in.u32();
    in.opaque(400);
    return uid;
}

}  // namespace

NfsPeer::NfsPeer() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in any = {};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof any;
    if (::bind(listener_.get(), as_sockaddr(any), size) == 0 &&
        ::listen(listener_.get(), 8) == 0 &&
        ::getsockname(listener_.get(), as_sockaddr(any), &size) == 0) {
        port_ = ntohs(any.sin_port);
    }
    thread_ = std::thread([this] { serve(); });
}

NfsPeer::~NfsPeer() {
    {
        const std::lock_guard lock(mutex_);
        stopping_.store(true);
        changed_.notify_all();
    }
    ::shutdown(listener_.get(), SHUT_RDWR);
    const int connection = connection_.load();
    if (connection >= 0) ::shutdown(connection, SHUT_RDWR);
    thread_.join();
}

std::string NfsPeer::address() const {
    return fmt::format("127.0.0.1:{}", port_);
}

void NfsPeer::answer(Op op, Status status, int count) {
    const std::lock_guard lock(mutex_);
    answers_[op] = {status, count};
}

void NfsPeer::cannot_read(Op op) {
    const std::lock_guard lock(mutex_);
    unreadable_.insert(op);
}

void NfsPeer::restart() {
    const std::lock_guard lock(mutex_);
    ++boot_;
    session_ = 0;
    states_.clear();
    live_.clear();
    revoked_.clear();
    delegations_.clear();
    lose_memory_locked();
}

void NfsPeer::lose_memory() {
    const std::lock_guard lock(mutex_);
    lose_memory_locked();
}

void NfsPeer::lose_memory_locked() {
    ++memory_;
    for (auto& [handle, file] : files_) file.data = file.stable;
}

void NfsPeer::forget_states() {
    const std::lock_guard lock(mutex_);
    states_.clear();
    live_.clear();
}

void NfsPeer::revoke_states() {
    const std::lock_guard lock(mutex_);
    revoked_.merge(live_);
    for (const auto& [handle, state] : delegations_) revoked_.insert(state);
    states_.clear();
    live_.clear();
    delegations_.clear();
}

bool NfsPeer::wait_until_freed() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(
        lock, std::chrono::seconds(10), [this] { return revoked_.empty(); });
}

void NfsPeer::answer_writes(nfs4::Stable stable) {
    const std::lock_guard lock(mutex_);
    write_stable_ = stable;
}

void NfsPeer::keep_removed_files() {
    const std::lock_guard lock(mutex_);
    keeps_removed_ = true;
}

void NfsPeer::say(std::uint32_t flags) {
    const std::lock_guard lock(mutex_);
    flags_ = flags;
}

void NfsPeer::give_delegations() {
    const std::lock_guard lock(mutex_);
    delegates_ = true;
}

void NfsPeer::recall_at_once() {
    const std::lock_guard lock(mutex_);
    recalls_at_once_ = true;
}

void NfsPeer::want_back() {
    const std::lock_guard lock(mutex_);
    wants_back_ = true;
}

std::size_t NfsPeer::delegation_count() {
    const std::lock_guard lock(mutex_);
    return delegations_.size();
}

void NfsPeer::recall(const std::string& name) {
    const std::lock_guard lock(mutex_);
    const std::string& handle = dir_[name];
    const auto held = delegations_.find(handle);
    send_recall(handle, held == delegations_.end() ? "nobody's one" : held->second);
}

void NfsPeer::recall_any(std::uint32_t kept) {
    const std::lock_guard lock(mutex_);
    std::vector<std::byte> arguments;
    rpc::XdrWriter out(arguments);
    out.u32(kept);
    out.u32(1);  // words of the mask
    out.u32(1);  // read delegations
    send_callback(nfs4::CallbackOp::recall_any, arguments);
}

void NfsPeer::send_recall(const std::string& handle, const std::string& other) {
    std::vector<std::byte> arguments;
    rpc::XdrWriter out(arguments);
    out.u32(0);
    out.fixed(std::as_bytes(std::span(other)).first(12));
    out.u32(0);
    out.string(handle);
    send_callback(nfs4::CallbackOp::recall, arguments);
}

void NfsPeer::send_callback(nfs4::CallbackOp op, std::span<const std::byte> arguments) {
    std::vector<std::byte> record;
    rpc::begin_call(record, {nfs4::callback_program, 1, nfs4::procedure_compound});
    rpc::XdrWriter out(record);
    out.u32(0);  // no tag
    out.u32(1);  // minor version
    out.u32(0);
    out.u32(2);
    out.u32(static_cast<std::uint32_t>(nfs4::CallbackOp::sequence));
    out.fixed(session_id_);
    out.u32(++callback_sequence_);
    for (int i = 0; i < 4; ++i) out.u32(0);  // slot, highest, not cached, no calls referred
    out.u32(static_cast<std::uint32_t>(op));
    out.fixed(arguments);
    rpc::finish_record(record, 0);
    const auto sent = ::send(connection_.load(), record.data(), record.size(), MSG_NOSIGNAL);
    EXPECT_EQ(sent, static_cast<ssize_t>(record.size()));
}

void NfsPeer::take_callback_answer(rpc::XdrReader in) {
    const std::lock_guard lock(mutex_);
    EXPECT_EQ(rpc::take_reply_header(in), rpc::ReplyStatus::success);
    record_.push_back(fmt::format("CB_RECALL {}", name_of(Status{in.u32()})));
    changed_.notify_all();
}

void NfsPeer::set_nothing_exclusively() {
    const std::lock_guard lock(mutex_);
    sets_exclusively_ = false;
}

void NfsPeer::stay_away(bool away) {
    const std::lock_guard lock(mutex_);
    away_ = away;
    changed_.notify_all();
}

void NfsPeer::lose_answer(Op op, Status next) {
    const std::lock_guard lock(mutex_);
    loses_ = {op, next};
}

bool NfsPeer::wait_for(const std::string& entry) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] {
        return std::find(record_.begin(), record_.end(), entry) != record_.end();
    });
}

std::vector<std::string> NfsPeer::take_record() {
    const std::lock_guard lock(mutex_);
    return std::exchange(record_, {});
}

std::size_t NfsPeer::state_count() {
    const std::lock_guard lock(mutex_);
    return live_.size();
}

std::string NfsPeer::data_of(const std::string& name) {
    const std::lock_guard lock(mutex_);
    return files_[dir_[name]].data;
}

std::uint32_t NfsPeer::mode_of(const std::string& name) {
    const std::lock_guard lock(mutex_);
    return files_[dir_[name]].mode;
}

std::vector<std::string> NfsPeer::names() {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> names;
    for (const auto& [name, handle] : dir_) names.push_back(name);
    return names;
}

void NfsPeer::add_file(const std::string& name, std::uint32_t mode) {
    const std::lock_guard lock(mutex_);
    const std::string handle = fmt::format("file {}", ++file_number_);
    dir_[name] = handle;
    files_[handle] = {.mode = mode};
}

void NfsPeer::add_fifo(const std::string& name) {
    add_file(name);
    const std::lock_guard lock(mutex_);
    files_[dir_[name]].type = nfs4::FileType::fifo;
}

void NfsPeer::serve() {
    while (!stopping_.load()) {
        const UniqueFd fd(::accept(listener_.get(), nullptr, nullptr));
        if (!fd) return;
        connection_.store(fd.get());
        while (!stopping_.load() && serve_one(fd.get())) {
        }
        connection_.store(-1);
    }
}

bool NfsPeer::serve_one(int fd) {
    const auto call = read_record(fd);
    if (call.empty()) return false;
    rpc::XdrReader in(call);
    rpc::XdrReader ahead(call);
    const std::uint32_t xid = ahead.u32();
    const bool is_reply = ahead.u32() == 1;
    if (is_reply) {
        take_callback_answer(in);
        return true;
    }
    const std::uint32_t uid = take_credentials(in);
    std::vector<std::byte> reply;
    rpc::begin_reply(reply, xid, rpc::ReplyStatus::success);
    {
        std::unique_lock lock(mutex_);
        std::vector<std::byte> results;
        const Status status = compound(in, uid, results);
        if (hangs_up_) return false;
        changed_.wait(lock, [this] { return !away_ || stopping_.load(); });
        if (unread_) {
            rpc::begin_reply(reply, xid, rpc::ReplyStatus::garbage_arguments);
        } else {
            rpc::XdrWriter out(reply);
            out.u32(static_cast<std::uint32_t>(status));
            out.string("");
            out.u32(result_count_);
            out.fixed(results);
        }
    }
    rpc::finish_record(reply, 0);
    return ::send(fd, reply.data(), reply.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(reply.size());
}

Status NfsPeer::compound(rpc::XdrReader& in,
                         std::uint32_t uid,
                         std::vector<std::byte>& results) {
    in.string(100);
    in.u32();  // minor version
    const std::uint32_t count = in.u32();
    result_count_ = 0;
    unread_ = hangs_up_ = false;
    for (std::uint32_t i = 0; i < count; ++i) {
        rpc::XdrWriter out(results);
        const Op op{in.u32()};
        ++result_count_;
        out.u32(static_cast<std::uint32_t>(op));
        const std::size_t status_at = results.size();
        out.u32(0);
        Call call = {.op = op, .in = in, .out = out, .uid = uid};
        unread_ = unread_ || unreadable_.contains(op);
        const Status status = perform(call);
        if (loses_ && loses_->first == op) hang_up();
        changed_.notify_all();
        out.patch_u32(status_at, static_cast<std::uint32_t>(status));
        if (status != Status::ok) return status;
    }
    return Status::ok;
}

Status NfsPeer::perform(Call& call) {
    struct Entry {
        Op op;
        std::string_view name;  // in the record; empty: not recorded
        Method method;
    };
    static constexpr std::array table = {
        Entry{Op::exchange_id, "", &NfsPeer::exchange_id},
        Entry{Op::create_session, "", &NfsPeer::create_session},
        Entry{Op::bind_conn_to_session, "", &NfsPeer::bind},
        Entry{Op::sequence, "", &NfsPeer::sequence},
        Entry{Op::destroy_session, "", &NfsPeer::skip_fixed},
        Entry{Op::destroy_clientid, "", &NfsPeer::skip_fixed},
        Entry{Op::reclaim_complete, "RECLAIM_COMPLETE", &NfsPeer::skip_fixed},
        Entry{Op::putfh, "", &NfsPeer::put_file},
        Entry{Op::putrootfh, "", &NfsPeer::put_root},
        Entry{Op::getfh, "", &NfsPeer::get_handle},
        Entry{Op::savefh, "", &NfsPeer::save},
        Entry{Op::restorefh, "", &NfsPeer::restore},
        Entry{Op::lookup, "LOOKUP", &NfsPeer::look_up},
        Entry{Op::getattr, "GETATTR", &NfsPeer::get_attributes},
        Entry{Op::setattr, "SETATTR", &NfsPeer::set_attributes},
        Entry{Op::open, "OPEN", &NfsPeer::open},
        Entry{Op::close, "CLOSE", &NfsPeer::close},
        Entry{Op::delegreturn, "DELEGRETURN", &NfsPeer::return_delegation},
        Entry{Op::lock, "LOCK", &NfsPeer::lock},
        Entry{Op::locku, "LOCKU", &NfsPeer::unlock},
        Entry{Op::free_stateid, "FREE_STATEID", &NfsPeer::free_state},
        Entry{Op::test_stateid, "TEST_STATEID", &NfsPeer::test_states},
        Entry{Op::read, "READ", &NfsPeer::read},
        Entry{Op::write, "WRITE", &NfsPeer::write},
        Entry{Op::commit, "COMMIT", &NfsPeer::commit},
        Entry{Op::remove, "REMOVE", &NfsPeer::remove},
        Entry{Op::link, "LINK", &NfsPeer::link},
        Entry{Op::rename, "RENAME", &NfsPeer::rename},
        Entry{Op::readdir, "READDIR", &NfsPeer::read_directory},
        Entry{Op::allocate, "ALLOCATE", &NfsPeer::range},
    };
    for (const Entry& each : table) {
        if (each.op != call.op) continue;
        if (!each.name.empty()) record_.emplace_back(each.name);
        if (const auto status = told(call.op)) return *status;
        return (this->*each.method)(call);
    }
    record_.push_back(fmt::format("operation {}", static_cast<std::uint32_t>(call.op)));
    return told(call.op).value_or(Status::notsupp);
}

void NfsPeer::hang_up() {
    const auto [op, next] = *std::exchange(loses_, std::nullopt);
    if (next != Status::ok) answers_[op] = {next, 1};
    record_.emplace_back("hung up");
    hangs_up_ = away_ = true;
}

std::optional<Status> NfsPeer::told(Op op) {
    const auto known = answers_.find(op);
    if (known == answers_.end() || known->second.second == 0) return std::nullopt;
    --known->second.second;
    return known->second.first;
}

}  // namespace dpfs::nfs
