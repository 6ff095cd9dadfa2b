// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "net/nfs4/wire.hpp"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

namespace dpfs::nfs {

/// What all files' delegations have in common: how many there are, and recalls that overtake
/// the answers of the OPENs that give what they recall (RFC 8881, 2.10.6.3).
///
/// Thread    any.
class Delegations {
  public:
    static constexpr std::uint64_t held_count_max = 16384;

    /// An OPEN that may bring one is under way.
    class Expected {
      public:
        explicit Expected(Delegations& all) : all_(all) {
            const std::lock_guard guard(all_.mutex_);
            ++all_.expected_count_;
        }
        Expected(const Expected&) = delete;
        Expected& operator=(const Expected&) = delete;
        ~Expected() {
            const std::lock_guard guard(all_.mutex_);
            if (--all_.expected_count_ == 0) all_.recalled_early_.clear();
        }

      private:
        Delegations& all_;
    };

    /// A recall of one that nobody has. False: nobody can get it either.
    [[nodiscard]] bool recall_early(const nfs4::StateId& state) {
        const std::lock_guard guard(mutex_);
        if (expected_count_ == 0) return false;
        // A server that makes up recalls gets no more room than this.
        constexpr std::size_t early_count_max = 64;
        if (recalled_early_.size() == early_count_max) {
            recalled_early_.erase(recalled_early_.begin());
        }
        recalled_early_.push_back(state);
        return true;
    }
    /// One that has just come. True: it is wanted back already.
    [[nodiscard]] bool was_recalled(const nfs4::StateId& state) {
        const std::lock_guard guard(mutex_);
        return std::ranges::any_of(recalled_early_, [&state](const nfs4::StateId& each) {
            return each.other == state.other;
        });
    }

    /// We have changed a name: links that were counted may be gone.
    void name_changed() noexcept { name_change_count_.fetch_add(1); }
    [[nodiscard]] std::uint64_t name_change_count() const noexcept {
        return name_change_count_.load();
    }
    /// Of each Delegation's own epochs, so that no two of one file begin alike.
    [[nodiscard]] std::uint64_t next_epoch() noexcept {
        return epoch_.fetch_add(std::uint64_t{1} << 32);
    }

    std::atomic<std::uint64_t> held_count = 0;
    std::atomic<std::uint64_t> used_count = 0;  ///< answers without a request
    std::atomic<std::uint64_t> recalled_count = 0;

  private:
    std::mutex mutex_;
    std::size_t expected_count_ = 0;
    std::vector<nfs4::StateId> recalled_early_;
    std::atomic<std::uint64_t> name_change_count_ = 0;
    std::atomic<std::uint64_t> epoch_ = std::uint64_t{1} << 32;
};

}  // namespace dpfs::nfs
