// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "fs/mirror/pace.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <sys/stat.h>
#include <vector>

namespace dpfs::mirror {

/// What kind of calls a Pace is for: they find different things in memory.
enum class CallKind : std::uint8_t {
    look,    ///< names and attributes: lookups, opens, xattrs
    list,    ///< directory contents
    read,    ///< data, where RWF_NOWAIT is not supported
    write,   ///< buffered data
    change,  ///< what goes to a journal
};
inline constexpr std::size_t call_kind_count = 5;

/// One mount of one host file system, as seen in the shared directory: what it is, what it has
/// proved to be capable of, and how fast it answers.
///
/// Thread    any.
class Mount {
  public:
    enum class Kind : std::uint8_t {
        memory,  ///< tmpfs: nothing ever waits for a device
        local,   ///< on a block device, with caches in this kernel
        remote,  ///< asks a server or another process: every call may take its time
    };

    /// `fd`: O_PATH descriptor of anything on the mount.
    Mount(std::uint64_t device, std::uint64_t id, int fd, int proc_fd, bool always_async);

    [[nodiscard]] bool is(std::uint64_t device, std::uint64_t id) const noexcept {
        return device == device_ && id == id_;
    }
    [[nodiscard]] std::uint64_t device() const noexcept { return device_; }
    [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
    [[nodiscard]] Kind kind() const noexcept { return kind_; }

    /// A call whose way its kind's pace decides.
    [[nodiscard]] PacedCall call(CallKind kind) noexcept {
        return {paces_[static_cast<std::size_t>(kind)], always_in_place_, never_in_place_};
    }
    /// Whether fstat-like calls on a descriptor in hand may be made in place: the inode is in
    /// memory then, so but for remote file systems nothing can wait. Measured: 0.4 µs in place,
    /// 3 µs through the ring, which makes them on a worker thread.
    [[nodiscard]] bool answers_at_once() const noexcept {
        return kind_ != Kind::remote && !never_in_place_;
    }
    [[nodiscard]] bool always_in_place() const noexcept { return always_in_place_; }
    [[nodiscard]] bool never_in_place() const noexcept { return never_in_place_; }

    /// Whether preadv2(RWF_NOWAIT) is worth a try.
    [[nodiscard]] bool reads_without_waiting() const noexcept {
        return nowait_.load(std::memory_order_relaxed);
    }
    void cannot_read_without_waiting() noexcept {
        nowait_.store(false, std::memory_order_relaxed);
    }

    /// A descriptor for open_by_handle_at(2), or -1 where inodes cannot be found by handle.
    [[nodiscard]] int handle_fd() const noexcept { return handle_fd_.get(); }

  private:
    const std::uint64_t device_;
    const std::uint64_t id_;
    Kind kind_ = Kind::remote;
    bool always_in_place_ = false;
    bool never_in_place_ = true;
    std::atomic<bool> nowait_ = true;
    UniqueFd handle_fd_;
    std::array<Pace, call_kind_count> paces_;
};

/// The mounts that known inodes lie on; a mount is let go with its last inode, so that the host
/// can unmount it.
class Mounts {
  public:
    /// `proc_fd`: of /proc/self/fd; outlives this.
    Mounts(int proc_fd, bool always_async) : proc_fd_(proc_fd), always_async_(always_async) {}

    /// `fd`: O_PATH descriptor of something on the mount.
    std::shared_ptr<Mount> find_or_add(std::uint64_t device, std::uint64_t id, int fd);

  private:
    const int proc_fd_;
    const bool always_async_;
    std::mutex mutex_;
    std::vector<std::weak_ptr<Mount>> known_;
};

/// An inode's handle as name_to_handle_at(2) gives it: finds it again after all its descriptors
/// are closed, and is never given to another inode.
struct HostHandle {
    std::int32_t type = 0;
    std::string bytes;
    bool operator==(const HostHandle&) const = default;
};

/// Errors: EOPNOTSUPP (the file system has none), EOVERFLOW, ENOENT….
[[nodiscard]] Result<HostHandle> host_handle(int dir, const char* name, int at_flags);
/// An O_PATH descriptor. Errors: ESTALE (the inode is gone), EPERM….
[[nodiscard]] Result<UniqueFd> open_host_handle(int mount_fd, const HostHandle& handle);

}  // namespace dpfs::mirror
