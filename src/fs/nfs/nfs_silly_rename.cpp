// SPDX-License-Identifier: Apache-2.0
// A file that is removed while the tenant has it open gets a hidden name instead, for a server
// that keeps such files no longer than it lives; the last close removes it ("silly rename").
#include "base/or_return.hpp"
#include "fs/nfs/nfs_fs.hpp"
#include "fs/nfs/run_unattended.hpp"

namespace dpfs::nfs {

using nfs4::Attribute;
using nfs4::Op;

Task<Result<InodePin>> NfsFs::hold_if_open(fuse::Context& context,
                                           Inode& dir,
                                           std::string_view name) {
    constexpr nfs4::AttributeSet wanted = {Attribute::type, Attribute::link_count};
    Lane& lane = this->lane(context);
    const auto request = lane.request(as(context.caller));
    request->put_file(dir.handle());
    request->put_name(Op::lookup, name);
    request->put(Op::getfh);
    request->put_getattr(wanted);
    co_await or_return(co_await lane.run(*request, &context.cancel));
    if (!request->take(Op::putfh) || !request->take(Op::lookup)) co_return InodePin();
    const auto handle = co_await or_return(request->take_file_handle());
    const auto found = co_await or_return(request->take_attributes(wanted));
    // With another name it outlives this one.
    if (found.type != nfs4::FileType::regular || found.link_count > 1) co_return InodePin();
    InodePin inode = inodes_.find(handle);
    if (!inode) co_return InodePin();
    const std::lock_guard guard(inode->mutex);
    if (inode->open_count == 0 || inode->hidden || inode->outlives_its_name.load()) {
        co_return InodePin();
    }
    ++inode->open_count;
    co_return std::move(inode);
}

Task<void> NfsFs::let_go(fuse::Context& context, InodePin inode) {
    std::optional<HiddenName> hidden;
    {
        const std::lock_guard guard(inode->mutex);
        if (--inode->open_count == 0) hidden = std::exchange(inode->hidden, {});
    }
    if (hidden) co_await remove_hidden(context, *std::move(hidden));
}

Task<void> NfsFs::remove_hidden(fuse::Context& context, HiddenName hidden) {
    Lane& lane = this->lane(context);
    const auto request = lane.request(as(hidden.who));
    request->put_file(hidden.directory);
    request->must_be_cached();
    request->put_name(Op::remove, hidden.name);
    Result<void> removed = co_await lane.run(*request, nullptr, nfs4::for_ever);
    if (removed) removed = request->take(Op::putfh);
    if (removed) removed = request->take(Op::remove);
    // Whoever cleared the directory up was faster.
    if (removed || removed.error() == Errno::no_entry) co_return;
    if (!may_log(context.reactor)) co_return;
    log_.warning("'{}', a file that was removed while it was open, stays at the server ({})",
                 hidden.name,
                 errno_name(removed.error()));
}

Task<Result<void>> NfsFs::unlink_open(fuse::Context& context,
                                      InodePin dir,
                                      std::string name,
                                      InodePin victim) {
    const auto work = std::make_shared<Unattended<void>>(context);
    return run_unattended(
        context,
        work,
        hide_unattended(work, std::move(dir), std::move(name), std::move(victim)));
}

Task<void> NfsFs::hide_unattended(std::shared_ptr<Unattended<void>> work,
                                  InodePin dir,
                                  std::string name,
                                  InodePin victim) {
    const HiddenName hidden = {.directory = dir->handle(),
                               .name = owners_.next_hidden_name(),
                               .who = work->context.caller};
    const auto hid = co_await move_name(work->context, *dir, name, *dir, hidden.name);
    if (hid) {
        const std::lock_guard guard(victim->mutex);
        victim->hidden = hidden;
    }
    co_await let_go(work->context, std::move(victim));
    work->end(hid);
}

Task<Result<void>> NfsFs::rename_over_open(fuse::Context& context,
                                           Renaming what,
                                           InodePin victim) {
    const auto work = std::make_shared<Unattended<void>>(context);
    return run_unattended(
        context, work, rename_unattended(work, std::move(what), std::move(victim)));
}

/// A second name keeps the victim, so that its own is never missing: that is what rename(2) is
/// used for.
Task<void> NfsFs::rename_unattended(std::shared_ptr<Unattended<void>> work,
                                    Renaming what,
                                    InodePin victim) {
    fuse::Context& context = work->context;
    HiddenName hidden = {.directory = what.to->handle(),
                         .name = owners_.next_hidden_name(),
                         .who = context.caller};
    const auto linked = co_await add_name(context, *victim, *what.to, hidden.name);
    const auto renamed =
        co_await move_name(context, *what.from, what.name, *what.to, what.new_name);
    if (linked && renamed) {
        const std::lock_guard guard(victim->mutex);
        victim->hidden = std::move(hidden);
    } else if (linked) {
        co_await remove_hidden(context, std::move(hidden));
    }
    co_await let_go(context, std::move(victim));
    work->end(renamed);
}

Task<Result<void>> NfsFs::add_name(fuse::Context& context,
                                   Inode& file,
                                   Inode& dir,
                                   std::string_view name) {
    Lane& lane = this->lane(context);
    const auto request = lane.request(as(context.caller));
    request->put_file(file.handle());
    request->put(Op::savefh);
    request->put_file(dir.handle());
    request->must_be_cached();
    request->put_name(Op::link, name);
    co_await or_return(co_await lane.run(*request, &context.cancel));
    co_await or_return(request->take(Op::putfh));
    co_await or_return(request->take(Op::savefh));
    co_await or_return(request->take(Op::putfh));
    co_return request->take(Op::link);
}

}  // namespace dpfs::nfs
