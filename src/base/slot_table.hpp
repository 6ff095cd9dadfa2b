// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/assert.hpp"
#include "base/result.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace dpfs {

/// Objects that a tenant names by numbers of ours. The tenant may send any number at any time,
/// on several queues at once, also one that it has just given back: a number is an index and a
/// generation, so an old one is never taken for the object that has its place now, and a Pin
/// keeps what it points to in place while a request uses it.
///
/// T has `void recycle() noexcept`, which makes it as good as new.
///
/// Thread    any. Finding an object takes no lock: one compare-and-swap on its own state.
/// Lifetime  outlives its pins.
template <class T>
class SlotTable {
    struct Slot;

  public:
    class Pin {
      public:
        Pin() = default;
        Pin(Pin&& other) noexcept
            : table_(other.table_), slot_(std::exchange(other.slot_, nullptr)) {}
        Pin& operator=(Pin&& other) noexcept {
            if (this != &other) {
                release();
                table_ = other.table_;
                slot_ = std::exchange(other.slot_, nullptr);
            }
            return *this;
        }
        ~Pin() { release(); }

        [[nodiscard]] explicit operator bool() const noexcept { return slot_ != nullptr; }
        T& operator*() const noexcept { return *slot_; }
        T* operator->() const noexcept { return slot_; }

        /// The number that a tenant knows the object by: never 0.
        [[nodiscard]] std::uint64_t id() const noexcept {
            return (slot_->state.load(std::memory_order_relaxed) & generation_mask) |
                   slot_->index;
        }
        /// A second pin on the same object.
        [[nodiscard]] Pin share() const noexcept {
            slot_->state.fetch_add(1, std::memory_order_relaxed);
            return Pin(*table_, *slot_);
        }
        void release() noexcept {
            if (slot_ != nullptr) table_->unpin(*std::exchange(slot_, nullptr));
        }

      private:
        friend class SlotTable;
        Pin(SlotTable& table, Slot& slot) noexcept : table_(&table), slot_(&slot) {}

        SlotTable* table_ = nullptr;
        Slot* slot_ = nullptr;
    };

    explicit SlotTable(std::size_t count_max)
        : count_max_(std::min(count_max, index_max)),
          chunks_((count_max_ + chunk_size) / chunk_size) {}
    SlotTable(const SlotTable&) = delete;
    SlotTable& operator=(const SlotTable&) = delete;
    ~SlotTable() {
        for (auto& chunk : chunks_) delete chunk.load(std::memory_order_relaxed);
    }

    /// A place for a new object, which nobody finds before publish(). Errors: ENFILE (full).
    Result<Pin> make() {
        const std::uint32_t index = take_index();
        if (index == 0) return fail(Errno::too_many_files_system);
        Slot& slot = slot_at(index);
        slot.state.fetch_add(1, std::memory_order_acquire);
        return Pin(*this, slot);
    }
    void publish(const Pin& pin) noexcept {
        pin.slot_->state.fetch_or(live, std::memory_order_release);
        live_count_.fetch_add(1, std::memory_order_relaxed);
    }

    /// Errors: ESTALE (no such object, or none any more).
    Result<Pin> pin(std::uint64_t id) noexcept {
        Slot* const slot = find_slot(static_cast<std::uint32_t>(id));
        if (slot == nullptr || !try_pin(*slot, id & generation_mask)) {
            return fail(Errno::stale);
        }
        return Pin(*this, *slot);
    }
    /// A pin on an object that the caller knows to be published and not retired (because the
    /// lock under which both happen is held).
    Pin pin_object(T& object) noexcept {
        Slot& slot = slot_of(object);
        const bool pinned =
            try_pin(slot, slot.state.load(std::memory_order_relaxed) & generation_mask);
        DPFS_ASSERT(pinned);
        return Pin(*this, slot);
    }
    /// Another pin on an object that the caller has pinned, retired or not.
    Pin pin_again(T& object) noexcept {
        Slot& slot = slot_of(object);
        slot.state.fetch_add(1, std::memory_order_relaxed);
        return Pin(*this, slot);
    }
    /// A pin on an object that nobody else has pinned, else an empty one.
    Pin pin_idle(T& object) noexcept {
        Slot& slot = slot_of(object);
        std::uint64_t state = slot.state.load(std::memory_order_relaxed);
        if ((state & live) == 0 || (state & (exclusive | pin_mask)) != 0) return {};
        if (!slot.state.compare_exchange_strong(
                state, state + 1, std::memory_order_acquire, std::memory_order_relaxed)) {
            return {};
        }
        return Pin(*this, slot);
    }

    /// Nobody finds the object from now on; it goes when its last pin does. False: somebody
    /// else has retired it before.
    bool retire(const Pin& pin) noexcept {
        if ((pin.slot_->state.fetch_and(~live, std::memory_order_acq_rel) & live) == 0) {
            return false;
        }
        live_count_.fetch_sub(1, std::memory_order_relaxed);
        return true;
    }

    /// Keeps all others from the object until end_exclusive(): for a few instructions only, as
    /// they spin. False: this is not the only pin.
    bool try_exclusive(const Pin& pin) noexcept {
        std::uint64_t state = pin.slot_->state.load(std::memory_order_relaxed);
        if ((state & pin_mask) != 1) return false;
        return pin.slot_->state.compare_exchange_strong(
            state, state | exclusive, std::memory_order_acquire, std::memory_order_relaxed);
    }
    void end_exclusive(const Pin& pin) noexcept {
        pin.slot_->state.fetch_and(~exclusive, std::memory_order_release);
    }

