// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "hal/vhost_user/wire.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace dpfs::hal::vhost_user {

/// A message from a back end.
struct BackEndMessage {
    std::uint32_t request = 0;
    std::uint32_t flags = 0;
    std::vector<std::byte> payload;
    std::vector<UniqueFd> fds;

    /// The payload as a wire struct; what is missing is zero.
    template <wire_struct T>
    [[nodiscard]] T as() const noexcept {
        T value = {};
        std::memcpy(
            &value, payload.data(), payload.size() < sizeof(T) ? payload.size() : sizeof(T));
        return value;
    }
};

/// The front-end side of vhost-user, for any back end, ours or another's: what a VMM does, for
/// `dpfs bench` and for tests. Simple and synchronous: each call blocks its thread until the
/// back end has answered.
///
/// Errors    of all calls: as the socket gives them; ECONNRESET when the back end closed it;
///           EPROTO when the answer is not one to the question; EREMOTEIO when the back end
///           acknowledged with an error.
/// Thread    one at a time.
class FrontEnd {
  public:
    static Result<FrontEnd> connect(const std::string& path);
    /// Speaks on a socket that is connected.
    explicit FrontEnd(UniqueFd socket) noexcept : socket_(std::move(socket)) {}

    // --- single steps
    Result<void> send(std::uint32_t request,
                      std::uint32_t flags,
                      std::span<const std::byte> payload,
                      std::span<const int> fds = {});
    Result<void> send_bytes(std::span<const std::byte> bytes, std::span<const int> fds = {});
    Result<BackEndMessage> receive();
    /// Sends a request that has an answer, and waits for it.
    Result<BackEndMessage> ask(wire::MessageId id, std::span<const std::byte> payload = {});
    /// Sends a request that has none: waits for an acknowledgement where REPLY_ACK was
    /// negotiated.
    Result<void> tell(wire::MessageId id,
                      std::span<const std::byte> payload,
                      std::span<const int> fds = {});
    template <wire_struct T>
    Result<void> tell(wire::MessageId id, const T& payload, std::span<const int> fds = {}) {
        return tell(id, std::as_bytes(std::span(&payload, 1)), fds);
    }
    Result<std::uint64_t> ask_number(wire::MessageId id);

    // --- what a VMM says
    /// Takes as much of `wanted` and `wanted_protocol` as the back end offers, and owns the
    /// session.
    Result<void> negotiate(std::uint64_t wanted, std::uint64_t wanted_protocol);
    Result<std::uint64_t> queue_count() { return ask_number(wire::MessageId::get_queue_num); }
    Result<wire::FsConfig> config();
    Result<void> set_memory_table(std::span<const wire::MemoryRegion> regions,
                                  std::span<const int> fds);
    Result<void> add_memory_region(const wire::MemoryRegion& region, int fd);
    Result<void> remove_memory_region(const wire::MemoryRegion& region);
    Result<void> set_vring(wire::MessageId id, std::uint32_t index, std::uint32_t number);
    /// SET_VRING_KICK, _CALL or _ERR; `fd` -1: none, the peer polls.
    Result<void> set_vring_fd(wire::MessageId id, std::uint32_t index, int fd);
    /// Stops the ring and gives its position.
    Result<std::uint32_t> get_vring_base(std::uint32_t index);

    [[nodiscard]] std::uint64_t features() const noexcept { return features_; }
    [[nodiscard]] std::uint64_t protocol_features() const noexcept {
        return protocol_features_;
    }
    [[nodiscard]] int fd() const noexcept { return socket_.get(); }

  private:
    Result<void> receive_bytes(std::span<std::byte> to, std::vector<UniqueFd>& fds);

    UniqueFd socket_;
    std::uint64_t features_ = 0;
    std::uint64_t protocol_features_ = 0;
};

}  // namespace dpfs::hal::vhost_user
