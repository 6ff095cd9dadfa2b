// SPDX-License-Identifier: Apache-2.0
#include "base/or_return.hpp"
#include "fs/mirror/mirror_fs.hpp"
#include "fs/mirror/proc_fd.hpp"
#include "fuse/directory_writer.hpp"
#include "fuse/wire_file.hpp"

#include <dirent.h>
#include <fcntl.h>

namespace dpfs::mirror {
namespace {

bool is_dot_or_dot_dot(std::string_view name) noexcept {
    return name == "." || name == "..";
}

}  // namespace

Result<OpenFilePin> MirrorFs::directory_of(fuse::NodeId node,
                                           fuse::FileHandle handle) noexcept {
    auto file = handle_of(node, handle);
    if (file && !(*file)->directory) return fail(Errno::not_directory);
    return file;
}

Task<Result<fuse::OpenReply>> MirrorFs::opendir(fuse::Context& context,
                                                fuse::NodeId node,
                                                fuse::OpenRequest request) {
    static_cast<void>(request);  // a directory can be opened in one way only
    InodePin inode = co_await or_return(co_await reach(context, node));
    if (!inode->is(S_IFDIR)) co_return fail(Errno::not_directory);
    auto open_it = [&]() {
        return reopen(proc_fd_.get(), inode->descriptor(), O_RDONLY | O_DIRECTORY);
    };
    UniqueFd fd =
        co_await or_return(co_await look(context, inode->mount(), CallKind::look, open_it));

    OpenFilePin made = co_await or_return(open_files_.make());
    made->inode = std::move(inode);
    made->descriptor = std::move(fd);
    made->directory = std::make_unique<DirectoryStream>();
    open_files_.publish(made);
    fuse::OpenReply reply = {.handle = fuse::FileHandle{made.id()}};
    if (options_.cache == CachePolicy::always) {
        reply.open_flags = fuse::wire::fopen::cache_dir | fuse::wire::fopen::keep_cache;
    }
    co_return reply;
}

Task<Result<void>> MirrorFs::readdir(fuse::Context& context,
                                     fuse::NodeId node,
                                     fuse::FileHandle handle,
                                     std::uint64_t offset,
                                     fuse::DirectoryWriter& out) {
    return list(context, node, handle, offset, out);
}

Task<Result<void>> MirrorFs::readdirplus(fuse::Context& context,
                                         fuse::NodeId node,
                                         fuse::FileHandle handle,
                                         std::uint64_t offset,
                                         fuse::DirectoryWriter& out) {
    return list(context, node, handle, offset, out);
}

Task<Result<void>> MirrorFs::list(fuse::Context& context,
                                  fuse::NodeId node,
                                  fuse::FileHandle handle,
                                  std::uint64_t offset,
                                  fuse::DirectoryWriter& out) {
    OpenFilePin dir = co_await or_return(directory_of(node, handle));
    DirectoryStream& stream = *dir->directory;
    Mount& mount = dir->inode->mount();
    const int fd = dir->descriptor.get();
    const auto hold = co_await stream.mutex.lock(context.reactor);

    auto fill = [&]() { return stream.fill(fd); };
    if (!stream.is_at(offset)) {
        auto seek = [&]() { return stream.seek(fd, offset); };
        co_await or_return(co_await look(context, mount, CallKind::list, seek));
    }
    for (;;) {
        if (stream.empty()) {
            co_await or_return(co_await look(context, mount, CallKind::list, fill));
            if (stream.empty()) break;  // the end of the directory
        }
        const auto entry = co_await or_return(stream.peek());
        if (!out.has_room_for(entry.name.size())) {
            // An empty answer would mean the end.
            if (out.size() == 0) co_return fail(Errno::invalid);
            break;
        }
        const bool added = co_await add_entry(context, *dir, entry, out);
        if (!added) break;
        stream.pop();
    }
    co_return Result<void>();
}

Task<bool> MirrorFs::add_entry(fuse::Context& context,
                               OpenFile& dir,
                               DirectoryStream::Entry entry,
                               fuse::DirectoryWriter& out) {
    fuse::DirectoryWriter::Item item = {.name = entry.name,
                                        .ino = entry.ino,
                                        .type = entry.type,
                                        .next_offset = entry.next_offset};
    const bool is_root = InodeTable::node_of(dir.inode) == fuse::root_node;
    if (is_root && entry.name == "..") {
        // What lies above the shared directory is not the tenant's to know.
        item.ino = dir.inode->identity().ino;
    }
    if (!out.plus()) return Task<bool>::ready(out.add(item));
    // Node 0: a name without an inode.
    if (is_dot_or_dot_dot(entry.name)) return Task<bool>::ready(out.add(item, {}));

    PacedCall paced = dir.inode->mount().call(CallKind::look);
    if (!paced.in_place()) return add_slowly(context, dir.inode, item, out);
    struct statx found;
    const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;
    const int failed =
        ::statx(dir.descriptor.get(), entry.name.data(), flags, statx_mask, &found);
    paced.end();
    if (failed != 0) return Task<bool>::ready(out.add(item, {}));
    auto inode = reference_listed(dir.inode, found, entry.name);
    // On another mount, or to be told apart by its handle.
    if (!inode && inode.error() == Errno::again) {
        return add_slowly(context, dir.inode, item, out);
    }
    return Task<bool>::ready(add_referenced(inode, dir.inode->mount(), found, item, out));
}

Result<InodePin> MirrorFs::reference_listed(const InodePin& dir,
                                            const struct statx& found,
                                            std::string_view name) {
    const Identity identity = Identity::of(found);
    auto known = inodes_.find(found, true);
    if (known.match == InodeTable::Match::certain) return std::move(known.inode);
    if (known.match == InodeTable::Match::unverified || identity.birth_ns == 0 ||
        !dir->mount().is(identity.device, identity.mount_id)) {
        return fail(Errno::again);
    }
    // Most entries of a listing are never used: opening each would be most of the work.
    return inodes_.reference_by_name(found, dir, name);
}

bool MirrorFs::add_referenced(const Result<InodePin>& inode,
                              const Mount& mount,
                              const struct statx& found,
                              fuse::DirectoryWriter::Item item,
                              fuse::DirectoryWriter& out) {
    // Gone since, or too many are known already: the name is listed all the same.
    if (!inode) return out.add(item, {});
    if (out.add(item, entry_of(*inode, mount, found))) return true;
    inodes_.forget(*inode, 1);
    return false;
}

Task<bool> MirrorFs::add_slowly(fuse::Context& context,
                                InodePin& dir,
                                fuse::DirectoryWriter::Item item,
                                fuse::DirectoryWriter& out) {
    Result<InodePin> inode = fail(Errno::no_entry);
    struct statx attributes = {};
    const auto opened = co_await open_again(context, dir);
    if (opened) {
        auto found = co_await find_name(context, dir, item.name.data());
        if (found) {
            attributes = found->attributes;
            inode = co_await reference(context, dir, std::move(*found));
        }
    }
    co_return add_referenced(inode, dir->mount(), attributes, item, out);
}

Task<Result<void>> MirrorFs::releasedir(fuse::Context& context,
                                        fuse::NodeId node,
                                        fuse::FileHandle handle) {
    static_cast<void>(context);
    const auto dir = directory_of(node, handle);
    if (!dir || !open_files_.retire(*dir)) {
        return Task<Result<void>>::ready(fail(Errno::bad_descriptor));
    }
    return Task<Result<void>>::ready({});
}

Task<Result<void>> MirrorFs::fsyncdir(fuse::Context& context,
                                      fuse::NodeId node,
                                      fuse::FileHandle handle,
                                      bool data_only) {
    OpenFilePin dir = co_await or_return(directory_of(node, handle));
    co_return co_await sync(context, std::move(dir), data_only);
}

}  // namespace dpfs::mirror