    /// Calls `visit(Pin&)` for each object that is not retired.
    template <class Visit>
    void for_each(Visit visit) {
        const std::uint32_t end = fresh_.load(std::memory_order_acquire);
        for (std::uint32_t index = 1; index < end; ++index) {
            Slot* const slot = find_slot(index);
            if (slot == nullptr) continue;
            const auto state = slot->state.load(std::memory_order_relaxed);
            if (!try_pin(*slot, state & generation_mask)) continue;
            Pin pin(*this, *slot);
            visit(pin);
        }
    }

    [[nodiscard]] std::size_t count() const noexcept {
        return live_count_.load(std::memory_order_relaxed);
    }

  private:
    // A slot's state: generation << 32 | live | exclusive | number of pins.
    static constexpr std::uint64_t generation_mask = ~std::uint64_t{0} << 32;
    static constexpr std::uint64_t generation_one = std::uint64_t{1} << 32;
    static constexpr std::uint64_t live = std::uint64_t{1} << 31;
    static constexpr std::uint64_t exclusive = std::uint64_t{1} << 30;
    static constexpr std::uint64_t pin_mask = exclusive - 1;
    static constexpr std::size_t index_max = 0x7fff'ffff;
    static constexpr std::size_t chunk_size = 1024;
    static constexpr std::size_t shard_count = 8;

    struct Slot : T {
        std::atomic<std::uint64_t> state = 0;
        std::uint32_t index = 0;
    };
    using Chunk = std::array<Slot, chunk_size>;

    /// Indices that are free again; by thread, so that reactors do not meet here.
    struct alignas(64) Shard {
        std::mutex mutex;
        std::vector<std::uint32_t> free;
    };

    static Slot& slot_of(T& object) noexcept { return static_cast<Slot&>(object); }

    bool try_pin(Slot& slot, std::uint64_t generation) noexcept {
        std::uint64_t state = slot.state.load(std::memory_order_relaxed);
        for (;;) {
            if ((state & generation_mask) != generation || (state & live) == 0) return false;
            if ((state & exclusive) != 0) {
                std::this_thread::yield();
                state = slot.state.load(std::memory_order_relaxed);
                continue;
            }
            if (slot.state.compare_exchange_weak(
                    state, state + 1, std::memory_order_acquire, std::memory_order_relaxed)) {
                return true;
            }
        }
    }

    void unpin(Slot& slot) noexcept {
        const std::uint64_t before = slot.state.fetch_sub(1, std::memory_order_acq_rel);
        DPFS_ASSERT((before & pin_mask) != 0);
        if ((before & pin_mask) != 1 || (before & live) != 0) return;
        slot.recycle();
        slot.state.store((before & generation_mask) + generation_one,
                         std::memory_order_release);
        Shard& shard = my_shard();
        const std::lock_guard lock(shard.mutex);
        shard.free.push_back(slot.index);
    }

    Slot& slot_at(std::uint32_t index) noexcept {
        Chunk* const chunk = chunks_[index / chunk_size].load(std::memory_order_acquire);
        return (*chunk)[index % chunk_size];
    }
    Slot* find_slot(std::uint32_t index) noexcept {
        if (index == 0 || index > count_max_) return nullptr;
        Chunk* const chunk = chunks_[index / chunk_size].load(std::memory_order_acquire);
        return chunk == nullptr ? nullptr : &(*chunk)[index % chunk_size];
    }

    std::uint32_t take_index() {
        const std::size_t mine = my_shard_index();
        if (const std::uint32_t index = pop(shards_[mine])) return index;
        if (const std::uint32_t index = take_fresh()) return index;
        for (Shard& other : shards_) {
            if (const std::uint32_t index = pop(other)) return index;
        }
        return 0;
    }
    static std::uint32_t pop(Shard& shard) {
        const std::lock_guard lock(shard.mutex);
        if (shard.free.empty()) return 0;
        const std::uint32_t index = shard.free.back();
        shard.free.pop_back();
        return index;
    }
    /// An index that was never used, or 0.
    std::uint32_t take_fresh() {
        if (fresh_.load(std::memory_order_relaxed) > count_max_) return 0;
        const std::lock_guard lock(growth_);
        const std::uint32_t index = fresh_.load(std::memory_order_relaxed);
        if (index > count_max_) return 0;
        auto& chunk = chunks_[index / chunk_size];
        if (chunk.load(std::memory_order_relaxed) == nullptr) {
            auto made = std::make_unique<Chunk>();
            const auto base = static_cast<std::uint32_t>(index / chunk_size * chunk_size);
            for (std::uint32_t i = 0; i < chunk_size; ++i) (*made)[i].index = base + i;
            chunk.store(made.release(), std::memory_order_release);
        }
        fresh_.store(index + 1, std::memory_order_release);
        return index;
    }

    static std::size_t my_shard_index() noexcept {
        static std::atomic<std::size_t> thread_count = 0;
        thread_local const std::size_t mine =
            thread_count.fetch_add(1, std::memory_order_relaxed) % shard_count;
        return mine;
    }
    Shard& my_shard() noexcept { return shards_[my_shard_index()]; }

    const std::size_t count_max_;
    std::vector<std::atomic<Chunk*>> chunks_;
    std::atomic<std::size_t> live_count_ = 0;
    std::mutex growth_;
    std::atomic<std::uint32_t> fresh_ = 1;
    std::array<Shard, shard_count> shards_;
};

}  // namespace dpfs
