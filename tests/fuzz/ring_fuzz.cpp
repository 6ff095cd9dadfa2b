// SPDX-License-Identifier: Apache-2.0
// Whatever a driver writes into its ring, and whenever: the device takes the chains that the
// specification (chain_model.hpp) sees there, and no others; it gives back what it is told to;
// and it notifies where the driver may sleep.
//
// Input, from its end: the ring's format, size and features; then operations of the driver and
// the device. Bytes for memory are taken from its front.
#include "chain_model.hpp"
#include "virtio/virtqueue.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fuzzer/FuzzedDataProvider.h>
#include <memory>
#include <source_location>
#include <utility>
#include <vector>

namespace dpfs::virtio::test {
namespace {

void require(bool condition,
             const std::source_location& where = std::source_location::current()) {
    if (condition) return;
    std::fprintf(stderr, "ring_fuzz: %s: line %u\n", where.function_name(), where.line());
    std::abort();
}

struct Extent {
    std::uint64_t address;
    std::uint64_t size;
};
// The second follows the first at once, and is a region of its own; then there is a gap.
constexpr std::array<Extent, 3> extents = {
    {{0x1000, 0x3000}, {0x4000, 0x1000}, {0x8000, 0x800}}};

constexpr std::uint64_t descriptors_at = 0x1000;
constexpr std::uint64_t driver_at = 0x1400;
constexpr std::uint64_t device_at = 0x1500;
constexpr std::uint64_t buffers_at = 0x1800;  // and indirect tables
constexpr std::array<std::uint32_t, 6> split_sizes = {1, 2, 4, 8, 16, 32};
constexpr std::array<std::uint32_t, 6> packed_sizes = {1, 2, 3, 7, 16, 32};

GuestMemory make_memory() {
    GuestMemory memory;
    for (const auto& [address, size] : extents) {
        auto host = map_anonymous(size);
        require(host.has_value());
        auto more = memory.with({address, address, size, std::move(*host)});
        require(more.has_value());
        memory = std::move(*more);
    }
    return memory;
}

class RingFuzz {
  public:
    explicit RingFuzz(FuzzedDataProvider& input)
        : input_(input),
          is_packed_(input.ConsumeBool()),
          ring_{.size = input.PickValueInArray(is_packed_ ? packed_sizes : split_sizes),
                .features = features(input, is_packed_),
                .descriptors = descriptors_at},
          model_(memory_, ring_),
          at_{.slot = 0, .wrap = true} {
        RingConfig config = {.size = ring_.size, .features = ring_.features};
        config.addresses = {descriptors_at, driver_at, device_at, AddressSpace::guest};
        auto device = make_virtqueue(memory_, config);
        require(device.has_value());
        device_ = std::move(*device);
    }

    void run() {
        while (input_.remaining_bytes() > 0) step();
    }

  private:
    struct Position {
        std::uint32_t slot;
        bool wrap;
    };

    static std::uint64_t features(FuzzedDataProvider& input, bool packed) {
        std::uint64_t all = feature_version_1 | (packed ? feature_ring_packed : 0);
        if (input.ConsumeBool()) all |= feature_indirect_desc;
        if (input.ConsumeBool()) all |= feature_event_idx;
        return all;
    }

    void step() {
        switch (input_.ConsumeIntegralInRange(0, 7)) {
            case 0:
                return write_bytes();
            case 1:
            case 2:
                return write_descriptor();
            case 3:
                return offer();
            case 4:
            case 5:
                return pop();
            case 6:
                return give_back();
            default:
                return ask();
        }
    }

    template <class T>
    T load(std::uint64_t address) const {
        T value;
        require(
            memory_.read(address, std::as_writable_bytes(std::span(&value, 1))).has_value());
        return value;
    }
    template <class T>
    void store(std::uint64_t address, const T& value) {
        require(memory_.write(address, std::as_bytes(std::span(&value, 1))).has_value());
    }

    void write_bytes() {
        const auto address = input_.ConsumeIntegralInRange<std::uint64_t>(0x1000, 0x27ff);
        const auto bytes = input_.ConsumeBytes<std::uint8_t>(
            input_.ConsumeIntegralInRange<std::size_t>(0, 64));
        require(memory_.write(address, std::as_bytes(std::span(bytes))).has_value());
    }

