// SPDX-License-Identifier: Apache-2.0
#include "base/or_return.hpp"
#include "fs/nfs/nfs_fs.hpp"
#include "fs/nfs/place.hpp"
#include "net/nfs4/locations.hpp"

#include <algorithm>
#include <string>

namespace dpfs::nfs {
namespace {

using nfs4::Attribute;

constexpr nfs4::AttributeSet supported_attributes = {Attribute::supported};

}  // namespace

Task<Result<FileSystemFacts>> NfsFs::facts_of(fuse::Context& context, const Inode& inode) {
    if (const auto known = file_systems_.facts(inode.fsid())) co_return *known;
    const auto all =
        co_await or_return(co_await ask_attributes(context, inode, supported_attributes));
    // Some servers answer EINVAL where they should leave out what they do not know.
    nfs4::AttributeSet wanted;
    for (const Attribute each : {Attribute::clone_block_size, Attribute::xattr_support}) {
        if (all.supported.has(each)) wanted.add(each);
    }
    FileSystemFacts facts;
    if (!wanted.empty()) {
        const auto found = co_await or_return(co_await ask_attributes(context, inode, wanted));
        facts = {.has_xattr = found.xattr_support, .clone_block_size = found.clone_block_size};
    }
    file_systems_.set_facts(inode.fsid(), facts);
    co_return facts;
}

Task<Result<nfs4::Attributes>> NfsFs::ask_attributes(fuse::Context& context,
                                                     const Inode& inode,
                                                     nfs4::AttributeSet wanted) {
    Lane& lane = this->lane(context);
    const auto request = lane.request(as(context.caller));
    request->put_file(inode.handle());
    request->put_getattr(wanted);
    co_await or_return(co_await lane.run(*request, &context.cancel));
    co_await or_return(request->take(nfs4::Op::putfh));
    auto found = co_await or_return(request->take_attributes(wanted));
    // Views into an answer that is about to go.
    found.owner = found.owner_group = {};
    co_return found;
}

bool NfsFs::note_support(const Inode& inode, Feature feature, nfs4::Status status) {
    // op_illegal: of a server that is older than the operation.
    if (status != nfs4::Status::notsupp && status != nfs4::Status::op_illegal) return false;
    if (file_systems_.set_lacks(inode.fsid(), feature)) {
        log_.info("the server's file system {:x}.{:x} has no {}",
                  inode.fsid().major,
                  inode.fsid().minor,
                  name_of(feature));
    }
    return true;
}

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
