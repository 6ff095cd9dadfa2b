// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/time.hpp"
#include "fs/nfs/seen.hpp"
#include "net/nfs4/wire.hpp"
#include "reactor/credentials.hpp"

#include <algorithm>
#include <cstdint>
#include <list>
#include <optional>
#include <vector>

namespace dpfs::nfs {

/// A read delegation of one file. Until the server has it back nobody else opens the file for
/// writing, changes, removes or renames it (RFC 8881, 10.4): what was seen of it holds, and
/// what was opened for reading stays open for whoever opens it next.
///
/// Thread    one at a time: under the inode's lock.
class Delegation {
  public:
    /// So many opens that nobody uses are kept: of so many users.
    static constexpr std::size_t idle_count_max = 4;
    /// When something was asked (Delegations::moment): whether its answer holds.
    struct Moment {
        std::uint64_t grant_count = 0;
        std::uint64_t name_change_count = 0;
    };

    Delegation(const nfs4::StateId& state,
               std::uint64_t incarnation,
               const reactor::Credentials& holder,
               std::uint64_t grant)
        : state_(state), incarnation_(incarnation), holder_(holder), grant_(grant) {}

    [[nodiscard]] const nfs4::StateId& state() const noexcept { return state_; }
    /// Of the client: one of an earlier one is none.
    [[nodiscard]] std::uint64_t incarnation() const noexcept { return incarnation_; }
    [[nodiscard]] const reactor::Credentials& holder() const noexcept { return holder_; }
    void reclaimed(const nfs4::StateId& state, std::uint64_t incarnation) noexcept {
        state_ = state;
        incarnation_ = incarnation;
    }

    /// Its number among all that were granted.
    [[nodiscard]] std::uint64_t grant() const noexcept { return grant_; }
    /// False: `seen` was asked for before this was granted, so others may have changed it.
    bool see(const Seen& seen, Moment asked) {
        if (asked.grant_count < grant_) return false;
        seen_ = seen;
        name_change_count_ = asked.name_change_count;
        return true;
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

    /// The tenant was told that it need not ask before `until`: so long it is not returned.
    void promise(Instant until) noexcept { promised_until_ = std::max(promised_until_, until); }
    void promise_no_more() noexcept { promised_until_ = {}; }
    [[nodiscard]] Instant promised_until() const noexcept { return promised_until_; }

    /// Delegations': its place among the forgotten ones.
    std::optional<std::list<std::uint64_t>::iterator> forgotten;

  private:
    nfs4::StateId state_;
    std::uint64_t incarnation_;
    reactor::Credentials holder_;
    std::uint64_t grant_;
    std::optional<Seen> seen_;
    std::uint64_t name_change_count_ = 0;
    std::vector<std::uint64_t> idle_;
    Instant promised_until_ = {};
};

}  // namespace dpfs::nfs
