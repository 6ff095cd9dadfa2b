// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "net/nfs4/wire.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

namespace dpfs::nfs {

/// Names that one start of a device gives itself at the server, each of which is no other's,
/// nor one of another start: owners of opens and locks (RFC 8881, 8.1.5), verifiers of
/// exclusive creations, and hidden names.
///
/// Thread    any.
class StateOwners {
  public:
    struct Open {
        std::array<std::byte, 16> bytes;
    };
    struct Lock {
        std::array<std::byte, 25> bytes;
    };

    /// With a random number for this start.
    StateOwners();

    /// Of a new open owner.
    [[nodiscard]] std::uint64_t next_number() noexcept {
        return count_.fetch_add(1, std::memory_order_relaxed);
    }
    /// Who opens, in the server's eyes.
    [[nodiscard]] Open of_open(std::uint64_t number) const noexcept;
    /// Who locks, in the server's eyes: `owner` of the tenant. flock(2) has owners of its own;
    /// so has each open file, because a lock owner belongs to one open owner for good
    /// (nfs-ganesha: RESOURCE).
    [[nodiscard]] Lock of_lock(std::uint64_t owner,
                               bool is_flock,
                               std::uint64_t made_through) const noexcept;
    /// Of an exclusive creation.
    [[nodiscard]] nfs4::Verifier next_verifier() noexcept;
    /// For a file that is removed while it is open.
    [[nodiscard]] std::string next_hidden_name();

  private:
    const std::uint64_t instance_;
    std::atomic<std::uint64_t> count_ = 0;
};

}  // namespace dpfs::nfs