    std::uint64_t any_address() {
        if (input_.ConsumeIntegralInRange(0, 15) == 0) {
            return input_.ConsumeIntegral<std::uint64_t>();
        }
        return input_.ConsumeIntegralInRange<std::uint64_t>(buffers_at - 0x100, 0x8810);
    }
    std::uint32_t any_length() {
        const auto kind = input_.ConsumeIntegralInRange<std::uint32_t>(0, 7);
        if (kind == 0) return input_.ConsumeIntegral<std::uint32_t>();
        return kind * 16 * input_.ConsumeIntegralInRange<std::uint32_t>(0, 40);
    }

    /// In the ring, or where a table may be.
    void write_descriptor() {
        const bool in_ring = input_.ConsumeBool();
        const std::uint32_t count = in_ring ? ring_.size : 64;
        const auto index = input_.ConsumeIntegralInRange<std::uint32_t>(0, count - 1);
        const std::uint64_t address = (in_ring ? descriptors_at : buffers_at) + index * 16UL;
        const std::uint64_t points_to = any_address();
        const std::uint32_t length = any_length();
        const auto low = input_.ConsumeIntegralInRange<std::uint16_t>(0, 7);
        const auto other = input_.ConsumeIntegralInRange<std::uint16_t>(0, 66);
        if (is_packed_) {
            const unsigned marks = input_.ConsumeBool() ? marks_of(input_.ConsumeBool()) : 0U;
            store(address,
                  PackedDescriptor{
                      points_to, length, other, static_cast<std::uint16_t>(low | marks)});
        } else {
            store(address, Descriptor{points_to, length, low, other});
        }
    }
    static unsigned marks_of(bool wrap) {
        return wrap ? descriptor_available : descriptor_used;
    }

    /// What makes the next chains available, most of the time.
    void offer() {
        const auto value = input_.ConsumeIntegral<std::uint8_t>();
        if (is_packed_) {
            const std::uint64_t flags_at = descriptors_at + at_.slot * 16UL + 14;
            const unsigned flags = load<le<std::uint16_t>>(flags_at) & 0x7FU;
            store(flags_at,
                  le<std::uint16_t>(static_cast<std::uint16_t>(flags | marks_of(at_.wrap))));
            return;
        }
        const auto entry = input_.ConsumeIntegralInRange<std::uint32_t>(0, ring_.size - 1);
        store(driver_at + 4 + entry * 2UL, le<std::uint16_t>(value));
        const auto more = input_.ConsumeIntegralInRange<std::uint32_t>(0, ring_.size + 1);
        store(driver_at + 2, le<std::uint16_t>(static_cast<std::uint16_t>(at_.slot + more)));
    }

    void pop() {
        DescriptorChain chain;
        const auto expected = is_packed_ ? expect_packed() : expect_split();
        const auto popped = device_->pop(memory_, chain);
        if (broken_) {
            require(!popped && device_->violation() != Violation::none);
            return;
        }
        require(popped.has_value() && *popped == expected.has_value());
        if (!expected) return;
        require(chain.head().id == expected->id && chain.head().slots == expected->slots);
        compare(chain.readable(), chain.readable_size(), expected->readable);
        compare(chain.writable(), chain.writable_size(), expected->writable);
        in_flight_.push_back(chain.head());
        slots_in_flight_ += expected->slots;
        require(device_->in_flight() == in_flight_.size());
    }

    std::optional<ModelChain> expect_split() {
        if (broken_) return {};
        auto& next = at_.slot;  // runs through 65536
        if (seen_ == next) seen_ = load<le<std::uint16_t>>(driver_at + 2);
        const auto count = static_cast<std::uint16_t>(seen_ - next);
        if (count == 0) return {};
        broken_ = count > ring_.size || slots_in_flight_ == ring_.size;
        if (broken_) return {};
        const auto chain =
            model_.split(load<le<std::uint16_t>>(driver_at + 4 + (next % ring_.size) * 2UL));
        broken_ = !chain;
        next = (next + 1) & 0xffff;
        return chain;
    }

