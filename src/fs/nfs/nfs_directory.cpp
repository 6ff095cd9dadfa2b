// SPDX-License-Identifier: Apache-2.0
#include "base/or_return.hpp"
#include "fs/nfs/file_mode.hpp"
#include "fs/nfs/nfs_fs.hpp"
#include "fuse/wire_file.hpp"

#include <algorithm>
#include <dirent.h>

namespace dpfs::nfs {
namespace {

using nfs4::Attribute;
using nfs4::Op;

// A tenant's offsets: 0 and 1 are before "." and "..", which NFS does not list; 2 is before the
// server's first entry; others are its cookies, of which 0 to 2 are no entry's (RFC 8881,
// 18.23.3).
constexpr std::uint64_t before_dot_dot = 1;
constexpr std::uint64_t before_first = 2;
constexpr std::uint32_t page_size = 32 << 10;  // bytes of one answer
constexpr std::size_t name_size_max = 255;
// nfs-ganesha 5.9 answers NOENT to READDIR, which RFC 8881 does not list, when a name goes
// while it looks. To a program ENOENT would be the end of the listing: readdir(3) takes it for
// that.
constexpr int attempt_count_max = 20;

constexpr nfs4::AttributeSet with(nfs4::AttributeSet set,
                                  std::initializer_list<Attribute> more) {
    for (const Attribute each : more) set.add(each);
    return set;
}
constexpr nfs4::AttributeSet listed_attributes =
    with(file_attributes, {Attribute::rdattr_error, Attribute::filehandle});
constexpr nfs4::AttributeSet named_attributes = {
    Attribute::type, Attribute::rdattr_error, Attribute::fileid};

/// A server's name that the tenant's kernel would take for something else is left out.
bool is_listable(std::string_view name) noexcept {
    return !name.empty() && name != "." && name != ".." && name.find('/') == name.npos &&
           name.find('\0') == name.npos;
}

}  // namespace

Task<Result<fuse::OpenReply>> NfsFs::opendir(fuse::Context& context,
                                             fuse::NodeId node,
                                             fuse::OpenRequest request) {
    static_cast<void>(request);
    using Answer = Task<Result<fuse::OpenReply>>;
    auto inode = inodes_.pin(node);
    if (!inode) return Answer::ready(fail(inode.error()));
    if ((*inode)->type() != nfs4::FileType::directory) {
        return Answer::ready(fail(Errno::not_directory));
    }
    auto made = open_files_.make();
    if (!made) return Answer::ready(fail(made.error()));
    (*made)->inode = std::move(*inode);
    (*made)->is_directory = true;
    (*made)->opener = context.caller;
    open_files_.publish(*made);
    return Answer::ready(fuse::OpenReply{.handle = fuse::FileHandle{made->id()}});
}

Task<Result<void>> NfsFs::readdir(fuse::Context& context,
                                  fuse::NodeId node,
                                  fuse::FileHandle handle,
                                  std::uint64_t offset,
                                  fuse::DirectoryWriter& out) {
    return list(context, node, handle, offset, out);
}

Task<Result<void>> NfsFs::readdirplus(fuse::Context& context,
                                      fuse::NodeId node,
                                      fuse::FileHandle handle,
                                      std::uint64_t offset,
                                      fuse::DirectoryWriter& out) {
    return list(context, node, handle, offset, out);
}

Task<Result<void>> NfsFs::list(fuse::Context& context,
                               fuse::NodeId node,
                               fuse::FileHandle handle,
                               std::uint64_t offset,
                               fuse::DirectoryWriter& out) {
    const OpenFilePin dir = co_await or_return(directory_of(node, handle));
    for (const std::string_view name : {".", ".."}) {
        if (offset >= before_first || (name == "." && offset == before_dot_dot)) continue;
        // Their inode numbers are the tenant's kernel's to know.
        const fuse::DirectoryWriter::Item item{
            .name = name, .ino = 1, .type = DT_DIR, .next_offset = offset + 1};
        const bool added = out.plus() ? out.add(item, {}) : out.add(item);
        if (!added) co_return Result<void>();
        ++offset;
    }

    DirectoryPage page;
    {
        // Taken out, because others may list through the same handle meanwhile.
        const std::lock_guard lock(dir->mutex);
        page = std::exchange(dir->page, {});
    }
    // At its beginning a listing is always a new one (rewinddir(3)), also where the last page
    // had nothing in it.
    const bool begins = offset == before_first;
    if (begins || page.offset != offset || page.with_handles != out.plus()) {
        const nfs4::Verifier verifier = page.verifier;
        page = {};
        page.offset = offset;
        if (!begins) page.verifier = verifier;
        page.with_handles = out.plus();
    }
    bool has_room = true;
    Result<void> outcome;
    while (has_room && outcome) {
        if (page.position == page.entries.size()) {
            if (page.at_end) break;
            outcome = co_await fetch(context, *dir, page);
            if (!outcome) break;
            if (page.entries.empty() && !page.at_end) outcome = fail(Errno::io_error);
        }
        const auto added = add_entries(context, dir->inode, page, out);
        if (!added) outcome = fail(added.error());
        has_room = added.value_or(false);
    }
    {
        const std::lock_guard lock(dir->mutex);
        dir->page = std::move(page);
    }
    // What has been listed is answered; the next call meets the error again.
    if (!outcome && out.size() == 0) co_return outcome;
    co_return Result<void>();
}

Task<Result<void>> NfsFs::fetch(fuse::Context& context, OpenFile& dir, DirectoryPage& page) {
    Lane& lane = this->lane(context);
    const std::uint64_t cookie = page.offset == before_first ? 0 : page.offset;
    for (int attempt = 1; attempt <= attempt_count_max; ++attempt) {
        const auto request = lane.request(as(context.caller));
        request->put_file(dir.inode->handle());
        request->put_readdir(cookie,
                             page.verifier,
                             std::min(page_size, client_->read_size_max()),
                             page.with_handles ? listed_attributes : named_attributes);
        co_await or_return(co_await lane.run(*request, &context.cancel));
        co_await or_return(request->take(Op::putfh));
        const auto listed = request->take(Op::readdir);
        if (!listed && request->status() == nfs4::Status::noent) {
            co_await or_return(
                co_await context.reactor.sleep(milliseconds(10), &context.cancel));
            continue;
        }
        co_await or_return(listed);
        rpc::XdrReader& in = request->reader();
        page.verifier = nfs4::take_verifier(in);
        if (!in.ok() || in.left() < 8) co_return fail(Errno::io_error);
        const auto entries = in.fixed(in.left() / 4 * 4);
        page.entries.assign(entries.begin(), entries.end());
        page.position = 0;
        page.at_end = false;
        // At least the two words at the end are there, also where no entry is.
        co_return Result<void>();
    }
    co_return fail(Errno::io_error);
}

Result<bool> NfsFs::add_entries(fuse::Context& context,
                                const InodePin& dir,
                                DirectoryPage& page,
                                fuse::DirectoryWriter& out) {
    const nfs4::AttributeSet& wanted = page.with_handles ? listed_attributes : named_attributes;
    for (;;) {
        rpc::XdrReader in(std::span(page.entries).subspan(page.position));
        const std::size_t before = in.left();
        const bool follows = in.boolean();
        if (!follows) {
            page.at_end = in.boolean();
            page.position = page.entries.size();
            if (!in.ok()) return fail(Errno::io_error);
            return true;
        }
        const std::uint64_t cookie = in.u64();
        const std::string_view name = in.string(nfs4::opaque_max);
        const nfs4::Attributes found = nfs4::take_attributes(in, wanted);
        // A cookie that repeats would make the listing endless.
        if (!in.ok() || cookie <= before_first || cookie == page.offset) {
            return fail(Errno::io_error);
        }
        if (is_listable(name) && name.size() <= name_size_max) {
            if (!out.has_room_for(name.size())) return false;
            const fuse::DirectoryWriter::Item item{.name = name,
                                                   .ino = found.fileid,
                                                   .type = dirent_type_of(found.type),
                                                   .next_offset = cookie};
            const bool added =
                out.plus() ? add_entry(context, dir, item, found, out) : out.add(item);
            if (!added) return false;
        }
        page.position += before - in.left();
        page.offset = cookie;
    }
}

bool NfsFs::add_entry(fuse::Context& context,
                      const InodePin& dir,
                      fuse::DirectoryWriter::Item item,
                      const nfs4::Attributes& found,
                      fuse::DirectoryWriter& out) {
    const bool is_whole = file_attributes.within(found.present) && !found.handle.empty();
    if (!is_whole) return out.add(item, {});
    const auto entry = enter(found.handle, found, dir->fsid());
    // Too many are known already: the name is listed all the same.
    if (!entry) return out.add(item, {});
    const auto inode = inodes_.pin(entry->node);
    const bool is_behind = inode && (*inode)->behind.load();
    if (!is_behind && out.add(item, *entry)) return true;
    if (inode) forget(context, *inode, 1);
    return is_behind && out.add(item, {});
}

Task<Result<void>> NfsFs::releasedir(fuse::Context& context,
                                     fuse::NodeId node,
                                     fuse::FileHandle handle) {
    static_cast<void>(context);
    const auto dir = directory_of(node, handle);
    if (!dir || !open_files_.retire(*dir)) {
        return Task<Result<void>>::ready(fail(Errno::bad_descriptor));
    }
    return Task<Result<void>>::ready({});
}

Task<Result<void>> NfsFs::fsyncdir(fuse::Context& context,
                                   fuse::NodeId node,
                                   fuse::FileHandle handle,
                                   bool data_only) {
    static_cast<void>(context);
    static_cast<void>(data_only);
    // Changes of directories are stable before they are answered.
    const auto dir = directory_of(node, handle);
    if (!dir) return Task<Result<void>>::ready(fail(dir.error()));
    return Task<Result<void>>::ready({});
}

}  // namespace dpfs::nfs
