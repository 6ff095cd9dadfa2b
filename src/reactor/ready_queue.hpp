// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace dpfs::reactor {

/// Coroutines that can go on. With a seed they are resumed in a random order, so that no code
/// can come to rely on the accidental one.
class ReadyQueue {
  public:
    /// `seed` 0: first come, first resumed.
    explicit ReadyQueue(std::uint64_t seed) : random_(seed), shuffles_(seed != 0) {}

    void push(std::coroutine_handle<> handle) noexcept { incoming_.push_back(handle); }
    [[nodiscard]] bool empty() const noexcept { return incoming_.empty(); }

    /// Resumes what is ready now; what becomes ready meanwhile stays for the next time. True if
    /// there was anything.
    bool run() {
        if (incoming_.empty()) return false;
        std::swap(incoming_, batch_);
        if (shuffles_) shuffle();
        for (const std::coroutine_handle<> handle : batch_) handle.resume();
        batch_.clear();
        return true;
    }

  private:
    void shuffle() noexcept {
        for (std::size_t left = batch_.size(); left > 1; --left) {
            std::swap(batch_[left - 1], batch_[next_random() % left]);
        }
    }
    /// splitmix64: any seed is a good one.
    std::uint64_t next_random() noexcept {
        std::uint64_t z = (random_ += 0x9e3779b97f4a7c15);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }

    std::vector<std::coroutine_handle<>> incoming_;
    std::vector<std::coroutine_handle<>> batch_;
    std::uint64_t random_;
    bool shuffles_;
};

}  // namespace dpfs::reactor
