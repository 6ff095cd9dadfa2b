// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bench/client.hpp"
#include "bench/forget_queue.hpp"
#include "bench/options.hpp"
#include "bench/outcome.hpp"
#include "bench/pattern.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace dpfs::bench {

/// A file that has been written whole, block by block, or was there.
struct TestFile {
    std::string name;
    OpenedFile file;               ///< as it was made; open for reading and writing
    std::uint64_t run_handle = 0;  ///< the one to measure with: O_DIRECT where asked for
    std::uint64_t lookup_count = 1;
    std::uint64_t block_count = 0;
    Pattern pattern;                      ///< of version 0
    std::vector<std::uint32_t> versions;  ///< by block, where contents are verified
    std::vector<bool> busy;               ///< the same: a request for the block is in flight
};

/// A directory with many empty files.
struct TestDirectory {
    std::string name;
    std::uint64_t nodeid = 0;
    std::uint32_t entry_count = 0;
};

/// What the works need in the file system, made through the device when it is first asked for,
/// in the device's root, and removed at the end.
///
/// Errors    of all calls: one line with the device and what it refused.
/// Thread    one at a time.
class TestTree {
  public:
    /// Names begin with `prefix`, which nobody else uses.
    TestTree(Target& target,
             Client& client,
             ForgetQueue& forgets,
             const Options& options,
             std::string prefix);

    /// The file of one queue.
    Outcome<TestFile*> file(std::size_t lane_index);
    /// The directory that all queues list.
    Outcome<TestDirectory*> directory();
    [[nodiscard]] const std::string& prefix() const noexcept { return prefix_; }

    /// Removes everything; goes on after an error, and tells the first one.
    Outcome<void> remove();

  private:
    /// The one that LoadOptions names.
    Outcome<TestFile*> shared_file(std::size_t lane_index);
    Outcome<void> make_file(Lane& lane, TestFile& file);
    Result<void> fill_file(Lane& lane, TestFile& file);
    Outcome<void> make_directory();
    Result<void> remove_entry(const std::string& name);
    [[nodiscard]] std::unexpected<std::string> refused(const std::string& what,
                                                       Errno error) const;

    Target& target_;
    Client& client_;
    ForgetQueue& forgets_;
    LoadOptions load_;
    std::uint32_t write_size_max_;  // by the ring
    std::string prefix_;
    std::vector<std::optional<TestFile>> files_;  // by lane
    std::optional<TestDirectory> directory_;
};

}  // namespace dpfs::bench
