// SPDX-License-Identifier: Apache-2.0
#include "ring_pair.hpp"

namespace dpfs::virtio {

GuestMemory make_test_memory() {
    GuestMemory memory;
    for (const std::uint64_t address : {first_region, second_region, third_region}) {
        memory = memory
                     .with({.guest_address = address,
                            .user_address = address + user_offset,
                            .size = region_size,
                            .host = map_anonymous(region_size).value()})
                     .value();
    }
    return memory;
}

std::string read_text(const GuestMemory& memory, std::uint64_t address, std::size_t size) {
    std::string text(size, '\0');
    if (!memory.read(address, std::as_writable_bytes(std::span(text)))) return "<unmapped>";
    return text;
}

void write_text(const GuestMemory& memory, std::uint64_t address, std::string_view text) {
    memory.write(address, std::as_bytes(std::span(text))).value();
}

std::string join(std::span<const iovec> pieces) {
    std::string text;
    for (const iovec& piece : pieces) {
        text.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
    }
    return text;
}

RingPair::RingPair(std::uint32_t queue_size,
                   std::uint64_t ring_features,
                   std::uint32_t table_count)
    : size(queue_size),
      features(ring_features),
      memory(make_test_memory()),
      layout(DriverLayout::at(ring_base, size, features, table_count)),
      driver(make_driver_ring(memory, {.size = size, .features = features, .layout = layout})
                 .value()),
      device(make_device({})) {}

std::unique_ptr<Virtqueue> RingPair::make_device(RingState state) const {
    return make_virtqueue(memory,
                          {.size = size,
                           .features = features,
                           .addresses = layout.addresses,
                           .state = state})
        .value();
}

std::uint16_t RingPair::offer(std::vector<Segment> readable,
                              std::vector<Segment> writable,
                              bool indirect) {
    const auto id =
        driver->add({.readable = readable, .writable = writable, .indirect = indirect});
    driver->publish();
    return id.value();
}

ChainHead RingPair::serve(std::uint32_t written) {
    if (!device->pop(memory, chain).value()) return {.id = 0xFFFF, .slots = 0};
    device->push(chain.head(), written);
    device->flush();
    return chain.head();
}

}  // namespace dpfs::virtio
