// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fs/nfs/seen.hpp"
#include "net/nfs4/wire.hpp"
#include "reactor/credentials.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

namespace dpfs::nfs {

/// A read delegation of one file. Until the server has it back nobody else opens the file for
/// writing or changes it (RFC 8881, 10.4): what was seen of it holds, and what was opened for
/// reading stays open for whoever opens it next.
///
/// Thread    one at a time: under the inode's lock.
class Delegation {
  public:
    /// So many opens that nobody uses are kept: of so many users.
    static constexpr std::size_t idle_count_max = 4;
    /// When what is asked for now is asked: an answer that comes later may not hold.
    struct Moment {
        std::uint64_t epoch = 0;  ///< 0: there is no delegation
        std::uint64_t name_change_count = 0;
    };

    Delegation(const nfs4::StateId& state,
               std::uint64_t incarnation,
               const reactor::Credentials& holder,
               std::uint64_t epoch)
        : state_(state), incarnation_(incarnation), holder_(holder), epoch_(epoch) {}

    [[nodiscard]] const nfs4::StateId& state() const noexcept { return state_; }
    /// Of the client: one of an earlier one is none.
    [[nodiscard]] std::uint64_t incarnation() const noexcept { return incarnation_; }
    [[nodiscard]] const reactor::Credentials& holder() const noexcept { return holder_; }
    void reclaimed(const nfs4::StateId& state, std::uint64_t incarnation) noexcept {
        state_ = state;
        incarnation_ = incarnation;
    }

    [[nodiscard]] std::uint64_t epoch() const noexcept { return epoch_; }
    /// We change the file ourselves.
    void forget_seen() noexcept {
        seen_.reset();
        ++epoch_;
    }
    void see(const Seen& seen, Moment asked) {
        if (asked.epoch != epoch_) return;
        seen_ = seen;
        name_change_count_ = asked.name_change_count;
    }
    /// With so many changes of names by ourselves: one of the file's may be gone.
    [[nodiscard]] std::optional<Seen> seen(std::uint64_t name_change_count) const noexcept {
        return name_change_count == name_change_count_ ? seen_ : std::nullopt;
    }

    /// Keeps an open file of this id, which nobody uses. False: enough are kept.
    [[nodiscard]] bool keep_idle(std::uint64_t file) {
        if (idle_.size() >= idle_count_max) return false;
        idle_.push_back(file);
        return true;
    }
    /// The first that `fits`; it is not idle any more.
    template <class Fits>
    [[nodiscard]] std::optional<std::uint64_t> take_idle(Fits fits) {
        const auto found = std::ranges::find_if(idle_, fits);
        if (found == idle_.end()) return std::nullopt;
        const std::uint64_t file = *found;
        idle_.erase(found);
        return file;
    }
    [[nodiscard]] const std::vector<std::uint64_t>& idle() const noexcept { return idle_; }

  private:
    nfs4::StateId state_;
    std::uint64_t incarnation_;
    reactor::Credentials holder_;
    std::uint64_t epoch_;
    std::optional<Seen> seen_;
    std::uint64_t name_change_count_ = 0;
    std::vector<std::uint64_t> idle_;
};

}  // namespace dpfs::nfs
