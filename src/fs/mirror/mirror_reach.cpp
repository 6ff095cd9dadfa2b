// SPDX-License-Identifier: Apache-2.0
#include "base/or_return.hpp"
#include "fs/mirror/mirror_fs.hpp"
#include "fuse/wire_inode.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

namespace dpfs::mirror {
namespace {

/// Opens one component without opening what it names: O_PATH touches neither devices nor FIFOs,
/// and nothing is followed, neither a tenant's symlink nor a magic link of a procfs below.
open_how path_only(SubmountPolicy submounts) noexcept {
    open_how how = {};
    how.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    if (submounts == SubmountPolicy::refuse) how.resolve |= RESOLVE_NO_XDEV;
    return how;
}

/// The kernel's 32-bit encoding of device numbers, new_encode_dev().
std::uint32_t encode_device(std::uint32_t major, std::uint32_t minor) noexcept {
    return (minor & 0xff) | (major << 8) | ((minor & ~std::uint32_t{0xff}) << 12);
}

std::uint64_t seconds_of(const statx_timestamp& time) noexcept {
    return static_cast<std::uint64_t>(time.tv_sec);
}

}  // namespace

Task<Result<InodePin>> MirrorFs::reach(fuse::Context& context, fuse::NodeId node) {
    using Reached = Task<Result<InodePin>>;
    auto inode = inodes_.pin(node);
    if (!inode) return Reached::ready(fail(inode.error()));
    if ((*inode)->descriptor() < 0) return reach_slowly(context, std::move(*inode));
    InodeTable::touch(*inode);
    return Reached::ready(std::move(inode));
}

Task<Result<InodePin>> MirrorFs::reach_slowly(fuse::Context& context, InodePin inode) {
    co_await or_return(co_await open_again(context, inode));
    co_return std::move(inode);
}

Task<Result<void>> MirrorFs::open_again(fuse::Context& context, InodePin& inode) {
    if (inode->descriptor() >= 0) co_return Result<void>();
    if (inode->locator() == Inode::Locator::name) {
        co_return co_await open_by_name(context, inode);
    }
    Mount& mount = inode->mount();
    auto open = [&]() { return open_host_handle(mount.handle_fd(), inode->handle()); };
    // The call needs the daemon's own capability, not the caller's identity.
    PacedCall paced = mount.call(CallKind::look);
    Result<UniqueFd> opened = fail(Errno::stale);
    if (paced.in_place()) {
        opened = open();
        paced.end();
    } else {
        opened = co_await on_pool(context, paced, nullptr, open);
    }
    UniqueFd fd = co_await or_return(std::move(opened));
    inodes_.descriptors().install(inode, std::move(fd), true);
    InodeTable::touch(inode);
    co_return Result<void>();
}

Task<Result<void>> MirrorFs::open_by_name(fuse::Context& context, InodePin& inode) {
    InodePin dir = inode->parent().share();
    co_await or_return(co_await open_again(context, dir));
    auto found = co_await find_name(context, dir, inode->name().c_str());
    // Another one by that name now: the one the tenant was told of is gone, or elsewhere.
    if (!found || Identity::of(found->attributes) != inode->identity()) {
        co_return fail(Errno::stale);
    }
    if (!inodes_.descriptors().has_room_to_keep()) {
        co_return fail(Errno::too_many_files_system);
    }
    const bool evictable = inode->mount().handle_fd() >= 0;
    inodes_.descriptors().install(inode, std::move(found->fd), evictable);
    InodeTable::touch(inode);
    co_return Result<void>();
}

Task<Result<MirrorFs::Found>> MirrorFs::find_name(fuse::Context& context,
                                                  InodePin& dir,
                                                  const char* name) {
    Mount& mount = dir->mount();
    open_how how = path_only(options_.submounts);
    PacedCall paced = mount.call(CallKind::look);
    Result<UniqueFd> opened = fail(Errno::no_entry);
    if (paced.in_place()) {
        const long fd = ::syscall(SYS_openat2, dir->descriptor(), name, &how, sizeof how);
        if (fd < 0) {
            opened = fail_errno();
        } else {
            opened = UniqueFd(static_cast<int>(fd));
        }
    } else {
        const auto* const who = acts_as_caller_ ? &context.caller : nullptr;
        opened = co_await context.reactor.openat2(dir->descriptor(), name, how).as(who);
    }
    paced.end();
    UniqueFd fd = co_await or_return(std::move(opened));
    const auto attributes =
        co_await or_return(co_await attributes_through(context, mount, fd.get()));
    co_return Found{std::move(fd), attributes};
}

Task<Result<struct statx>> MirrorFs::attributes_through(fuse::Context& context,
                                                        Mount& mount,
                                                        int fd) {
    struct statx found = {};
    if (mount.answers_at_once() && !options_.async_getattr) {
        if (stat_descriptor(fd, 0, statx_mask, found) != 0) co_return fail_errno();
        co_return found;
    }
    co_await or_return(
        co_await context.reactor.statx(fd, "", AT_EMPTY_PATH, statx_mask, found));
    co_return found;
}

Task<Result<std::shared_ptr<Mount>>> MirrorFs::mount_of(fuse::Context& context,
                                                        InodePin& dir,
                                                        Found& found) {
    const Identity identity = Identity::of(found.attributes);
    if (dir->mount().is(identity.device, identity.mount_id)) co_return dir->shared_mount();
    // Rare, and asks a file system of which nothing is known yet.
    auto add = [&]() {
        return mounts_.find_or_add(identity.device, identity.mount_id, found.fd.get());
    };
    auto mount = co_await context.reactor.blocking(add);
    co_return mount;
}

Task<Result<InodePin>> MirrorFs::reference(fuse::Context& context, InodePin& dir, Found found) {
    auto mount = co_await or_return(co_await mount_of(context, dir, found));
    auto known = inodes_.find(found.attributes, false);
    if (known.match == InodeTable::Match::unverified) {
        const auto handle = host_handle(found.fd.get(), "", AT_EMPTY_PATH);
        const InodePin& inode = known.inode;
        if (handle && inode->descriptor() < 0 && *handle == inode->handle()) {
            inodes_.descriptors().install(inode, std::move(found.fd), true);
        } else if (inode->descriptor() < 0) {
            inodes_.supersede(inode);  // its number was used again
        }
    }
    co_return inodes_.reference(found.attributes, std::move(found.fd), mount);
}

Task<Result<fuse::Entry>> MirrorFs::enter(fuse::Context& context, InodePin& dir, Found found) {
    const struct statx attributes = found.attributes;
    const InodePin inode =
        co_await or_return(co_await reference(context, dir, std::move(found)));
    co_return entry_of(inode, dir->mount(), attributes);
}

Task<void> MirrorFs::keep_reachable(fuse::Context& context, InodePin& dir, fuse::Name name) {
    // Costs nothing where every known inode has its descriptor.
    DescriptorCache& descriptors = inodes_.descriptors();
    if (descriptors.unopened_count() == 0 || !descriptors.has_room_to_keep()) co_return;
    struct statx found = {};
    const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;
    auto ask = [&]() -> Result<void> {
        if (::statx(dir->descriptor(), name.c_str(), flags, statx_mask, &found) != 0) {
            return fail_errno();
        }
        return {};
    };
    const Result<void> asked = co_await look(context, dir->mount(), CallKind::look, ask);
    if (!asked) co_return;
    auto known = inodes_.find(found, false);
    if (known.inode) static_cast<void>(co_await open_again(context, known.inode));
}

fuse::Attributes MirrorFs::attributes_of(const struct statx& found) const noexcept {
    return {.ino = found.stx_ino,
            .size = found.stx_size,
            .blocks = found.stx_blocks,
            .atime = seconds_of(found.stx_atime),
            .mtime = seconds_of(found.stx_mtime),
            .ctime = seconds_of(found.stx_ctime),
            .atimensec = found.stx_atime.tv_nsec,
            .mtimensec = found.stx_mtime.tv_nsec,
            .ctimensec = found.stx_ctime.tv_nsec,
            .mode = found.stx_mode,
            .nlink = found.stx_nlink,
            .uid = uid_map_.to_guest(found.stx_uid),
            .gid = gid_map_.to_guest(found.stx_gid),
            .rdev = encode_device(found.stx_rdev_major, found.stx_rdev_minor),
            .blksize = found.stx_blksize,
            .flags = 0};
}

fuse::Entry MirrorFs::entry_of(const InodePin& inode,
                               const Mount& parent_mount,
                               const struct statx& found) const noexcept {
    fuse::Entry entry = {.node = InodeTable::node_of(inode),
                         .generation = InodeTable::generation_of(inode),
                         .attributes = attributes_of(found),
                         .entry_valid = entry_valid_,
                         .attributes_valid = attributes_valid_};
    const bool is_submount = inode->is(S_IFDIR) && &inode->mount() != &parent_mount;
    if (is_submount && announces_submounts_.load(std::memory_order_relaxed)) {
        entry.attributes.flags |= fuse::wire::attr_submount;
    }
    return entry;
}

Result<fuse::Entry> MirrorFs::no_entry(Errno error) const noexcept {
    if (error != Errno::no_entry || negative_valid_ <= Duration{}) return fail(error);
    fuse::Entry entry = {};
    entry.node = fuse::negative_node;
    entry.entry_valid = negative_valid_;
    return entry;
}

const reactor::Credentials* MirrorFs::host_caller(const fuse::Context& context,
                                                  reactor::Credentials& mapped) const {
    const reactor::Credentials& caller = context.caller;
    if (!acts_as_caller_) return nullptr;
    if (!maps_ids()) return &caller;

    mapped.uid = uid_map_.to_host(caller.uid).value_or(ids::IdMap::overflow_id);
    mapped.gid = gid_map_.to_host(caller.gid).value_or(ids::IdMap::overflow_id);
    mapped.group_count = 0;
    for (const std::uint32_t group : caller.group_list()) {
        // A group that the host does not have gives no rights here.
        if (const auto known = gid_map_.to_host(group)) {
            mapped.groups[mapped.group_count++] = *known;
        }
    }
    return &mapped;
}

Result<const reactor::Credentials*> MirrorFs::host_creator(const fuse::Context& context,
                                                           reactor::Credentials& mapped) const {
    // As Linux: nothing is made that would belong to nobody.
    if (!uid_map_.to_host(context.caller.uid) || !gid_map_.to_host(context.caller.gid)) {
        return fail(Errno::overflow);
    }
    return host_caller(context, mapped);
}

}  // namespace dpfs::mirror
