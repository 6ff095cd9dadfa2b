// SPDX-License-Identifier: Apache-2.0
#include "nfs_model_compound.hpp"

#include <algorithm>

namespace dpfs::sim {
namespace {

constexpr std::uint64_t file_size_max = 1 << 24;

}  // namespace

/// The current file, if the state that comes next allows `access` to it.
std::expected<ModelInode*, nfs4::Status> ModelCompound::file_for(std::uint32_t access) {
    const nfs4::StateId state = take_state_id();
    const auto inode = current();
    if (!inode) return inode;
    if ((*inode)->type != nfs4::FileType::regular) return std::unexpected(Status::inval);
    if (state == nfs4::anonymous_state) {
        if (in_grace()) return std::unexpected(Status::grace);
        return inode;
    }
    const auto held = core_.state.find(state);
    if (!held) return std::unexpected(held.error());
    const ModelHeld* open = *held;
    if (open->file != (*inode)->id) return std::unexpected(Status::bad_stateid);
    if (open->kind == ModelHeld::Kind::locks) open = &core_.state.held().at(open->open);
    if ((open->access & access) != access) return std::unexpected(Status::openmode);
    return inode;
}

nfs4::Status ModelCompound::read() {
    const auto inode = file_for(nfs4::share::access_read);
    const std::uint64_t offset = in_.u64();
    std::size_t size = in_.u32();
    if (!inode) return inode.error();
    const Bytes& data = (*inode)->data;
    const std::size_t begin = std::min<std::size_t>(offset, data.size());
    size = std::min({size, data.size() - begin, std::size_t{core_.limits.data_size_max}});
    if (size > 1 && core_.random.chance(core_.behaviour.short_io)) {
        size = 1 + core_.random.below(size - 1);
    }
    out_.boolean(begin + size == data.size());
    out_.opaque(std::span(data).subspan(begin, size));
    data_size_ = size + rpc::padding_of(size);
    if (core_.lies.wrong_byte && size > 0) answer_[answer_.size() - data_size_] ^= std::byte{1};
    return Status::ok;
}

nfs4::Status ModelCompound::write() {
    const auto inode = file_for(nfs4::share::access_write);
    const std::uint64_t offset = in_.u64();
    nfs4::Stable stable{in_.u32()};
    auto data = in_.opaque(core_.limits.data_size_max);
    if (!in_.ok()) return Status::badxdr;
    if (!inode) return inode.error();
    if (data.size() > 1 && core_.random.chance(core_.behaviour.short_io)) {
        data = data.first(1 + core_.random.below(data.size() - 1));
    }
    if (core_.random.chance(core_.behaviour.promotes)) stable = nfs4::Stable::file;
    core_.files.write(**inode, offset, data, stable != nfs4::Stable::unstable);
    has_changed_ = true;
    out_.u32(static_cast<std::uint32_t>(data.size()));
    out_.u32(static_cast<std::uint32_t>(stable));
    out_.fixed(core_.files.verifier());
    return Status::ok;
}

nfs4::Status ModelCompound::commit() {
    in_.u64();  // from where on
    in_.u32();  // how much: all is committed, which is more than was asked for
    const auto inode = current();
    if (!inode) return inode.error();
    if (!core_.lies.drops_commits) core_.files.commit(**inode);
    out_.fixed(core_.files.verifier());
    return Status::ok;
}

/// ALLOCATE (RFC 7862, 15.1).
nfs4::Status ModelCompound::allocate() {
    const auto inode = file_for(nfs4::share::access_write);
    const std::uint64_t offset = in_.u64();
    const std::uint64_t length = in_.u64();
    if (!inode) return inode.error();
    if (offset > file_size_max || length > file_size_max) return Status::fbig;
    if (offset + length > (*inode)->data.size()) core_.files.resize(**inode, offset + length);
    has_changed_ = true;
    return Status::ok;
}

/// DEALLOCATE (RFC 7862, 15.4): what it frees reads as zeros.
nfs4::Status ModelCompound::deallocate() {
    const auto inode = file_for(nfs4::share::access_write);
    const std::uint64_t offset = in_.u64();
    const std::uint64_t length = in_.u64();
    if (!inode) return inode.error();
    const std::uint64_t size = (*inode)->data.size();
    const std::uint64_t end = length > size ? size : std::min(offset + length, size);
    if (offset < end) core_.files.write(**inode, offset, Bytes(end - offset), true);
    has_changed_ = true;
    return Status::ok;
}

/// SEEK (RFC 7862, 15.11): the model has no holes but the one at the end.
nfs4::Status ModelCompound::seek() {
    const auto inode = file_for(0);
    const std::uint64_t offset = in_.u64();
    const bool wants_hole = in_.u32() == 1;
    if (!inode) return inode.error();
    const std::uint64_t size = (*inode)->data.size();
    if (offset >= size) return Status::nxio;
    out_.boolean(false);
    out_.u64(wants_hole ? size : offset);
    return Status::ok;
}

}  // namespace dpfs::sim
