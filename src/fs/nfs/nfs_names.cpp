// SPDX-License-Identifier: Apache-2.0
#include "base/or_return.hpp"
#include "fs/nfs/file_mode.hpp"
#include "fs/nfs/nfs_fs.hpp"

namespace dpfs::nfs {

using nfs4::FileType;
using nfs4::Op;

Task<Result<fuse::Entry>> NfsFs::lookup(fuse::Context& context,
                                        fuse::NodeId parent,
                                        fuse::Name name) {
    const InodePin dir = co_await or_return(inodes_.pin(parent));
    co_return co_await look_up(context, *dir, name.view());
}

Task<Result<fuse::Entry>> NfsFs::look_up(fuse::Context& context,
                                         Inode& dir,
                                         std::string_view name) {
    Lane& lane = this->lane(context);
    const auto request = lane.request(as(context.caller));
    const Delegation::Moment asked = delegations_.moment();
    request->put_file(dir.handle());
    request->put_name(Op::lookup, name);
    request->put(Op::getfh);
    request->put_getattr(file_attributes);
    co_await or_return(co_await lane.run(*request, &context.cancel));
    if (request->status() == nfs4::Status::moved) {
        // After SEQUENCE, PUTFH and LOOKUP it is the name's file system that is elsewhere.
        const bool is_name = request->result_count() > 3;
        co_await tell_moved(context, dir, is_name ? name : std::string_view());
    }
    co_await or_return(request->take(Op::putfh));
    co_await or_return(request->take(Op::lookup));
    const auto handle = co_await or_return(request->take_file_handle());
    const auto found = co_await or_return(request->take_attributes(file_attributes));
    auto entry = enter(handle, found, dir.fsid());
    if (entry && is_behind(entry->node)) co_return co_await refresh(context, *entry);
    if (entry) vouch_for(context, *entry, found.change, asked);
    co_return entry;
}

Task<void> NfsFs::forget(fuse::Context& context, std::span<const fuse::Forget> nodes) {
    for (const fuse::Forget& each : nodes) {
        const auto inode = inodes_.pin(each.node);
        if (inode) forget(context, *inode, each.count);
    }
    return Task<void>::ready();
}

Task<Result<fuse::Entry>> NfsFs::make_node(fuse::Context& context,
                                           fuse::NodeId parent,
                                           Request::Make make) {
    if (options_.read_only) co_return fail(Errno::read_only);
    const InodePin dir = co_await or_return(inodes_.pin(parent));
    Lane& lane = this->lane(context);
    {
        const auto request = lane.request(as(context.caller));
        request->put_file(dir->handle());
        request->must_be_cached();
        request->put_create(make);
        request->put(Op::getfh);
        request->put_getattr(file_attributes);
        co_await or_return(co_await lane.run(*request, &context.cancel));
        co_await or_return(request->take(Op::putfh));
        co_await or_return(request->take(Op::create));
        request->reader().fixed(20);  // change_info4
        nfs4::AttributeSet::take(request->reader());
        const auto handle = request->take_file_handle();
        if (handle) {
            const auto found = request->take_attributes(file_attributes);
            if (found) co_return enter(*handle, *found, dir->fsid());
        }
    }
    // It is made; what came after that had to wait, or did not go.
    co_return co_await look_up(context, *dir, make.name);
}

Task<Result<fuse::Entry>> NfsFs::mknod(fuse::Context& context,
                                       fuse::NodeId parent,
                                       fuse::Name name,
                                       fuse::MakeRequest request) {
    const auto type = made_type_of(request.mode);
    if (!type) return Task<Result<fuse::Entry>>::ready(fail(type.error()));
    const std::uint32_t mode = request.mode & permission_bits & ~request.umask;
    if (*type == FileType::regular) return make_file(context, parent, name, mode);
    Request::Make make{.type = *type, .name = name.view()};
    const DeviceNumber device = decode_device(request.rdev);
    make.device_major = device.major;
    make.device_minor = device.minor;
    make.attributes.mode = mode;
    return make_node(context, parent, make);
}

Task<Result<fuse::Entry>> NfsFs::mkdir(fuse::Context& context,
                                       fuse::NodeId parent,
                                       fuse::Name name,
                                       fuse::MakeRequest request) {
    Request::Make make{.type = FileType::directory, .name = name.view()};
    make.attributes.mode = request.mode & permission_bits & ~request.umask;
    return make_node(context, parent, make);
}

Task<Result<fuse::Entry>> NfsFs::symlink(fuse::Context& context,
                                         fuse::NodeId parent,
                                         fuse::Name name,
                                         std::string_view target_with_nul,
                                         fuse::SecurityContext security) {
    static_cast<void>(security);
    Request::Make make{.type = FileType::link, .name = name.view()};
    make.target = target_with_nul.substr(0, target_with_nul.find('\0'));
    make.attributes.mode = 0777;
    return make_node(context, parent, make);
}

Task<Result<fuse::Entry>> NfsFs::link(fuse::Context& context,
                                      fuse::NodeId node,
                                      fuse::NodeId new_parent,
                                      fuse::Name new_name) {
    if (options_.read_only) co_return fail(Errno::read_only);
    const InodePin inode = co_await or_return(inodes_.pin(node));
    const InodePin dir = co_await or_return(inodes_.pin(new_parent));
    Lane& lane = this->lane(context);
    {
        const auto request = lane.request(as(context.caller));
        request->put_file(inode->handle());
        request->put(Op::savefh);
        request->put_file(dir->handle());
        request->must_be_cached();
        request->put_name(Op::link, new_name.view());
        end_delegation(context, *inode);
        request->put(Op::restorefh);
        request->put_getattr(file_attributes);
        co_await or_return(co_await lane.run(*request, &context.cancel));
        co_await or_return(request->take(Op::putfh));
        co_await or_return(request->take(Op::savefh));
        co_await or_return(request->take(Op::putfh));
        co_await or_return(request->take(Op::link));
        request->reader().fixed(20);  // change_info4
        if (request->take(Op::restorefh)) {
            const auto found = request->take_attributes(file_attributes);
            const bool is_shown = found && !inode->behind.load();
            if (is_shown) co_return enter(inode->handle(), *found, dir->fsid());
        }
    }
    // It is made; what came after that had to wait, or did not go.
    co_return co_await look_up(context, *dir, new_name.view());
}

Task<Result<void>> NfsFs::unlink(fuse::Context& context, fuse::NodeId parent, fuse::Name name) {
    if (options_.silly_rename == SillyRename::never || options_.read_only) {
        co_return co_await remove(context, parent, name);
    }
    InodePin dir = co_await or_return(inodes_.pin(parent));
    InodePin open = co_await or_return(co_await hold_if_open(context, *dir, name.view()));
    if (!open) co_return co_await remove(context, parent, name);
    std::string text(name.view());
    co_return co_await unlink_open(context, std::move(dir), std::move(text), std::move(open));
}

Task<Result<void>> NfsFs::rmdir(fuse::Context& context, fuse::NodeId parent, fuse::Name name) {
    // The tenant's kernel has looked the name up: it is a directory, and unlink() is for
    // others.
    return remove(context, parent, name);
}

Task<Result<void>> NfsFs::remove(fuse::Context& context, fuse::NodeId parent, fuse::Name name) {
    if (options_.read_only) co_return fail(Errno::read_only);
    const InodePin dir = co_await or_return(inodes_.pin(parent));
    Lane& lane = this->lane(context);
    const auto request = lane.request(as(context.caller));
    request->put_file(dir->handle());
    request->must_be_cached();
    request->put_name(Op::remove, name.view());
    delegations_.name_changed();
    const auto ran = co_await lane.run(*request, &context.cancel);
    delegations_.name_changed();
    co_await or_return(ran);
    co_await or_return(request->take(Op::putfh));
    co_return request->take(Op::remove);
}

Task<Result<void>> NfsFs::rename(fuse::Context& context,
                                 fuse::NodeId parent,
                                 fuse::Name name,
                                 fuse::NodeId new_parent,
                                 fuse::Name new_name,
                                 std::uint32_t flags) {
    // NFS knows none of RENAME_NOREPLACE and its kind, and to look first would be a race.
    if (flags != 0) co_return fail(Errno::invalid);
    if (options_.read_only) co_return fail(Errno::read_only);
    InodePin from = co_await or_return(inodes_.pin(parent));
    InodePin to = co_await or_return(inodes_.pin(new_parent));
    const bool is_same = parent == new_parent && name.view() == new_name.view();
    if (options_.silly_rename != SillyRename::never && !is_same) {
        InodePin open =
            co_await or_return(co_await hold_if_open(context, *to, new_name.view()));
        if (open) {
            Renaming what = {.from = std::move(from),
                             .name = std::string(name.view()),
                             .to = std::move(to),
                             .new_name = std::string(new_name.view())};
            co_return co_await rename_over_open(context, std::move(what), std::move(open));
        }
    }
    co_return co_await move_name(context, *from, name.view(), *to, new_name.view());
}

Task<Result<void>> NfsFs::move_name(fuse::Context& context,
                                    Inode& from,
                                    std::string_view name,
                                    Inode& to,
                                    std::string_view new_name) {
    Lane& lane = this->lane(context);
    const auto request = lane.request(as(context.caller));
    request->put_file(from.handle());
    request->put(Op::savefh);
    request->put_file(to.handle());
    request->must_be_cached();
    request->put_rename(name, new_name);
    delegations_.name_changed();
    const auto ran = co_await lane.run(*request, &context.cancel);
    delegations_.name_changed();
    co_await or_return(ran);
    co_await or_return(request->take(Op::putfh));
    co_await or_return(request->take(Op::savefh));
    co_await or_return(request->take(Op::putfh));
    co_return request->take(Op::rename);
}

}  // namespace dpfs::nfs
