// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bench/forget_queue.hpp"
#include "bench/options.hpp"
#include "bench/outcome.hpp"
#include "bench/slot.hpp"
#include "bench/test_tree.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

namespace dpfs::bench {

inline constexpr std::uint64_t root_nodeid = 1;  ///< FUSE_ROOT_ID, include/uapi/linux/fuse.h

/// Where an operation stands after a reply.
enum class Progress : std::uint8_t {
    more,    ///< its next request is prepared
    done,    ///< it is complete
    failed,  ///< failure() says why
};

/// One kind of work on one queue: what requests an operation consists of. Slots are the
/// operations in flight; each goes through begin(), and then take() for every reply.
///
/// Thread    one at a time: the queue's.
class Workload {
  public:
    virtual ~Workload() = default;

    /// Lays out in `slot` what all operations have in common. Once, before the first begin().
    virtual void lay_out(Slot& slot) { slot.number = 0; }
    /// Prepares the first request of an operation.
    virtual void begin(Slot& slot) = 0;
    /// Takes the reply to the last request, whose buffers have `written` bytes.
    [[nodiscard]] virtual Progress take(Slot& slot, std::uint32_t written) = 0;
    /// Gives back what the operations have left behind; nothing is in flight.
    [[nodiscard]] virtual Result<void> finish() { return {}; }

    [[nodiscard]] const std::string& failure() const noexcept { return failure_; }

  protected:
    [[nodiscard]] Progress fail_with(std::string failure) {
        failure_ = std::move(failure);
        return Progress::failed;
    }
    /// Says what is wrong with a reply that is not as long as it must be, or has an error.
    [[nodiscard]] Progress refuse(const Slot& slot, std::uint32_t written);

  private:
    std::string failure_;
};

/// What a work is made with.
struct WorkloadSite {
    TestTree& tree;
    ForgetQueue& forgets;
    const LoadOptions& load;
    std::size_t lane_index = 0;  ///< of the queue in its device
};

/// Makes the work and what it needs in the file system.
Outcome<std::unique_ptr<Workload>> make_workload(Work work, const WorkloadSite& site);

// One function for each family; make_workload() calls them.
Outcome<std::unique_ptr<Workload>> make_io_workload(Work work, const WorkloadSite& site);
Outcome<std::unique_ptr<Workload>> make_inode_workload(Work work, const WorkloadSite& site);
Outcome<std::unique_ptr<Workload>> make_handle_workload(Work work, const WorkloadSite& site);
Outcome<std::unique_ptr<Workload>> make_list_workload(Work work, const WorkloadSite& site);

}  // namespace dpfs::bench
