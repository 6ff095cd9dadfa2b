// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

namespace dpfs::nfs {

/// Memory for copies of what was written. When a copy is not kept any more, its memory waits
/// for the next one: fresh memory costs more until its pages are there than the copy itself
/// does.
///
/// Thread    any.
/// Lifetime  longer than its buffers'.
class CopyBuffers {
  public:
    /// Owns its memory. What is in it at first is anything.
    class Buffer {
      public:
        Buffer() = default;
        Buffer(Buffer&& from) noexcept;
        Buffer& operator=(Buffer&& from) noexcept;
        ~Buffer();

        [[nodiscard]] std::byte* data() const noexcept { return memory_.get(); }
        [[nodiscard]] std::size_t size() const noexcept { return size_; }

      private:
        friend class CopyBuffers;
        Buffer(CopyBuffers& owner,
               std::unique_ptr<std::byte[]> memory,
               std::size_t size) noexcept
            : owner_(&owner), memory_(std::move(memory)), size_(size) {}

        CopyBuffers* owner_ = nullptr;
        std::unique_ptr<std::byte[]> memory_;
        std::size_t size_ = 0;
    };

    /// Smaller ones come from the heap, where there are no pages to be given back.
    static constexpr std::size_t size_step = 32U << 10;
    /// Larger ones are too few to be worth it.
    static constexpr std::size_t kept_size_max = 1U << 20;

    /// At most `spare_size_max` bytes wait to be used again.
    explicit CopyBuffers(std::size_t spare_size_max) noexcept
        : spare_size_max_(spare_size_max) {}
    CopyBuffers(const CopyBuffers&) = delete;
    CopyBuffers& operator=(const CopyBuffers&) = delete;
    ~CopyBuffers() = default;

    [[nodiscard]] Buffer take(std::size_t size);
    /// Gives back what waits: nobody writes for a while.
    void trim() noexcept;
    /// Bytes that wait.
    [[nodiscard]] std::size_t spare_size() const noexcept;

  private:
    using Memory = std::unique_ptr<std::byte[]>;
    using Spare =
        std::vector<Memory>;  // the last one in is the first one out: it is in the cache

    void give_back(Memory memory, std::size_t size) noexcept;
    /// Sizes that are not used any more must not keep out those that are.
    void make_room(std::size_t capacity, const Spare& but_not) noexcept;

    const std::size_t spare_size_max_;
    mutable std::mutex mutex_;
    std::array<Spare, kept_size_max / size_step> spares_;  // of one step, two steps, and so on
    std::size_t spare_size_ = 0;
};

}  // namespace dpfs::nfs
