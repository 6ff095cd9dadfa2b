// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fuse/wire.hpp"
#include "hal/vhost_user/front_end.hpp"
#include "hal/vhost_user/user_driver.hpp"
#include "virtio/wire.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace dpfs::hostile {

namespace wire = fuse::wire;
using hal::vhost_user::DriverQueue;
using hal::vhost_user::FrontEnd;
using hal::vhost_user::SharedMemory;

constexpr std::uint64_t split_features = virtio::feature_version_1 |
                                         virtio::feature_indirect_desc |
                                         hal::vhost_user::wire::feature_protocol_features;
constexpr std::uint64_t packed_features = split_features | virtio::feature_ring_packed;

struct Reply {
    std::int32_t error = 0;
    std::vector<std::byte> body;
};

/// A guest that we hold the strings of: its memory, its rings, and every byte of its requests.
/// It is as polite as the test makes it.
///
/// Thread    one at a time; memory may be written by others, which is the point.
class HostileGuest {
  public:
    static constexpr std::uint32_t hiprio = 0;
    static constexpr std::uint32_t request = 1;
    static constexpr std::uint32_t queue_size = 256;
    static constexpr std::uint32_t slot_count = 64;
    static constexpr std::uint32_t slot_size = 128 << 10;  ///< request, then reply
    static constexpr std::uint32_t reply_at = slot_size / 2;

    /// Connects, negotiates, shares memory and starts both queues. nullptr: refused.
    static std::unique_ptr<HostileGuest> connect(const std::string& socket,
                                                 std::uint64_t features);

    /// FUSE_INIT. False: no answer, or an error.
    [[nodiscard]] bool mount();

    /// Puts a request into a slot and makes it available; the device is not kicked.
    void post(std::uint32_t queue,
              std::uint32_t slot,
              wire::Opcode opcode,
              std::uint64_t nodeid,
              std::span<const std::byte> arguments,
              std::uint32_t reply_room);
    void kick(std::uint32_t queue) { queues_[queue]->kick(); }

    /// A request, and its reply. nullopt: the device does not answer any more.
    std::optional<Reply> call(wire::Opcode opcode,
                              std::uint64_t nodeid,
                              std::span<const std::byte> arguments,
                              std::uint32_t reply_room);
    /// Waits for so many replies, in any order. False: the device does not answer any more.
    [[nodiscard]] bool collect(std::uint32_t queue, std::size_t count);

    /// Waits until the device says on a ring's error eventfd that it has given it up.
    [[nodiscard]] bool wait_until_stopped(std::uint32_t queue) const;

    [[nodiscard]] FrontEnd& front_end() noexcept { return front_end_; }
    [[nodiscard]] SharedMemory& memory() noexcept { return memory_; }
    [[nodiscard]] DriverQueue& queue(std::uint32_t index) noexcept { return *queues_[index]; }
    /// The first byte of a slot, as a guest address and as ours.
    [[nodiscard]] static constexpr std::uint64_t slot_address(std::uint32_t slot) noexcept {
        return slots_start + std::uint64_t{slot} * slot_size;
    }
    [[nodiscard]] std::byte* slot(std::uint32_t index) const noexcept {
        return memory_.at(slot_address(index));
    }
    /// Writes into guest memory behind everybody's back.
    template <class T>
    void put(std::uint64_t guest_address, const T& value) const noexcept {
        std::memcpy(memory_.at(guest_address), &value, sizeof(value));
    }

    static constexpr std::uint64_t memory_start = 1 << 20;
    static constexpr std::uint64_t memory_size = 16 << 20;

  private:
    static constexpr std::uint64_t queue_area_size = 1 << 20;
    static constexpr std::uint64_t slots_start = memory_start + 4 * queue_area_size;
    static_assert(slots_start + std::uint64_t{slot_count} * slot_size <=
                  memory_start + memory_size);

    explicit HostileGuest(FrontEnd front_end) noexcept : front_end_(std::move(front_end)) {}
    Result<void> start(std::uint64_t features);

    FrontEnd front_end_;
    SharedMemory memory_;
    std::vector<std::unique_ptr<DriverQueue>> queues_;
    std::uint64_t unique_ = 0;
};

/// A struct of the protocol as the bytes of a request.
template <class... Parts>
std::vector<std::byte> bytes_of(const Parts&... parts) {
    std::vector<std::byte> all;
    const auto add = [&all](std::span<const std::byte> bytes) {
        all.insert(all.end(), bytes.begin(), bytes.end());
    };
    (add(std::as_bytes(std::span(&parts, 1))), ...);
    return all;
}
/// A name with its NUL.
std::vector<std::byte> name_bytes(std::string_view name);

}  // namespace dpfs::hostile
