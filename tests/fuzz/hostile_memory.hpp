// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/unique_fd.hpp"
#include "base/wire_struct.hpp"
#include "hal/vhost_user/wire.hpp"
#include "script_reader.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace dpfs::fuzz {

/// Where a queue's ring has its parts: in a page of its own.
enum class RingPart : std::uint8_t { descriptors, driver, device };

constexpr std::uint32_t queue_count = 3;  // the high-priority one, and two for requests
constexpr std::uint64_t page_size = 4096;
constexpr std::uint64_t guest_start = 0x10000;
constexpr std::uint64_t memory_size = 8 * page_size;
constexpr std::uint64_t other_start = guest_start + memory_size;  // a region of its own
constexpr std::uint64_t other_size = 4 * page_size;
constexpr std::uint64_t buffers_start = guest_start + queue_count * page_size;

constexpr std::uint64_t ring_address(std::uint32_t queue, RingPart part) noexcept {
    constexpr std::array<std::uint64_t, 3> at = {0, 0x800, 0xc00};
    return guest_start + queue * page_size + at[static_cast<std::size_t>(part)];
}

/// The files that a front end shares, and everything else that it has a descriptor of. Its
/// guest's memory is written through the files, never through a mapping: it may be shrunk.
class HostileMemory {
  public:
    HostileMemory();

    /// What there is to send; some are made for the occasion.
    enum class Kind : std::uint8_t {
        memory,
        other,
        event,
        kick,
        call,
        inflight,
        small,
        empty,
        sealed,
        huge,
        pipe,
        null,
        closed_socket,
    };
    static constexpr std::uint32_t kind_count = 13;

    /// A descriptor for sending, to be closed afterwards. `queue` decides which kick or call.
    UniqueFd make(Kind kind, std::uint32_t queue);

    void kick(std::uint32_t queue) const;
    void resize_file(bool other, std::uint64_t size) const;
    /// Where the file has pages; nothing where it has none.
    void write(std::uint64_t guest_address, std::span<const std::byte> bytes) const;

    /// A ring that begins anew.
    void start_ring(std::uint32_t queue, std::uint32_t size, bool packed);
    /// Makes one chain available: a readable buffer and a writable one.
    void offer(std::uint32_t queue, std::uint32_t readable, std::uint32_t writable);

    /// The last answer to GET_INFLIGHT_FD.
    void keep_inflight(std::vector<std::byte> payload, UniqueFd fd);
    [[nodiscard]] const std::vector<std::byte>& inflight() const noexcept { return area_; }

  private:
    struct Ring {
        std::uint32_t size = 8;
        bool packed = false;
        std::uint32_t next = 0;  // of descriptors; split: also of available entries
        std::uint16_t available = 0;
        bool wrap = true;
    };
    template <wire_struct T>
    void store(std::uint64_t guest_address, const T& value) const {
        write(guest_address, std::as_bytes(std::span(&value, 1)));
    }
    void offer_split(std::uint32_t queue, std::uint32_t readable, std::uint32_t writable);
    void offer_packed(std::uint32_t queue, std::uint32_t readable, std::uint32_t writable);

    UniqueFd memory_;
    UniqueFd other_;
    UniqueFd inflight_;
    std::vector<std::byte> area_;
    std::array<UniqueFd, queue_count> kicks_;
    std::array<UniqueFd, queue_count> calls_;
    std::array<Ring, queue_count> rings_;
};

}  // namespace dpfs::fuzz
