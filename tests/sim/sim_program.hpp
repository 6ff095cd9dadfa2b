// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/task.hpp"
#include "reactor/sim_random.hpp"
#include "sim_guest.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace dpfs::sim {

/// One program in the guest: it works on files of its own, in an order that chance decides, and
/// knows at any time what each must hold. Whatever the device says is held against that; what
/// is wrong is a failed expectation of the running test.
///
/// After a write that failed, the bytes it was to change may be old or new: they are not
/// compared any more until they have been written again.
class Program {
  public:
    Program(Guest& guest,
            reactor::SimRandom& random,
            std::string name_prefix,
            std::uint16_t queue);

    /// Takes `steps` random steps, or as many as it can before the guest crashes.
    Task<void> run(int steps);

    /// Closes what it has open and gives all references back.
    Task<void> finish();

    /// Looks at every file through `guest`, perhaps another mount than the one that wrote them:
    /// what was acknowledged is there.
    Task<void> check_all(Guest& guest);

  private:
    struct File {
        std::uint64_t nodeid = 0;
        std::uint64_t handle = 0;
        std::uint64_t lookups = 0;
        bool open = false;
        bool size_known = true;
        std::vector<std::byte> contents;
        std::vector<bool> known;  // byte by byte; as long as contents
    };

    Task<Result<void>> step();
    Task<Result<void>> create();
    Task<Result<void>> write(File& file);
    Task<Result<void>> read(Guest& guest, File& file);
    Task<Result<void>> truncate(File& file);
    Task<Result<void>> check_size(Guest& guest, File& file);
    Task<Result<void>> rename(std::string from);
    Task<Result<void>> unlink(std::string name);
    Task<Result<void>> look_up(Guest& guest, std::string name, File& file);
    Task<Result<void>> open(Guest& guest, File& file);
    Task<Result<void>> close(Guest& guest, File& file);
    Task<Result<void>> sync(File& file);
    Task<void> check_gone(std::string name);

    void grow(File& file, std::size_t size);
    std::string new_name();
    /// Whether an error may come from an injected fault or a crash; anything else is wrong.
    static bool is_excused(Errno error);

    Guest& guest_;
    reactor::SimRandom& random_;
    const std::string prefix_;
    const std::uint16_t queue_;
    int made_count_ = 0;
    std::map<std::string, File> files_;
};

}  // namespace dpfs::sim
