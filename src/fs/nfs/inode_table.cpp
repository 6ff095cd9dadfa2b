// SPDX-License-Identifier: Apache-2.0
#include "fs/nfs/inode_table.hpp"

#include "base/as_text.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

namespace dpfs::nfs {

InodeTable::~InodeTable() {
    root_.release();
}

std::size_t InodeTable::Hash::operator()(const nfs4::FileHandle& handle) const noexcept {
    return std::hash<std::string_view>()(as_text(handle.bytes()));
}

void InodeTable::fill(Inode& inode,
                      const nfs4::FileHandle& handle,
                      const nfs4::Attributes& attributes) noexcept {
    inode.handle_ = handle;
    inode.type_ = attributes.type;
    inode.fsid_ = attributes.fsid;
    inode.reference_count_ = 1;
}

void InodeTable::set_root(const nfs4::FileHandle& handle, const nfs4::Attributes& attributes) {
    auto made = inodes_.make();
    DPFS_ASSERT(made.has_value());  // the table is empty
    fill(**made, handle, attributes);
    inodes_.publish(*made);
    Shard& shard = shard_of(handle);
    const std::lock_guard lock(shard.mutex);
    shard.inodes.emplace(handle, &**made);
    root_ = std::move(*made);
}

Result<InodePin> InodeTable::pin(fuse::NodeId node) {
    if (node == fuse::root_node) {
        if (!root_) return fail(Errno::stale);
        return root_.share();
    }
    return inodes_.pin(static_cast<std::uint64_t>(node));
}

fuse::NodeId InodeTable::node_of(const InodePin& inode) const noexcept {
    if (root_ && &*inode == &*root_) return fuse::root_node;
    return fuse::NodeId{inode.id()};
}

Result<InodePin> InodeTable::reference(const nfs4::FileHandle& handle,
                                       const nfs4::Attributes& attributes) {
    Shard& shard = shard_of(handle);
    const std::lock_guard lock(shard.mutex);
    const auto known = shard.inodes.find(handle);
    if (known != shard.inodes.end()) {
        ++known->second->reference_count_;
        return inodes_.pin_object(*known->second);
    }
    auto made = inodes_.make();
    if (!made) return fail(made.error());
    fill(**made, handle, attributes);
    inodes_.publish(*made);
    shard.inodes.emplace(handle, &**made);
    return made;
}

InodePin InodeTable::find(const nfs4::FileHandle& handle) {
    Shard& shard = shard_of(handle);
    const std::lock_guard lock(shard.mutex);
    const auto known = shard.inodes.find(handle);
    if (known == shard.inodes.end()) return {};
    return inodes_.pin_object(*known->second);
}

bool InodeTable::forget(const InodePin& inode, std::uint64_t count) {
    if (root_ && &*inode == &*root_) return false;
    Shard& shard = shard_of(inode->handle());
    const std::lock_guard lock(shard.mutex);
    if (inode->reference_count_ == 0) return false;
    inode->reference_count_ -= std::min(count, inode->reference_count_);
    if (inode->reference_count_ > 0) return false;
    retire_if_unused(shard, *inode);
    return true;
}

bool InodeTable::hold(Inode& inode) {
    Shard& shard = shard_of(inode.handle());
    const std::lock_guard lock(shard.mutex);
    const auto known = shard.inodes.find(inode.handle());
    if (known == shard.inodes.end() || known->second != &inode) return false;
    inode.is_held_ = true;
    return true;
}

void InodeTable::let_go(Inode& inode) {
    Shard& shard = shard_of(inode.handle());
    const std::lock_guard lock(shard.mutex);
    if (std::exchange(inode.is_held_, false)) retire_if_unused(shard, inode);
}

void InodeTable::retire_if_unused(Shard& shard, Inode& inode) {
    if (inode.reference_count_ > 0 || inode.is_held_) return;
    shard.inodes.erase(inode.handle());
    inodes_.retire(inodes_.pin_again(inode));
}

void InodeTable::forget_all() {
    inodes_.for_each([this](InodePin& inode) { forget(inode, ~std::uint64_t{0}); });
}

}  // namespace dpfs::nfs