    std::optional<ModelChain> expect_packed() {
        if (broken_) return {};
        const unsigned flags = load<le<std::uint16_t>>(descriptors_at + at_.slot * 16UL + 14);
        const unsigned marks = flags & (descriptor_available | descriptor_used);
        if (marks != marks_of(at_.wrap)) return {};
        auto chain = model_.packed(at_.slot);
        broken_ = !chain || slots_in_flight_ + chain->slots > ring_.size;
        if (broken_) return {};
        advance(at_, chain->slots);
        return chain;
    }

    void advance(Position& position, std::uint32_t slots) const {
        position.slot += slots;
        if (position.slot < ring_.size) return;
        position.slot -= ring_.size;
        position.wrap = !position.wrap;
    }

    void compare(std::span<const iovec> got,
                 std::uint64_t size,
                 const std::vector<Piece>& expected) const {
        std::vector<Piece> found;
        std::uint64_t total = 0;
        for (const iovec& piece : got) {
            const auto address = memory_.guest_address_of(piece.iov_base);
            require(address.has_value() && piece.iov_len > 0);
            found.push_back({*address, piece.iov_len});
            total += piece.iov_len;
        }
        require(total == size && model_.pieces(found) == expected);
    }

    /// Any of those in flight, some at once, and then the ring as the driver sees it.
    void give_back() {
        const auto count = input_.ConsumeIntegralInRange<std::size_t>(0, in_flight_.size());
        std::vector<std::pair<ChainHead, std::uint32_t>> given;
        for (std::size_t i = 0; i < count; ++i) {
            const auto which =
                input_.ConsumeIntegralInRange<std::size_t>(0, in_flight_.size() - 1);
            const auto at = in_flight_.begin() + static_cast<std::ptrdiff_t>(which);
            given.emplace_back(*at, input_.ConsumeIntegral<std::uint16_t>());
            in_flight_.erase(at);
            device_->push(given.back().first, given.back().second);
        }
        device_->flush();
        for (const auto& [head, written] : given) {
            slots_in_flight_ -= head.slots;
            is_packed_ ? check_packed(head, written) : check_split(head, written);
        }
        if (!is_packed_ && !given.empty()) {
            require(load<le<std::uint16_t>>(device_at + 2) ==
                    static_cast<std::uint16_t>(used_.slot));
        }
    }

    void check_split(ChainHead head, std::uint32_t written) {
        const auto entry =
            load<UsedElement>(device_at + 4 + (used_.slot % ring_.size) * sizeof(UsedElement));
        require(entry.id == head.id && entry.len == written);
        used_.slot = (used_.slot + 1) & 0xffff;
    }

    void check_packed(ChainHead head, std::uint32_t written) {
        const auto entry = load<PackedDescriptor>(descriptors_at + used_.slot * 16UL);
        const unsigned marks = entry.flags & (descriptor_available | descriptor_used);
        require(entry.id == head.id && entry.len == written);
        require(marks == (used_.wrap ? unsigned{descriptor_available | descriptor_used} : 0U));
        advance(used_, head.slots);
    }

    /// A driver that asked for nothing must not be told; one that may sleep must see our wish.
    void ask() {
        const bool has_news = device_->needs_notification();
        require(!device_->needs_notification());
        const bool wants_none =
            (load<le<std::uint16_t>>(driver_at + (is_packed_ ? 2 : 0)) & 3) == 1;
        const bool by_flag = is_packed_ || (ring_.features & feature_event_idx) == 0;
        if (by_flag && wants_none) require(!has_news);
        if (input_.ConsumeBool()) {
            device_->disable_notifications();
        } else if (device_->enable_notifications()) {
            require(device_->has_work());
        }
    }

    FuzzedDataProvider& input_;
    GuestMemory memory_ = make_memory();
    bool is_packed_;
    ModelRing ring_;
    ChainModel model_;
    std::unique_ptr<Virtqueue> device_;
    Position at_;  // split: slot is the running index
    Position used_{.slot = 0, .wrap = true};
    std::uint32_t seen_ = 0;  // split: the driver's index, read when nothing is left
    std::deque<ChainHead> in_flight_;
    std::uint32_t slots_in_flight_ = 0;
    bool broken_ = false;
};

}  // namespace
}  // namespace dpfs::virtio::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    FuzzedDataProvider input(data, size);
    dpfs::virtio::test::RingFuzz(input).run();
    return 0;
}
