// SPDX-License-Identifier: Apache-2.0
#include "base/or_return.hpp"
#include "fs/nfs/nfs_fs.hpp"

namespace dpfs::nfs {
namespace {

using nfs4::Attribute;

constexpr nfs4::AttributeSet supported_attributes = {Attribute::supported};

}  // namespace

Task<Result<FileSystemFacts>> NfsFs::facts_of(fuse::Context& context, Inode& inode) {
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
                                                     Inode& inode,
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

}  // namespace dpfs::nfs
