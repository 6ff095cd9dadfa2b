// SPDX-License-Identifier: Apache-2.0
#include "inflight_machine.hpp"

#include "virtio/packed_driver.hpp"
#include "virtio/shared_access.hpp"
#include "virtio/split_driver.hpp"

#include <algorithm>
#include <utility>

namespace dpfs::hal::test {
namespace {

constexpr std::uint64_t guest_start = 0x10000;
constexpr std::uint64_t guest_size = 0x10000;
constexpr std::uint64_t texts_start = guest_start + guest_size / 2;
constexpr std::uint32_t piece_size = 4;  // bytes of a chain's text in each of its buffers
constexpr std::uint32_t table_count = 4;
constexpr std::uint32_t pieces_max = 8;

vhost_user::SharedMemory make_guest() {
    return std::move(vhost_user::SharedMemory::make(guest_start, guest_size).value());
}

std::string join(std::span<const iovec> pieces) {
    std::string text;
    for (const iovec& piece : pieces) {
        text.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
    }
    return text;
}

}  // namespace

InflightMachine::InflightMachine(std::uint64_t features)
    : features_(features),
      guest_(make_guest()),
      map_(guest_.map()),
      layout_(virtio::DriverLayout::at(guest_start, ring_size, features, table_count)),
      driver_{.ring = virtio::make_driver_ring(
                          map_, {.size = ring_size, .features = features, .layout = layout_})
                          .value(),
              .texts = std::vector<std::string>(ring_size),
              .offered = {}} {
    const std::uint64_t size = vhost_user::inflight_area_size(packed(), 1, entry_count);
    area_fd_ = vhost_user::make_inflight_area(size).value();
    area_ = virtio::map_shared(area_fd_.get(), size, 0).value();
}

void InflightMachine::offer(const std::vector<std::uint32_t>& slot_counts) {
    for (const std::uint32_t slots : slot_counts) {
        const std::uint32_t pieces = slots == 0 ? 3 : slots;
        const std::uint64_t at =
            texts_start + std::uint64_t{driver_.offer_count % 64} * pieces_max * piece_size;
        std::vector<virtio::Segment> segments(pieces);
        std::string text;
        for (std::uint32_t i = 0; i < pieces; ++i) {
            // From the last to the first, so that they do not become one.
            segments[i] = {.address = at + std::uint64_t{pieces - 1 - i} * piece_size,
                           .size = piece_size};
            const std::string piece(
                piece_size, static_cast<char>('a' + (driver_.offer_count + 5 * i) % 26));
            map_.write(segments[i].address, std::as_bytes(std::span(piece))).value();
            text += piece;
        }
        ++driver_.offer_count;
        const std::uint16_t id =
            driver_.ring->add({.readable = segments, .indirect = slots == 0}).value();
        driver_.texts.at(id) = text;
        driver_.offered.push_back(id);
    }
    driver_.ring->publish();
}

virtio::RingConfig InflightMachine::config() const {
    return {
        .size = ring_size, .features = features_, .addresses = layout_.addresses, .state = {}};
}

vhost_user::InflightRegion InflightMachine::region() const {
    const vhost_user::InflightArea area = {
        .bytes = area_, .queue_count = 1, .queue_size = entry_count, .packed = packed()};
    return area.region(0);
}

wire::QueueRegionPacked& InflightMachine::packed_header() const {
    return *virtio::shared_array<wire::QueueRegionPacked>(area_.get());
}

wire::DescStatePacked& InflightMachine::packed_entry(std::uint16_t index) const {
    return virtio::shared_array<wire::DescStatePacked>(area_.get() +
                                                       sizeof(wire::QueueRegionPacked))[index];
}

virtio::PackedDescriptor& InflightMachine::packed_slot(std::uint16_t index) const {
    return virtio::shared_array<virtio::PackedDescriptor>(guest_.at(guest_start))[index];
}

Remains InflightMachine::remains() const {
    const std::byte* const ring = guest_.at(guest_start);
    return {.ring = {ring, ring + layout_.size},
            .area = {area_.get(), area_.get() + region().size}};
}

bool InflightMachine::differs_from(const Remains& remains) const {
    return !std::equal(remains.ring.begin(), remains.ring.end(), guest_.at(guest_start)) ||
           !std::equal(remains.area.begin(), remains.area.end(), area_.get());
}

bool InflightMachine::has_header_of(const Remains& remains) const {
    const std::size_t size =
        packed() ? sizeof(wire::QueueRegionPacked) : sizeof(wire::QueueRegionSplit);
    return std::equal(area_.get(), area_.get() + size, remains.area.begin());
}

void InflightMachine::restore(const Remains& remains) {
    std::ranges::copy(remains.ring, guest_.at(guest_start));
    std::ranges::copy(remains.area, area_.get());
}

std::vector<std::uint16_t> InflightMachine::poll() {
    std::vector<std::uint16_t> ids;
    for (auto used = driver_.ring->poll().value(); used; used = driver_.ring->poll().value()) {
        ids.push_back(used->id);
    }
    return ids;
}

InflightMachine::Driver InflightMachine::copy(const Driver& driver) const {
    Driver copied = {.ring = nullptr,
                     .texts = driver.texts,
                     .offered = driver.offered,
                     .offer_count = driver.offer_count};
    const virtio::DriverRing& ring = *driver.ring;
    if (packed()) {
        copied.ring = std::make_unique<virtio::PackedDriver>(
            dynamic_cast<const virtio::PackedDriver&>(ring));
    } else {
        copied.ring = std::make_unique<virtio::SplitDriver>(
            dynamic_cast<const virtio::SplitDriver&>(ring));
    }
    return copied;
}

InflightMachine::Driver InflightMachine::driver() const {
    return copy(driver_);
}

Result<InflightServer> InflightServer::open(const InflightMachine& machine,
                                            virtio::RingState told) {
    virtio::RingConfig config = machine.config();
    config.state = told;
    auto opened = vhost_user::open_inflight(machine.region(), config, machine.memory());
    if (!opened) return fail(opened.error());
    if (opened->lost.resumed) config.state = opened->lost.state;

    InflightServer server(machine);
    server.tracker_ = std::move(opened->tracker);
    auto ring = virtio::make_virtqueue(machine.memory(), config);
    if (!ring) return fail(ring.error());
    server.ring_ = std::move(*ring);
    for (const vhost_user::LostRequest& lost : opened->lost.requests) {
        virtio::DescriptorChain chain;
        const auto read = server.ring_->reread(lost.chain, machine.memory(), chain);
        if (!read) return fail(read.error());
        server.hold(chain, lost.entry);
    }
    return server;
}

std::vector<std::uint16_t> InflightServer::held_ids() const {
    std::vector<std::uint16_t> ids;
    ids.reserve(held_.size());
    for (const Held& held : held_) ids.push_back(held.head.id);
    return ids;
}

void InflightServer::hold(const virtio::DescriptorChain& chain, std::uint16_t entry) {
    held_.push_back({.head = chain.head(), .entry = entry, .text = join(chain.readable())});
}

bool InflightServer::take() {
    const virtio::RingState before = ring_->state();
    virtio::DescriptorChain chain;
    if (!ring_->pop(machine_->memory(), chain).value()) return false;
    hold(chain, tracker_->taken(before, chain.head()));
    return true;
}

void InflightServer::give(std::size_t place) {
    const Held& held = held_.at(place);
    tracker_->pushing(held.entry);
    ring_->push(held.head, 0);
    held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(place));
}

void InflightServer::flush() {
    tracker_->flushing();
    ring_->flush();
    tracker_->flushed(ring_->state());
}

}  // namespace dpfs::hal::test
