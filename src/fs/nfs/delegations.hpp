// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fs/nfs/delegation.hpp"
#include "net/nfs4/wire.hpp"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <vector>

namespace dpfs::nfs {

/// What all files' delegations have in common: how many there are, which of the files the
/// tenant has forgotten, and recalls that overtake the answers of the OPENs that give what they
/// recall (RFC 8881, 2.10.6.3).
///
/// Thread    any; a file's lock may be held.
class Delegations {
  public:
    static constexpr std::uint64_t held_count_max = 16384;
    /// Of files that the tenant's kernel does not know any more. It forgets a file whose name
    /// it has to look up each time when it closes it, and comes back.
    static constexpr std::size_t forgotten_count_max = 4096;

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
    /// To be taken before a file is looked at.
    [[nodiscard]] Delegation::Moment moment() const noexcept {
        return {.grant_count = grant_count_.load(), .name_change_count = name_change_count()};
    }
    /// The number of a new one.
    [[nodiscard]] std::uint64_t next_grant() noexcept { return grant_count_.fetch_add(1) + 1; }

    /// The tenant has forgotten the inode of this number, which has `delegation`. The number of
    /// the one that was forgotten longest ago, if there are too many.
    [[nodiscard]] std::optional<std::uint64_t> forgot(std::uint64_t inode,
                                                      Delegation& delegation) {
        const std::lock_guard guard(mutex_);
        if (delegation.forgotten) forgotten_.erase(*delegation.forgotten);
        delegation.forgotten = forgotten_.insert(forgotten_.end(), inode);
        if (forgotten_.size() <= forgotten_count_max) return std::nullopt;
        return forgotten_.front();
    }
    [[nodiscard]] std::optional<std::uint64_t> oldest_forgotten() {
        const std::lock_guard guard(mutex_);
        if (forgotten_.empty()) return std::nullopt;
        return forgotten_.front();
    }
    /// It knows it again, or the delegation ends.
    void remember(Delegation& delegation) {
        const std::lock_guard guard(mutex_);
        if (!delegation.forgotten) return;
        forgotten_.erase(*delegation.forgotten);
        delegation.forgotten.reset();
    }

    std::atomic<std::uint64_t> held_count = 0;
    std::atomic<std::uint64_t> idle_count = 0;  ///< open files that nobody uses
    std::atomic<std::uint64_t> used_count = 0;  ///< answers without a request
    std::atomic<std::uint64_t> recalled_count = 0;

  private:
    std::mutex mutex_;
    std::size_t expected_count_ = 0;
    std::vector<nfs4::StateId> recalled_early_;
    std::list<std::uint64_t> forgotten_;  // by when
    std::atomic<std::uint64_t> name_change_count_ = 0;
    std::atomic<std::uint64_t> grant_count_ = 0;
};

}  // namespace dpfs::nfs
