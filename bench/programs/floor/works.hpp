// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bench/random.hpp"
#include "floor/wire.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <sys/uio.h>
#include <vector>

namespace dpfs::nfs_floor {

struct WorkOptions {
    std::string name = "randread";
    std::string file = "data", directory = "listing";
    std::uint32_t block_size = 4096;
    std::uint64_t file_size = 256 << 20;
    /// A COMMIT follows so many bytes that the server has in its memory only: a quarter of
    /// nfs_uncommitted_max, as the back end does it.
    std::uint64_t commit_size = 16 << 20;
};

/// What all slots of a run share.
struct Target {
    WorkOptions options;
    std::string directory_handle;  ///< of what the files are in
    std::string handle, state;     ///< of what is worked on
    std::uint64_t client_id = 0;
    nfs4::SessionId session = {};
    std::vector<std::byte> data;  ///< what is written
    bench::Random random{1};
    std::uint64_t position = 0;       ///< of who works from the beginning to the end
    std::uint64_t unstable_size = 0;  ///< bytes that are not committed

    [[nodiscard]] std::uint64_t next_offset();
};
Target make_target(Session& session, std::string_view directory, WorkOptions options);

/// One slot's operations, one after the other: each is a compound, or several that follow each
/// other.
class Work {
  public:
    Work() = default;
    Work(const Work&) = delete;
    Work& operator=(const Work&) = delete;
    virtual ~Work() = default;

    /// The next compound.
    virtual Compound& next() = 0;
    /// Data that follow it.
    [[nodiscard]] virtual std::span<const std::byte> payload() const { return {}; }
    /// Its results, from behind SEQUENCE's on. True: the operation has ended.
    virtual bool take(rpc::XdrReader& in) = 0;
};
/// Gives up on a name that it does not know.
std::unique_ptr<Work> make_work(Target& target, std::uint32_t slot);

}  // namespace dpfs::nfs_floor
