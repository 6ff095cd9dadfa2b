// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "hal/vhost_user/inflight.hpp"
#include "hal/vhost_user/inflight_wire.hpp"
#include "hal/vhost_user/user_driver.hpp"
#include "virtio/driver_ring.hpp"
#include "virtio/wire.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace dpfs::hal::test {

namespace wire = vhost_user::wire;

/// All bytes that a process which dies leaves behind.
struct Remains {
    std::vector<std::byte> ring;
    std::vector<std::byte> area;

    bool operator==(const Remains&) const = default;
};

/// A guest with one ring, and the area that lists its requests in flight. Both are in shared
/// memory, so that the process that serves them can be another one.
class InflightMachine {
  public:
    static constexpr std::uint16_t ring_size = 8;
    static constexpr std::uint16_t entry_count = 8;  // of the area

    explicit InflightMachine(std::uint64_t features);

    /// Offers chains of so many ring descriptors; 0: one, with an indirect table. Each chain
    /// has a text of its own, and `texts` gets them by id.
    void offer(const std::vector<std::uint32_t>& slot_counts);
    [[nodiscard]] const std::string& text_of(std::uint16_t id) const {
        return driver_.texts.at(id);
    }
    /// Ids in the order in which they were offered.
    [[nodiscard]] const std::vector<std::uint16_t>& offered() const { return driver_.offered; }
    void forget_offers() { driver_.offered.clear(); }

    [[nodiscard]] bool packed() const { return (features_ & virtio::feature_ring_packed) != 0; }
    [[nodiscard]] virtio::RingConfig config() const;
    [[nodiscard]] vhost_user::InflightRegion region() const;
    [[nodiscard]] const virtio::GuestMemory& memory() const { return map_; }

    wire::QueueRegionPacked& packed_header() const;
    wire::DescStatePacked& packed_entry(std::uint16_t index) const;
    virtio::PackedDescriptor& packed_slot(std::uint16_t index) const;

    [[nodiscard]] Remains remains() const;
    [[nodiscard]] bool differs_from(const Remains& remains) const;
    /// Whether the area begins as that of `remains` does.
    [[nodiscard]] bool has_header_of(const Remains& remains) const;
    void restore(const Remains& remains);

    /// Ids of what the driver gets back.
    std::vector<std::uint16_t> poll();

    /// The driver, and what it has offered.
    struct Driver {
        std::unique_ptr<virtio::DriverRing> ring;
        std::vector<std::string> texts;
        std::vector<std::uint16_t> offered;
        std::uint32_t offer_count = 0;
    };
    [[nodiscard]] Driver driver() const;
    void go_back_to(const Driver& driver) { driver_ = copy(driver); }

  private:
    [[nodiscard]] Driver copy(const Driver& driver) const;

    std::uint64_t features_;
    vhost_user::SharedMemory guest_;
    virtio::GuestMemory map_;
    virtio::DriverLayout layout_;
    Driver driver_;
    UniqueFd area_fd_;
    virtio::Mapping area_;
};

/// What Vring does with a ring and its list, and nothing else.
class InflightServer {
  public:
    /// `told`: what a front end says that does not know how far the ring has come.
    static Result<InflightServer> open(const InflightMachine& machine,
                                       virtio::RingState told = {});

    struct Held {
        virtio::ChainHead head;
        std::uint16_t entry = 0;
        std::string text;
    };
    /// Taken, or found in the list, and not given back.
    [[nodiscard]] const std::vector<Held>& held() const { return held_; }
    [[nodiscard]] std::vector<std::uint16_t> held_ids() const;

    /// Takes the next chain, if there is one.
    bool take();
    /// Pushes the chain at that place of held().
    void give(std::size_t place);
    void flush();

  private:
    explicit InflightServer(const InflightMachine& machine) : machine_(&machine) {}
    void hold(const virtio::DescriptorChain& chain, std::uint16_t entry);

    const InflightMachine* machine_;
    std::unique_ptr<vhost_user::InflightTracker> tracker_;
    std::unique_ptr<virtio::Virtqueue> ring_;
    std::vector<Held> held_;
};

}  // namespace dpfs::hal::test
