// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/task.hpp"
#include "net/rpc/call.hpp"

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

namespace dpfs::rpc {

class Connection;

/// Cuts what a server sends into records, and gives each to whom it is for. Much is read at
/// once, because most replies are small: one system call for many of them. The data of a large
/// READ are then received straight into the tenant's memory: only their first part, which came
/// along with the header, is copied.
///
/// Lifetime  its connection's.
class Receiver {
  public:
    explicit Receiver(Connection& connection);

    /// A new connection: nothing is left over from the last.
    void reset() noexcept;
    /// Receives one record and delivers it. Errors: of the socket; ECONNRESET at its end;
    /// EBADMSG: what came is no record, or larger than is allowed.
    Task<Result<void>> receive_record();

  private:
    static constexpr std::size_t buffer_size = 256 << 10;

    struct Fragment {
        std::size_t size;
        bool last;
    };

    [[nodiscard]] std::span<const std::byte> buffered() const noexcept;
    Task<Result<std::size_t>> receive(std::span<iovec> to);
    /// `size` bytes that have been received, for the statistics.
    std::size_t counted(std::size_t size) noexcept;
    /// Reads on until `size` bytes are buffered (at most buffer_size).
    Task<Result<void>> fill(std::size_t size);
    Task<Result<void>> read_into(std::span<std::byte> to);
    Result<Fragment> take_mark() noexcept;

    Task<Result<void>> receive_pieces(Fragment fragment);
    Task<Result<void>> receive_large(Fragment fragment);
    Task<Result<void>> receive_reply(Call& call, std::size_t size);
    Task<Result<void>> receive_payload(Call& call, std::size_t size, PayloadPlace place);
    /// The rest of `call`'s data, from `done` on, and `after` bytes behind them.
    Task<Result<void>> receive_room(Call& call, std::size_t done, std::size_t size);

    /// A whole record in our own memory.
    Result<void> deliver(std::span<const std::byte> record);
    Result<void> deliver_to(Call& call, std::span<const std::byte> record);

    Connection& connection_;
    std::unique_ptr<std::byte[]> buffer_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    std::vector<std::byte> record_;  // of several fragments, or for nobody
    std::vector<iovec> room_;
};

/// Whether `place` is one that a reply of `size` bytes, and the caller's room, can have.
[[nodiscard]] bool fits(PayloadPlace place, std::size_t size, std::size_t room) noexcept;

}  // namespace dpfs::rpc
