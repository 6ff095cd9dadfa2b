// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/log.hpp"
#include "fs/nfs/nfs_fs.hpp"
#include "reactor/sim_world.hpp"

#include <cstddef>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace dpfs::sim {

/// A mounted export, as the tenant's kernel sees it: the file system's operations, each on the
/// reactor on which its caller is. Names are copied, so that nobody's text must outlive a call.
///
/// Thread    the world's.
class NfsMount {
  public:
    NfsMount(reactor::SimWorld& world,
             nfs::NfsOptions options,
             std::vector<reactor::Reactor*> reactors,
             Logger log);
    ~NfsMount();

    Task<Result<void>> start();
    /// A tenant's end, then the file system's.
    Task<void> stop();
    /// As when a device is reset: whatever waits, now or later, is to end.
    void interrupt_all();
    [[nodiscard]] reactor::SimWorld& world() noexcept { return world_; }
    [[nodiscard]] reactor::Reactor& home() noexcept { return *reactors_.front(); }
    [[nodiscard]] nfs::NfsFs& file_system() noexcept { return *file_system_; }

  private:
    friend class NfsCaller;

    reactor::SimWorld& world_;
    std::vector<reactor::Reactor*> reactors_;
    std::unique_ptr<nfs::NfsFs> file_system_;
    std::set<reactor::CancelSource*> calls_;  // under way
    bool interrupted_ = false;
};

/// One caller in the tenant, on one of its reactors.
class NfsCaller {
  public:
    NfsCaller(NfsMount& mount, reactor::Reactor& reactor) : mount_(mount), reactor_(reactor) {}
    NfsCaller(const NfsCaller&) = delete;
    NfsCaller& operator=(const NfsCaller&) = delete;

    [[nodiscard]] reactor::Reactor& reactor() noexcept { return reactor_; }
    [[nodiscard]] Instant now() noexcept { return mount_.world().now(); }
    [[nodiscard]] fuse::FileSystem& file_system() noexcept { return mount_.file_system(); }
    /// Whoever calls may be interrupted: fires once, after `time`, for what is under way then.
    void interrupt_after(Duration time) { interrupt_after_ = time; }
    [[nodiscard]] bool was_interrupted() const noexcept { return was_interrupted_; }

    struct File {
        fuse::NodeId node = {};
        fuse::FileHandle handle = {};
    };
    Task<Result<fuse::Entry>> look_up(fuse::NodeId parent, std::string name);
    Task<Result<File>> create(fuse::NodeId parent, std::string name, std::uint32_t flags);
    Task<Result<fuse::FileHandle>> open(fuse::NodeId node, std::uint32_t flags);
    Task<Result<void>> close(File file);
    Task<Result<std::vector<std::byte>>> read(File file,
                                              std::uint64_t offset,
                                              std::size_t size);
    Task<Result<std::size_t>> write(File file,
                                    std::uint64_t offset,
                                    std::span<const std::byte> data);
    Task<Result<void>> sync(File file);
    Task<Result<void>> truncate(File file, std::uint64_t size);
    Task<Result<std::uint64_t>> size_of(fuse::NodeId node);
    Task<Result<fuse::NodeId>> make_directory(fuse::NodeId parent, std::string name);
    Task<Result<void>> remove(fuse::NodeId parent, std::string name);
    Task<Result<void>> remove_directory(fuse::NodeId parent, std::string name);
    Task<Result<void>> rename(fuse::NodeId parent, std::string from, std::string to);
    Task<Result<void>> link(fuse::NodeId node, fuse::NodeId parent, std::string name);
    /// All names but "." and "..".
    Task<Result<std::set<std::string>>> list(fuse::NodeId directory, bool plus);
    Task<Result<void>> lock(File file, std::uint64_t owner, std::uint32_t type, bool wait);
    Task<void> forget(fuse::NodeId node, std::uint64_t count = 1);

  private:
    class Call;
    Task<void> interrupt_later(Call& call);

    NfsMount& mount_;
    reactor::Reactor& reactor_;
    Duration interrupt_after_ = {};
    bool was_interrupted_ = false;
};

}  // namespace dpfs::sim
