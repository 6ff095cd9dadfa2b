// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "nfs_program.hpp"
#include "nfs_rules.hpp"

#include <set>
#include <string>

namespace dpfs::sim {

/// A program that makes, renames, links and removes names in a directory of its own, which it
/// lists now and then: exactly what it has made is there. Names come again after they have
/// been removed, so that a request that is done a second time, later, is seen to be.
class NfsNameProgram final : public NfsProgram {
  public:
    NfsNameProgram(NfsMount& mount,
                   reactor::Reactor& reactor,
                   NfsRules& rules,
                   std::string prefix);

    Task<void> run(int steps) override;
    Task<void> finish() override;
    Task<void> check_all(NfsMount& mount) override;

  private:
    Task<void> step();
    Task<bool> make_home();
    Task<void> make();
    Task<void> make_exclusively();
    Task<void> rename();
    Task<void> link();
    Task<void> remove();
    Task<void> list();
    /// After an answer that leaves it open what has been done: looks.
    Task<void> find_out();
    [[nodiscard]] std::string pick(const std::set<std::string>& from);
    [[nodiscard]] std::string new_name();
    /// Puts an end to what was asked: true if it is known to be done. `if_done_before`: the
    /// error that a second attempt would meet.
    bool settle(NfsHistory::Asked asked, const Result<void>& done, Errno if_done_before);

    NfsCaller caller_;
    NfsRules& rules_;
    std::string prefix_;
    fuse::NodeId home_ = {};
    bool has_home_ = false;
    bool knows_names_ = true;
    std::set<std::string> directories_;
    std::set<std::string> files_;
    int given_up_count_ = 0;
};

}  // namespace dpfs::sim
