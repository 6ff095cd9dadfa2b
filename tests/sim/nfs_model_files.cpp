// SPDX-License-Identifier: Apache-2.0
#include "nfs_model_files.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <cstring>

namespace dpfs::sim {
namespace {

/// A handle is an id and what shows that it is one of ours, and undamaged.
struct Handle {
    std::uint64_t id;
    std::uint64_t check;
};

std::uint64_t check_of(std::uint64_t id) {
    return reactor::SimRandom(id).next();
}

}  // namespace

ModelFiles::ModelFiles() {
    ModelInode& inode = inodes_[root_id];
    inode.id = root_id;
    inode.type = nfs4::FileType::directory;
    inode.mode = 0777;
    inode.parent = root_id;
    inode.link_count = 2;
}

ModelInode* ModelFiles::find(std::uint64_t id) noexcept {
    const auto found = inodes_.find(id);
    return found == inodes_.end() ? nullptr : &found->second;
}

ModelInode* ModelFiles::find(const nfs4::FileHandle& handle) noexcept {
    Handle mine = {};
    const auto bytes = handle.bytes();
    if (bytes.size() != sizeof mine) return nullptr;
    std::memcpy(&mine, bytes.data(), sizeof mine);
    return mine.check == check_of(mine.id) ? find(mine.id) : nullptr;
}

nfs4::FileHandle ModelFiles::handle_of(const ModelInode& inode) {
    const Handle handle = {.id = inode.id, .check = check_of(inode.id)};
    return nfs4::FileHandle(std::as_bytes(std::span(&handle, 1)));
}

ModelInode* ModelFiles::find_path(std::string_view name) noexcept {
    ModelInode* inode = &root();
    while (!name.empty() && inode != nullptr) {
        const std::size_t end = std::min(name.find('/'), name.size());
        const auto found = inode->entries.find(name.substr(0, end));
        inode = found == inode->entries.end() ? nullptr : find(found->second.id);
        name.remove_prefix(std::min(end + 1, name.size()));
    }
    return inode;
}

ModelInode& ModelFiles::make(ModelInode& directory,
                             std::string_view name,
                             nfs4::FileType type) {
    const std::uint64_t id = next_id_++;
    ModelInode& inode = inodes_[id];
    inode.id = id;
    inode.type = type;
    inode.link_count = 0;
    inode.parent = directory.id;
    link(directory, name, inode);
    return inode;
}

void ModelFiles::link(ModelInode& directory, std::string_view name, ModelInode& inode) {
    const bool added =
        directory.entries.try_emplace(std::string(name), inode.id, directory.next_cookie++)
            .second;
    DPFS_ASSERT(added);
    ++directory.change;
    ++inode.link_count;
    ++inode.change;
}

void ModelFiles::unlink(ModelInode& directory, std::string_view name) {
    const auto found = directory.entries.find(name);
    DPFS_ASSERT(found != directory.entries.end());
    ModelInode* const inode = find(found->second.id);
    DPFS_ASSERT(inode != nullptr);
    directory.entries.erase(found);
    ++directory.change;
    --inode->link_count;
    ++inode->change;
}

void ModelFiles::collect(std::uint64_t id) {
    const ModelInode* const inode = find(id);
    if (inode != nullptr && inode->link_count == 0) inodes_.erase(id);
}

void ModelFiles::apply(Bytes& data, const ModelInode::Change& change) {
    if (change.new_size) {
        data.resize(*change.new_size);
        return;
    }
    data.resize(std::max(data.size(), change.offset + change.data.size()));
    std::ranges::copy(change.data, data.begin() + static_cast<std::ptrdiff_t>(change.offset));
}

void ModelFiles::add(ModelInode& inode, ModelInode::Change change) {
    apply(inode.data, change);
    ++inode.change;
    inode.pending.push_back(std::move(change));
    const auto unstable = [](const ModelInode::Change& each) { return !each.stable; };
    if (std::ranges::none_of(inode.pending, unstable)) commit(inode);
}

void ModelFiles::write(ModelInode& inode,
                       std::uint64_t offset,
                       std::span<const std::byte> data,
                       bool stable) {
    add(inode, {.stable = stable, .offset = offset, .data = {data.begin(), data.end()}});
}

void ModelFiles::resize(ModelInode& inode, std::uint64_t size) {
    add(inode, {.stable = true, .new_size = size});
}

void ModelFiles::commit(ModelInode& inode) {
    inode.durable = inode.data;
    inode.pending.clear();
}

void ModelFiles::crash(reactor::SimRandom& random) {
    for (auto& [id, inode] : inodes_) {
        for (const ModelInode::Change& change : inode.pending) {
            if (change.stable || random.chance(500)) apply(inode.durable, change);
        }
        inode.pending.clear();
        if (inode.data != inode.durable) ++inode.change;
        inode.data = inode.durable;
    }
    std::erase_if(inodes_, [](const auto& each) { return each.second.link_count == 0; });
    for (std::byte& each : verifier_) each = std::byte(random.next() & 0xff);
}

}  // namespace dpfs::sim
