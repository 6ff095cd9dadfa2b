// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "nfs_program.hpp"
#include "nfs_rules.hpp"

#include <map>
#include <string>
#include <vector>

namespace dpfs::sim {

/// A program that works on files of its own, in an order that chance decides, and knows at any
/// time what each must hold: what it has written it reads again, from its first byte to its
/// last, whatever has become of connections, sessions and servers meanwhile.
///
/// After a change that failed, what it was to change may be old or new: it is not compared any
/// more until it has been written again. What was given up may still be done a while later:
/// until then nothing is known of what is written meanwhile.
class NfsDataProgram final : public NfsProgram {
  public:
    NfsDataProgram(NfsMount& mount,
                   reactor::Reactor& reactor,
                   NfsRules& rules,
                   std::string prefix);

    Task<void> run(int steps) override;
    Task<void> finish() override;
    Task<void> check_all(NfsMount& mount) override;

  private:
    struct File {
        NfsCaller::File id = {};
        bool open = false;
        bool size_known = true;
        Instant settled = {};  // until then something that was given up may still be done
        std::vector<std::byte> contents = {};
        std::vector<bool> known = {};
    };

    Task<void> step();
    Task<void> create();
    Task<void> write(File& file);
    Task<void> read(NfsCaller& caller, File& file);
    Task<void> read_all(NfsCaller& caller, File& file);
    Task<void> compare(NfsCaller& caller, File& file, std::size_t offset, std::size_t size);
    Task<void> truncate(File& file);
    Task<void> sync(File& file);
    Task<void> reopen(File& file);
    Task<void> rename(std::string from);
    Task<void> unlink(std::string name);
    void forget_range(File& file, std::size_t begin, std::size_t end, Errno why);
    [[nodiscard]] bool is_settled(const File& file) { return file.settled <= caller_.now(); }
    bool allow(const char* what, Errno error);

    NfsCaller caller_;
    NfsRules& rules_;
    const std::string prefix_;
    int made_count_ = 0;
    std::map<std::string, File> files_;
};

}  // namespace dpfs::sim
