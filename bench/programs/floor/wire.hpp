// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/unique_fd.hpp"
#include "net/nfs4/wire.hpp"
#include "net/rpc/xdr.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace dpfs::nfs_floor {

/// A COMPOUND with SEQUENCE in front, ready to be sent again and again: only numbers in it
/// change.
class Compound {
  public:
    /// `op_count` counts what is put behind SEQUENCE.
    Compound(const nfs4::SessionId& session, std::uint32_t slot, std::uint32_t op_count);

    [[nodiscard]] rpc::XdrWriter& writer() noexcept { return out_; }
    void put(nfs4::Op op) { out_.u32(static_cast<std::uint32_t>(op)); }
    void put_file(std::string_view handle) {
        put(nfs4::Op::putfh);
        out_.string(handle);
    }
    /// Fills in xid, sequence and mark; `extra` bytes of data follow.
    std::span<const std::byte> ready(std::uint32_t xid,
                                     std::uint32_t sequence,
                                     std::size_t extra = 0);
    [[nodiscard]] std::size_t size() const noexcept { return record_.size(); }
    void patch_u64(std::size_t position, std::uint64_t value) noexcept;

    Compound(Compound&&) = delete;

  private:
    std::vector<std::byte> record_;
    rpc::XdrWriter out_{record_};
    std::size_t sequence_at_ = 0;
};

/// A blocking connection with a session on it, for what comes before a measurement. Exits the
/// program when something fails: there is nothing to measure then.
class Session {
  public:
    Session(std::string_view host, std::uint16_t port);

    [[nodiscard]] int fd() const noexcept { return fd_.get(); }
    [[nodiscard]] const nfs4::SessionId& id() const noexcept { return id_; }
    [[nodiscard]] std::uint64_t client_id() const noexcept { return client_id_; }
    /// As the server grants them.
    [[nodiscard]] std::uint32_t slot_count() const noexcept { return slot_count_; }

    /// The handle of what `path` names.
    std::string find(std::string_view path);
    /// The state of `handle`, opened for reading and writing: 16 bytes.
    std::string open(std::string_view handle);
    void end();

    /// Sends `compound` in slot 0 and gives its results, from behind SEQUENCE's on.
    rpc::XdrReader call(Compound& compound);

  private:
    /// Sends a record and receives one; its results, from the first on.
    rpc::XdrReader exchange(std::span<const std::byte> record);

    UniqueFd fd_;
    nfs4::SessionId id_ = {};
    std::uint64_t client_id_ = 0;
    std::uint32_t slot_count_ = 0;
    std::uint32_t sequence_ = 0;
    std::vector<std::byte> reply_;
};

[[noreturn]] void give_up(std::string_view what);
/// The number of an operation and its status; gives up unless both are as they should be.
void expect(rpc::XdrReader& in, nfs4::Op op);
/// Up to the first result. The status of the whole.
std::uint32_t take_header(rpc::XdrReader& in);
void take_sequence(rpc::XdrReader& in);

}  // namespace dpfs::nfs_floor
