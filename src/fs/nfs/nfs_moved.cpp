// SPDX-License-Identifier: Apache-2.0
// File systems that the server has moved, or that are another server's (MOVED): nobody follows,
// and the log says where they are.
#include "base/or_return.hpp"
#include "fs/nfs/nfs_fs.hpp"
#include "fs/nfs/place.hpp"
#include "net/nfs4/locations.hpp"

#include <algorithm>
#include <string>

namespace dpfs::nfs {

using nfs4::Attribute;

Task<void> NfsFs::tell_moved(fuse::Context& context, Inode& inode, std::string_view name) {
    constexpr nfs4::AttributeSet locations_only = {Attribute::file_system_locations};
    Lane& lane = this->lane(context);
    const auto request = lane.request(as(context.caller));
    request->put_file(inode.handle());
    if (!name.empty()) request->put_name(nfs4::Op::lookup, name);
    request->put_getattr(locations_only);
    const auto answered = co_await lane.run(*request, &context.cancel);
    bool is_there = answered && request->take(nfs4::Op::putfh);
    if (!name.empty()) is_there = is_there && request->take(nfs4::Op::lookup);
    if (!is_there || !request->take(nfs4::Op::getattr)) co_return;
    const std::string where = nfs4::describe(nfs4::take_locations(request->reader()));
    if (!request->taken()) co_return;
    const std::lock_guard lock(told_mutex_);
    if (told_.size() == told_count_max || !told_.insert(where).second) co_return;
    log_.warning("a file system is on another server, which is not followed: {}", where);
}

void NfsFs::file_systems_moved() {
    std::vector<OpenFilePin> files;
    open_files_.for_each([&files](OpenFilePin& file) {
        const auto is_same = [&file](const OpenFilePin& other) {
            return other->inode->fsid() == file->inode->fsid();
        };
        if (!file->is_directory && files.size() < told_count_max &&
            std::ranges::none_of(files, is_same)) {
            files.push_back(file.share());
        }
    });
    home_place().background.spawn(tell_which_moved(std::move(files)));
}

Task<void> NfsFs::tell_which_moved(std::vector<OpenFilePin> files) {
    constexpr nfs4::AttributeSet something = {Attribute::type};
    reactor::CancelSource never;
    for (const OpenFilePin& file : files) {
        fuse::Context context{
            .reactor = home_place().reactor, .cancel = never, .caller = file->opener};
        const auto found = co_await ask_attributes(context, *file->inode, something);
        if (!found && found.error() == nfs4::to_errno(nfs4::Status::moved)) {
            co_await tell_moved(context, *file->inode);
        }
    }
}

}  // namespace dpfs::nfs
