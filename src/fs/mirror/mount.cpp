// SPDX-License-Identifier: Apache-2.0
#include "fs/mirror/mount.hpp"

#include "fs/mirror/proc_fd.hpp"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>

namespace dpfs::mirror {
namespace {

// Not in every linux/magic.h.
constexpr std::uint64_t xfs_magic = 0x58465342;
constexpr std::uint64_t bcachefs_magic = 0xca451a4e;
constexpr std::uint64_t zfs_magic = 0x2fc12fc1;

Mount::Kind kind_of(std::uint64_t magic) noexcept {
    switch (magic) {
        case TMPFS_MAGIC:
        case RAMFS_MAGIC:
            return Mount::Kind::memory;
        case EXT4_SUPER_MAGIC:  // ext2 and ext3 have the same
        case xfs_magic:
        case BTRFS_SUPER_MAGIC:
        case F2FS_SUPER_MAGIC:
        case bcachefs_magic:
        case zfs_magic:
        case OVERLAYFS_SUPER_MAGIC:
        case SQUASHFS_MAGIC:
        case ISOFS_SUPER_MAGIC:
        case MSDOS_SUPER_MAGIC:
            return Mount::Kind::local;
        default:
            return Mount::Kind::remote;  // unknown: nothing is promised
    }
}

/// The kernel's struct file_handle with room for the largest handle.
struct HandleSpace {
    union {
        ::file_handle header;
        char room[sizeof(::file_handle) + MAX_HANDLE_SZ];
    };
};

}  // namespace

Mount::Mount(std::uint64_t device, std::uint64_t id, int fd, int proc_fd, bool always_async)
    : device_(device), id_(id) {
    struct statfs status = {};
    if (::fstatfs(fd, &status) == 0) {
        kind_ = kind_of(static_cast<std::uint64_t>(status.f_type));
    }
    never_in_place_ = always_async || kind_ == Kind::remote;
    always_in_place_ = !always_async && kind_ == Kind::memory;
    // tmpfs refuses RWF_NOWAIT, and needs none.
    nowait_ = !never_in_place_ && !always_in_place_;

    // Handles are of use where one can be turned back into a descriptor, which takes a
    // capability and an exportable file system: a try tells. The descriptor that stands for
    // the mount must not be O_PATH; devices and the like are not opened, for nothing.
    struct stat st = {};
    if (::fstat(fd, &st) != 0 || (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))) return;
    const auto handle = host_handle(fd, "", AT_EMPTY_PATH);
    auto opened = reopen(proc_fd, fd, O_RDONLY | O_NONBLOCK);
    if (!handle || !opened) return;
    if (open_host_handle(opened->get(), *handle)) handle_fd_ = std::move(*opened);
}

std::shared_ptr<Mount> Mounts::find_or_add(std::uint64_t device, std::uint64_t id, int fd) {
    const std::lock_guard lock(mutex_);
    std::erase_if(known_, [](const auto& mount) { return mount.expired(); });
    for (const auto& known : known_) {
        auto mount = known.lock();
        if (mount && mount->is(device, id)) return mount;
    }
    auto made = std::make_shared<Mount>(device, id, fd, proc_fd_, always_async_);
    known_.push_back(made);
    return made;
}

Result<HostHandle> host_handle(int dir, const char* name, int at_flags) {
    HandleSpace space = {};
    space.header.handle_bytes = MAX_HANDLE_SZ;
    int mount_id = 0;
    if (::name_to_handle_at(dir, name, &space.header, &mount_id, at_flags) != 0) {
        return fail_errno();
    }
    const std::size_t offset = offsetof(::file_handle, f_handle);
    return HostHandle{space.header.handle_type,
                      std::string(space.room + offset, space.header.handle_bytes)};
}

Result<UniqueFd> open_host_handle(int mount_fd, const HostHandle& handle) {
    if (handle.bytes.size() > MAX_HANDLE_SZ) return fail(Errno::invalid);
    HandleSpace space = {};
    space.header.handle_bytes = static_cast<unsigned>(handle.bytes.size());
    space.header.handle_type = handle.type;
    std::memcpy(space.room + offsetof(::file_handle, f_handle),
                handle.bytes.data(),
                handle.bytes.size());
    const int fd = ::open_by_handle_at(mount_fd, &space.header, O_PATH | O_CLOEXEC);
    if (fd < 0) return fail_errno();
    return UniqueFd(fd);
}

}  // namespace dpfs::mirror
