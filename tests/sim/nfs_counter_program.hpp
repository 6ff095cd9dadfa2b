// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "nfs_program.hpp"
#include "nfs_rules.hpp"

#include <cstdint>
#include <set>
#include <string>

namespace dpfs::sim {

/// What all that count in one file know together.
struct NfsCounter {
    std::string name = "counter";
    std::uint64_t value = 0;               ///< the highest that was acknowledged
    std::set<std::uint64_t> perhaps = {};  ///< written, as far as anybody knows
    std::uint64_t holder = 0;              ///< who believes to have the lock; 0: nobody
    std::uint64_t losses_seen = 0;         ///< when the holder got it
    std::uint64_t lost_lock_count = 0;
};

/// A program that counts in a file, under a lock: reads the number, writes the next one, makes
/// it durable, unlocks. Others do the same through other mounts. No number is written twice,
/// and none is left out.
class NfsCounterProgram final : public NfsProgram {
  public:
    /// `owner`: of its locks; not 0, and nobody else's.
    NfsCounterProgram(NfsMount& mount,
                      reactor::Reactor& reactor,
                      NfsRules& rules,
                      NfsCounter& counter,
                      std::uint64_t owner);

    Task<void> run(int steps) override;
    Task<void> finish() override;
    Task<void> check_all(NfsMount& mount) override;

  private:
    Task<void> count();
    Task<void> add_one();
    Task<bool> take_lock();
    Task<void> release_lock();
    Task<bool> open();
    /// Whether the server has let go of locks since this one was got.
    [[nodiscard]] bool may_be_lost() const;
    void complain(const char* what, Errno error);

    NfsCaller caller_;
    NfsRules& rules_;
    NfsCounter& counter_;
    const std::uint64_t owner_;
    NfsCaller::File file_ = {};
    bool open_ = false;
    bool must_reopen_ = false;
    std::uint64_t losses_at_open_ = 0;
    std::uint64_t losses_at_lock_ = 0;
};

}  // namespace dpfs::sim
