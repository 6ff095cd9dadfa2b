// SPDX-License-Identifier: Apache-2.0
#include "base/gate.hpp"
#include "base/or_return.hpp"
#include "fs/mirror/mirror_fs.hpp"
#include "fs/mirror/proc_fd.hpp"
#include "fuse/directory_writer.hpp"
#include "fuse/wire_file.hpp"

#include <array>
#include <fcntl.h>

namespace dpfs::mirror {
namespace {

constexpr int listed_statx_flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;

bool is_dot_or_dot_dot(std::string_view name) noexcept {
    return name == "." || name == "..";
}

fuse::DirectoryWriter::Item item_of(const DirectoryStream::Entry& entry, const OpenFile& dir) {
    const bool is_root = InodeTable::node_of(dir.inode) == fuse::root_node;
    // What lies above the shared directory is not the tenant's to know.
    const bool is_above = is_root && entry.name == "..";
    return {.name = entry.name,
            .ino = is_above ? dir.inode->identity().ino : entry.ino,
            .type = entry.type,
            .next_offset = entry.next_offset};
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

/// What has been listed is answered, as the tenant owns references to it; the next call will
/// meet the error again.
Result<void> MirrorFs::error_after(const fuse::DirectoryWriter& out, Errno error) {
    if (out.size() > 0) return {};
    return fail(error);
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
    constexpr int count_between_yields = 1024;  // a millisecond or so
    for (int count = 1;; ++count) {
        if (stream.empty()) {
            const auto filled = co_await look(context, mount, CallKind::list, fill);
            if (!filled) co_return error_after(out, filled.error());
            if (stream.empty()) break;  // the end of the directory
        }
        const auto peeked = stream.peek();
        if (!peeked) co_return error_after(out, peeked.error());
        const auto& entry = *peeked;
        if (!out.has_room_for(entry.name.size())) {
            // An empty answer would mean the end.
            if (out.size() == 0) co_return fail(Errno::invalid);
            break;
        }
        const bool added = co_await add_next(context, *dir, entry, out);
        if (!added) break;
        if (count % count_between_yields == 0) co_await context.reactor.yield();
    }
    co_return Result<void>();
}

Task<bool> MirrorFs::add_next(fuse::Context& context,
                              OpenFile& dir,
                              DirectoryStream::Entry entry,
                              fuse::DirectoryWriter& out) {
    using Added = Task<bool>;
    DirectoryStream& stream = *dir.directory;
    const auto item = item_of(entry, dir);
    // Node 0: a name without an inode.
    if (!out.plus() || is_dot_or_dot_dot(entry.name)) {
        const bool added = out.plus() ? out.add(item, {}) : out.add(item);
        if (added) stream.pop();
        return Added::ready(added);
    }

    PacedCall paced = dir.inode->mount().call(CallKind::look);
    if (!paced.in_place()) return add_several(context, dir, out);
    struct statx found;
    const char* const name = entry.name.data();  // the stream's, with its NUL
    const int failed =
        ::statx(dir.descriptor.get(), name, listed_statx_flags, statx_mask, &found);
    paced.end();
    Result<InodePin> inode = fail(Errno::no_entry);
    if (failed == 0) inode = reference_listed(dir.inode, found, entry.name);
    // On another mount, or to be told apart by its handle.
    if (!inode && inode.error() == Errno::again) return add_several(context, dir, out);
    const bool added = add_referenced(inode, dir.inode->mount(), found, item, out);
    if (added) stream.pop();
    return Added::ready(added);
}

/// One entry of several that are asked about at the same time.
struct MirrorFs::Listed {
    DirectoryStream::Mark mark = {};
    fuse::DirectoryWriter::Item item = {};
    Result<InodePin> inode = fail(Errno::no_entry);
    struct statx found = {};
};

Task<bool> MirrorFs::add_several(fuse::Context& context,
                                 OpenFile& dir,
                                 fuse::DirectoryWriter& out) {
    // Where each answer takes a device's time, or a server's, they take it together.
    std::array<Listed, 16> listed;
    DirectoryStream& stream = *dir.directory;
    Gate asked;
    std::size_t count = 0;
    for (; count < listed.size() && !stream.empty(); ++count) {
        const auto entry = stream.peek();
        if (!entry || is_dot_or_dot_dot(entry->name)) break;
        Listed& one = listed[count];
        one.mark = stream.mark();
        one.item = item_of(*entry, dir);
        stream.pop();
        asked.spawn(ask_about(context, dir, one));
    }
    co_await asked.close();

    bool fits = true;
    for (Listed& one : std::span(listed).first(count)) {
        if (fits) {
            fits = add_referenced(one.inode, dir.inode->mount(), one.found, one.item, out);
            if (!fits) stream.go_back(one.mark);
        } else if (one.inode) {
            inodes_.forget(*one.inode, 1);
        }
    }
    co_return fits;
}

Task<void> MirrorFs::ask_about(fuse::Context& context, OpenFile& dir, Listed& one) {
    PacedCall paced = dir.inode->mount().call(CallKind::look);
    const char* const name = one.item.name.data();
    const auto asked =
        co_await context.reactor
            .statx(dir.descriptor.get(), name, listed_statx_flags, statx_mask, one.found)
            .as(acts_as_caller_ ? &context.caller : nullptr);
    if (!paced.in_place()) paced.end();
    if (!asked) co_return;
    one.inode = reference_listed(dir.inode, one.found, one.item.name);
    if (one.inode || one.inode.error() != Errno::again) co_return;

    // Only its descriptor tells which inode it is.
    const auto opened = co_await open_again(context, dir.inode);
    if (!opened) co_return;
    auto found = co_await find_name(context, dir.inode, name);
    if (!found) co_return;
    one.found = found->attributes;
    one.inode = co_await reference(context, dir.inode, std::move(*found));
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
